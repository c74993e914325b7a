package proxy

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// A flight is one request to an origin that the clients who want the same wait for. Its leader asks; when the header of the
// answer is there, ready is closed and the fields below it say what came of it.
type flight struct {
	ready  chan struct{}
	shared bool // others may join it
	// At most one of these is set. None: the answer was for the leader alone.
	again  bool    // the leader went away; ask again
	err    error   // the origin did not answer
	stored *stored // what is in the store may be used
	fill   *filling
}

func newFlight() *flight { return &flight{ready: make(chan struct{})} }

// land publishes what came of the flight. Unless it fills, nobody joins it from now on.
func (c *Cache) land(key string, f *flight) {
	if f.fill == nil {
		c.leave(key, f)
	}
	close(f.ready)
}

// join returns the flight for a key, and whether the caller has to lead it.
func (c *Cache) join(key string) (f *flight, leader bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.flights[key]; ok {
		return f, false
	}
	f = newFlight()
	f.shared = true
	c.flights[key] = f
	return f, true
}

func (c *Cache) leave(key string, f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}

// filling is a body that comes in, for any number of readers at their own speed.
type filling struct {
	meta   *objects.Meta
	fresh  rfc9111.Freshness
	fill   *objects.Fill
	length int64 // of the body, -1 when the origin did not say
	cancel context.CancelCauseFunc

	outdated atomic.Bool // an unsafe request or a purge came after it

	mu      sync.Mutex
	readers int
	size    int64 // of what readers may read
	done    bool
	err     error         // why it ended early
	changed chan struct{} // closed when one of the above changes
}

func newFilling(m *objects.Meta, fresh rfc9111.Freshness, length int64) *filling {
	return &filling{meta: m, fresh: fresh, length: length, changed: make(chan struct{}), readers: 1}
}

// advance publishes n more bytes.
func (f *filling) advance(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size += int64(n)
	f.wake()
}

// finish publishes the end.
func (f *filling) finish(size int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.err = true, err
	if err == nil {
		f.size = size
	}
	f.wake()
}

func (f *filling) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// wait returns how much there is once that is more than offset, or the end came.
func (f *filling) wait(ctx context.Context, offset int64) (size int64, done bool, err error) {
	for {
		f.mu.Lock()
		size, done, err, changed := f.size, f.done, f.err, f.changed
		f.mu.Unlock()
		if size > offset || done {
			return size, done, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return size, false, ctx.Err()
		}
	}
}

func (f *filling) enter() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers++
}

// fetchRest is how many missing bytes are fetched although nobody waits for them any more.
const fetchRest = 16 << 20

// exit ends a reader. Without readers the rest is only fetched when that is little, or less than what is there.
func (f *filling) exit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
	missing := f.length - f.size
	if f.readers == 0 && !f.done && (f.length < 0 || missing > max(fetchRest, f.size)) {
		f.cancel(errNobodyWaits)
	}
}

// state returns how much there is now, whether no more comes, and why that was too early.
func (f *filling) state() (size int64, done bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size, f.done, f.err
}
