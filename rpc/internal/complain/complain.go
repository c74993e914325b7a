// Package complain writes log lines about those who are not let in, so that they cannot fill the log.
//
// What strangers do is told by errors whose text holds their port or what they sent, so that no two need be alike: lines are
// bounded by time, whatever they say, and those that are too much are counted.
package complain

import (
	"log/slog"
	"sync"
	"time"
)

// A Log writes some warnings at once, and then one in so much time. It may be used concurrently.
type Log struct {
	to     *slog.Logger
	atOnce int
	every  time.Duration

	mu     sync.Mutex // guards following
	free   int        // lines that may be written now
	since  time.Time  // when free was true
	unsaid int
}

// New returns a Log that writes atOnce lines at once, which is at least 1, and from then on one each time that every, which
// is more than 0, has gone by.
func New(to *slog.Logger, atOnce int, every time.Duration) *Log {
	return &Log{to: to, atOnce: atOnce, every: every, free: atOnce, since: time.Now()}
}

// Warn writes a line, with how many were left out before it, or leaves it out.
func (l *Log) Warn(msg string, args ...any) {
	unsaid, free := l.take()
	if !free {
		return
	}
	if unsaid > 0 {
		args = append(args, "and more", unsaid)
	}
	l.to.Warn(msg, args...)
}

// take reports whether a line may be written, and how many were left out since the last one.
func (l *Log) take() (unsaid int, free bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	more := int(time.Since(l.since) / l.every)
	l.since = l.since.Add(time.Duration(more) * l.every)
	l.free = min(l.free+more, l.atOnce)
	if l.free == 0 {
		l.unsaid++
		return 0, false
	}
	l.free--
	unsaid, l.unsaid = l.unsaid, 0
	return unsaid, true
}
