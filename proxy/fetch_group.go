package proxy

// A fetchGroup is one request to an origin and the clients that wait for its response. The leader
// sends it. When the header of the response has arrived, ready is closed and the fields below hold
// the result.
type fetchGroup struct {
	ready  chan struct{}
	shared bool // others may join it
	// At most one of these is set. None: the answer was for the leader alone.
	again    bool    // the leader went away; ask again
	err      error   // the origin did not answer
	stored   *stored // what is in the store may be used
	download *download
}

func newFetchGroup() *fetchGroup { return &fetchGroup{ready: make(chan struct{})} }

// finish publishes the result. Without a download, later requests do not join the group.
func (c *Cache) finish(key string, g *fetchGroup) {
	// A group with a download stays: later requests join it until it ends.
	if g.download == nil {
		c.removeGroup(key, g)
	}
	close(g.ready)
}

// joinGroup returns the fetch for a key, and whether the caller has to lead it.
func (c *Cache) joinGroup(key string) (g *fetchGroup, leader bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g, ok := c.groups[key]; ok {
		return g, false
	}
	g = newFetchGroup()
	g.shared = true
	c.groups[key] = g
	return g, true
}

func (c *Cache) removeGroup(key string, g *fetchGroup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A purge, or a later group, may have taken its place.
	if c.groups[key] == g {
		delete(c.groups, key)
	}
}
