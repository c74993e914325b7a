package wire

import (
	"log/slog"
	"strings"
	"time"

	"github.com/gomaas/maas/rpc/internal/complain"
)

// Strangers cannot fill the log: of what they do, this many lines are written at once, and then one in so much time.
const (
	complaintsAtOnce = 20
	complaintEvery   = 5 * time.Second
)

// complaints tells of those who are not let in.
type complaints struct {
	log     *slog.Logger
	bounded *complain.Log
}

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log, complain.New(log, complaintsAtOnce, complaintEvery)}
}

// warn writes a line, or counts it.
func (c *complaints) warn(msg string, args ...any) { c.bounded.Warn(msg, args...) }

// Write takes what net/http has to say. Most of it is about what others do on their connections, but a handler that panics
// and a listener that fails must not be lost among that.
func (c *complaints) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	switch {
	case strings.HasPrefix(text, "http: TLS handshake error"):
		c.warn("connection refused", "err", text)
	case strings.HasPrefix(text, "http: "), strings.HasPrefix(text, "http2: panic serving"):
		c.log.Error("the server for racks is in trouble", "err", text)
	default: // of HTTP/2, which anybody may speak wrongly
		c.warn("connection fails", "err", text)
	}
	return len(line), nil
}
