package dhcpsrv

import (
	"context"
	"time"
)

// Bounds of the pause between two attempts.
const (
	firstPause   = 10 * time.Millisecond
	longestPause = time.Second
)

// backoff waits between attempts at something that fails, twice as long each time. The zero value
// is ready.
type backoff struct{ pause time.Duration }

// wait waits and reports whether ctx is still on.
func (b *backoff) wait(ctx context.Context) bool {
	b.pause = min(max(2*b.pause, firstPause), longestPause)
	return sleep(ctx, b.pause)
}

// reset makes the next pause a short one, after a success.
func (b *backoff) reset() { b.pause = 0 }

// sleep waits and reports whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
