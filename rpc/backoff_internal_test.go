package rpc

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backoff{first: 100 * time.Millisecond, most: time.Second}
		var took []time.Duration
		wait := func(ctx context.Context) {
			began := time.Now()
			b.wait(ctx)
			took = append(took, time.Since(began)/time.Millisecond)
		}
		for range 6 {
			wait(t.Context())
		}
		b.reset()
		wait(t.Context())
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		wait(ended)
		if want := []time.Duration{100, 200, 400, 800, 1000, 1000, 100, 0}; !slices.Equal(took, want) {
			t.Errorf("waited %d ms, want %d", took, want)
		}
	})
}

// A longest pause below the first one holds for that as well.
func TestBackoffOfAShortLongestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backoff{first: 100 * time.Millisecond, most: 10 * time.Millisecond}
		began := time.Now()
		b.wait(t.Context())
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("waited %v", took)
		}
	})
}
