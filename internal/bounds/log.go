package bounds

import (
	"log/slog"
	"sync/atomic"
)

// A Log writes warnings about peers at a bounded rate. The errors that such peers cause differ in
// every line, since they hold a port or what the peer sent, so they cannot be deduplicated. A Log
// counts the lines it suppresses instead. It may be used concurrently.
type Log struct {
	to         *slog.Logger
	bucket     *Bucket
	suppressed atomic.Int64 // lines since the last one
}

// NewLog returns a Log that writes to a logger at a rate.
func NewLog(to *slog.Logger, rate Rate) *Log { return &Log{to: to, bucket: NewBucket(rate)} }

// Warn writes a line with the number of lines suppressed before it, or suppresses it.
func (l *Log) Warn(msg string, args ...any) {
	if !l.bucket.Take() {
		l.suppressed.Add(1)
		return
	}
	if n := l.suppressed.Swap(0); n > 0 {
		args = append(args, "suppressed", n)
	}
	l.to.Warn(msg, args...)
}
