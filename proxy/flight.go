package proxy

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
