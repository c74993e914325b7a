package proxy

import (
	"net/http"
	"time"

	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// takes reports whether a request may be answered from the cache, or its answer be kept. The others
// pass.
func (c *Cache) takes(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength != 0 {
		return false
	}
	h := r.Header
	return h.Get("Upgrade") == "" && h.Get("If-Match") == "" && h.Get("If-Unmodified-Since") == "" && h.Get("Expect") == ""
}

// serve answers a request that the cache takes. pass forwards it without the cache.
func (c *Cache) serve(x *exchange, pass func()) {
	x.cache, x.key, x.directives = c, keyOf(x.r.URL), rfc9111.RequestDirectives(x.r.Header)
	old := c.find(x.key, x.r)
	if old != nil && c.reuse(x, old) {
		return
	}
	// Such a client wants no traffic, not even a validation.
	if x.directives.Has("only-if-cached") {
		http.Error(x.w, "this is not in the cache, and only-if-cached was asked for", http.StatusGatewayTimeout) // 5.2.1.7
		return
	}
	// An answer to HEAD has no body to keep, and a multi-part range cannot be cut while it arrives.
	if x.r.Method == http.MethodHead || x.directives.Has("no-store") || old == nil && !cuttable(x.r.Header) {
		c.stats.passed.Add(1)
		pass()
		return
	}
	for {
		g, leader := c.joinGroup(x.key)
		if leader {
			c.leaderFetch(x, g, old)
			return
		}
		answered, again := c.followFetch(x, g)
		if answered {
			return
		}
		if !again {
			break
		}
		if old = c.find(x.key, x.r); old != nil && c.reuse(x, old) { // what ended meanwhile is in the store
			return
		}
	}
	if old == nil && startsLate(x.r.Header) {
		c.stats.passed.Add(1)
		pass()
		return
	}
	// The shared fetch does not suit this request, so that it gets one of its own.
	c.fetch(x, newFetchGroup(), old)
}

// leaderFetch is for the client whose request goes to the origin.
func (c *Cache) leaderFetch(x *exchange, g *fetchGroup, old *stored) {
	switch {
	case old != nil:
		c.fetch(x, g, old)
	case c.resumePartial(x, g):
	case startsLate(x.r.Header):
		c.fetchPart(x, g)
	default:
		c.fetch(x, g, nil)
	}
}

// reuse answers with a stored response where its freshness allows.
func (c *Cache) reuse(x *exchange, old *stored) bool {
	switch old.fresh.Reuse(x.directives, time.Now()) {
	case rfc9111.Validate:
		return false
	case rfc9111.Refresh:
		c.refresh(x, old)
	}
	c.stats.hits.Add(1)
	x.answer(old, "hit")
	return true
}

// followFetch waits for another client's fetch and answers from it where that suits this request.
func (c *Cache) followFetch(x *exchange, g *fetchGroup) (answered, again bool) {
	late := false
	select {
	case <-g.ready:
		late = true
	default:
		select {
		case <-g.ready:
		case <-x.r.Context().Done():
			return true, false
		}
	}
	switch {
	case g.again:
		return false, true
	case g.err != nil:
		x.failed(g.err)
		return true, false
	case g.stored != nil && selects(g.stored.object.Vary, x.r.Header) && (isRouted(x.r) || !g.stored.content.Targeted):
		c.stats.collapsed.Add(1)
		x.answer(g.stored, "fwd=stale; collapsed")
		return true, false
	case g.download == nil || !selects(g.download.meta.Vary, x.r.Header), g.download.meta.Targeted && !isRouted(x.r):
		return false, false
	// Without ranges the client would wait for everything before its part.
	case !g.download.ranges && startsLate(x.r.Header):
		return false, false
	// A request that began after the answer may not be served from one that must be validated.
	case late && g.download.fresh.Arriving().Reuse(x.directives, time.Now()) != rfc9111.Fresh:
		return false, false
	}
	if !g.download.addReader(x.r.Context()) {
		return x.gone(), true
	}
	defer c.removeReader(g.download)
	return c.followDownload(x, g)
}

// followDownload reads a body that another client's request brings in. One that ended meanwhile is
// in the store, or to be asked for.
func (c *Cache) followDownload(x *exchange, g *fetchGroup) (answered, again bool) {
	body, err := g.download.writer.Open()
	if _, ended, _ := g.download.state(0); err != nil || ended {
		if err == nil {
			body.Close()
		}
		s := c.find(x.key, x.r)
		return s != nil && c.reuse(x, s), false
	}
	defer body.Close()
	c.stats.collapsed.Add(1)
	x.sendDownload(g.download, body, "fwd=miss; collapsed")
	return true, false
}

// lateStart is the offset from which on a range of something that is not there is fetched by
// itself: its client would wait for all that precedes it.
const lateStart = 1 << 20

// startsLate reports whether a request asks for a range like that.
func startsLate(h http.Header) bool {
	r, ok := rfc9111.ParseRange(h.Get("Range"))
	return ok && (r.First < 0 || r.First >= lateStart)
}

// cuttable reports whether the answer can be cut from a body: it is the whole, or one range.
func cuttable(h http.Header) bool {
	field := h.Get("Range")
	_, ok := rfc9111.ParseRange(field)
	return ok || field == ""
}
