package rpc

import (
	"context"
	"time"
)

// backoff waits between attempts, each time twice as long as before, from first up to most.
type backoff struct {
	first, most time.Duration
	pause       time.Duration // the last one; zero = none yet
}

// wait waits before the next attempt, or until ctx ends.
func (b *backoff) wait(ctx context.Context) {
	b.pause = min(max(2*b.pause, b.first), b.most)
	timer := time.NewTimer(b.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reset makes the next pause the first one again.
func (b *backoff) reset() { b.pause = 0 }
