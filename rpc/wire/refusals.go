package wire

import (
	"log/slog"
	"strings"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// Unauthenticated peers cannot fill the log: this many lines about them are written at once, and
// then one per interval.
const (
	refusalsAtOnce  = 20
	refusalInterval = 5 * time.Second
)

// refusals logs peers that are not let in. It is the error log of net/http as well.
type refusals struct {
	log     *slog.Logger
	limited *bounds.Log
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log, bounds.NewLog(log, bounds.Rate{Burst: refusalsAtOnce, Every: refusalInterval})}
}

// warn writes a line, or counts it.
func (c *refusals) warn(msg string, args ...any) { c.limited.Warn(msg, args...) }

// Write implements io.Writer for net/http. Most of its lines are about peers' connections, but a
// handler that panics and a listener that fails must not be lost among them.
func (c *refusals) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	switch {
	case strings.HasPrefix(text, "http: TLS handshake error"):
		c.warn("connection refused", "err", text)
	case strings.HasPrefix(text, "http: "), strings.HasPrefix(text, "http2: panic serving"):
		c.log.Error("server for racks failed", "err", text)
	default: // protocol errors of HTTP/2, which any peer may cause
		c.warn("connection failed", "err", text)
	}
	return len(line), nil
}
