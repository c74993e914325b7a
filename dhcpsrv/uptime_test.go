package dhcpsrv_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
)

// frailStore does not move its times, or does not note when the server was alive, when told so.
type frailStore struct {
	dhcpsrv.MemStore
	stuck, mute atomic.Bool
	last        atomic.Bool // the next move is the last thing that it is told of
}

func (s *frailStore) Shift(ctx context.Context, by time.Duration) error {
	s.mute.Store(s.mute.Load() || s.last.Load())
	if s.stuck.Load() {
		return errors.New("no space for a copy")
	}
	return s.MemStore.Shift(ctx, by)
}

func (s *frailStore) SavePartners(ctx context.Context, data []byte) error {
	if s.mute.Load() {
		return errors.New("no space for a note")
	}
	return s.MemStore.SavePartners(ctx, data)
}

// Whatever happens to the clock and the store before a server ends, and to the clock while it is away, the next one on the
// same machine has its leases end when they should.
func TestClockByUptime(t *testing.T) {
	tests := []struct {
		name        string
		first, last time.Duration // what the wall clock is ahead by, when leases are given and when the server ends
		stuck, mute bool          // what the store does not do from then on
	}{
		{name: "set forward while away", first: -years, last: -years},
		{name: "set back while away", first: years, last: years},
		{name: "set forward", first: -years},
		{name: "set back", first: years},
		{name: "set forward, store stuck", first: -years, stuck: true},
		{name: "set back, store stuck", first: years, stuck: true},
		{name: "set forward, store stuck and nothing noted", first: -years, stuck: true, mute: true},
		{name: "set back, store stuck and nothing noted", first: years, stuck: true, mute: true},
		{name: "set twice, store stuck", first: -years, last: -time.Hour, stuck: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := new(frailStore)
			withClock(t, store, func(c *clockTest) {
				c.stop()
				c.boot = "one"
				c.start()
				c.set(tt.first)
				c.bind()
				time.Sleep(2 * time.Minute)
				store.stuck.Store(tt.stuck)
				store.mute.Store(tt.mute)
				c.set(tt.last)
				time.Sleep(10 * time.Minute)
				c.stop()
				time.Sleep(20 * time.Minute)
				c.start()
				c.check("after the restart")
				store.stuck.Store(false)
				store.mute.Store(false)
				time.Sleep(2 * time.Second)
				c.stop()
				c.start()
				c.check("after the next one")
				c.checkExpiry()
			})
		})
	}
}

// A server ends between the move of its store and the note of it, or the other way round: leases do not end too early.
func TestClockHalfMoved(t *testing.T) {
	for _, first := range []time.Duration{-years, years} {
		store := new(frailStore)
		withClock(t, store, func(c *clockTest) {
			c.stop()
			c.boot = "one"
			c.start()
			c.set(first)
			c.bind()
			time.Sleep(2 * time.Minute)
			store.last.Store(true)
			store.stuck.Store(first > 0) // noted and not moved, else moved and not noted
			c.s.SetClock(0)
			time.Sleep(1100 * time.Millisecond)
			c.stop()
			c.start()
			for i, a := range c.addrs {
				if l, ok := c.s.Lookup(a); !ok || l.End.Before(c.ends[i].Add(-2*time.Second)) {
					t.Errorf("clock ahead by %v: lease of %v: %v until %v, not %v", first, a, ok, l.End, c.ends[i])
				}
			}
		})
	}
}

// A clock is set back and the server cannot note it: then its store does not move, and the next server moves it once.
func TestClockSetBackUnnoted(t *testing.T) {
	store := new(frailStore)
	withClock(t, store, func(c *clockTest) {
		var log bytes.Buffer
		c.stop()
		c.boot, c.log = "one", slog.New(slog.NewTextHandler(&log, nil))
		c.start()
		c.set(3 * time.Hour)
		c.bind()
		time.Sleep(2 * time.Minute)
		store.mute.Store(true)
		c.set(0)
		time.Sleep(5 * time.Second)
		c.bind()
		c.check("set back")
		c.stop()
		c.start()
		c.check("after the restart")
		time.Sleep(10 * time.Second)
		store.mute.Store(false)
		time.Sleep(2 * time.Second)
		c.stop()
		if n := strings.Count(log.String(), "liveness record not saved"); n != 2 {
			t.Errorf("two servers said %d times that they cannot note:\n%s", n, log.String())
		}
		c.start()
		c.check("after the next one")
		c.checkExpiry()
	})
}

// After another start of the machine its uptime says nothing.
func TestClockAnotherBoot(t *testing.T) {
	withClock(t, new(dhcpsrv.MemStore), func(c *clockTest) {
		c.stop()
		c.boot = "one"
		c.start()
		c.bind()
		time.Sleep(10 * time.Minute)
		c.stop()
		c.boot = "two"
		c.start()
		c.check("after the restart")
		c.checkExpiry()
	})
}
