// Package ratelog writes log lines about unauthenticated peers at a bounded rate.
//
// Errors that such peers cause differ in every line, since they hold a port or what the peer sent,
// so they cannot be deduplicated. A Log limits them by rate and counts the lines it suppresses.
package ratelog

import (
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// A Log writes some warnings at once, and then one per interval. It may be used concurrently.
type Log struct {
	to         *slog.Logger
	limit      *rate.Limiter
	suppressed atomic.Int64 // lines since the last one
}

// New returns a Log that writes atOnce lines at once, at least 1, and then one per interval, which
// is more than 0.
func New(to *slog.Logger, atOnce int, interval time.Duration) *Log {
	return &Log{to: to, limit: rate.NewLimiter(rate.Every(interval), atOnce)}
}

// Warn writes a line with the number of lines suppressed before it, or suppresses it.
func (l *Log) Warn(msg string, args ...any) {
	if !l.limit.Allow() {
		l.suppressed.Add(1)
		return
	}
	if n := l.suppressed.Swap(0); n > 0 {
		args = append(args, "suppressed", n)
	}
	l.to.Warn(msg, args...)
}
