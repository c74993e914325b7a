package bounds

import (
	"context"
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
func (l *Log) Warn(msg string, args ...any) { l.line(slog.LevelWarn, msg, args) }

// Error is Warn for what an operator must look at. It shares the rate.
func (l *Log) Error(msg string, args ...any) { l.line(slog.LevelError, msg, args) }

func (l *Log) line(level slog.Level, msg string, args []any) {
	if !l.bucket.Take() {
		l.suppressed.Add(1)
		return
	}
	if n := l.suppressed.Swap(0); n > 0 {
		args = append(args, "suppressed", n)
	}
	l.to.Log(context.Background(), level, msg, args...)
}
