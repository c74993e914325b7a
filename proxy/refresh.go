package proxy

import "context"

// refresh validates a stored response while it is still in use (RFC 5861, 3). One refresh of a URL
// runs at a time.
func (c *Cache) refresh(x *exchange, old *stored) {
	g, leader := c.joinGroup(x.key)
	if !leader {
		return
	}
	request := x.r.Clone(context.WithoutCancel(x.r.Context()))
	background := &exchange{cache: c, background: true, r: request, origin: x.origin, failed: func(error) {}, key: x.key}
	if !c.start(func() { c.fetch(background, g, old) }) {
		g.again = true
		c.finish(x.key, g)
	}
}
