package proxy

import (
	"errors"
	"net/http"
	"time"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// fetchPart fetches only the requested range of an uncached object, and keeps it as the first part.
func (c *Cache) fetchPart(x *exchange, g *fetchGroup) {
	x.span = &span{field: x.r.Header.Get("Range")}
	resp, requested, err := x.ask(nil)
	// If-Range did not match, although the origin ignored it.
	if err == nil && resp.StatusCode == http.StatusPartialContent && !rfc9111.RangeApplies(x.r.Header, resp.Header) {
		resp.Body.Close() // the client has a part of something else, so it gets the whole
		x.span = nil
		resp, requested, err = x.ask(nil)
	}
	switch {
	case err != nil:
		c.fetchFailed(x, g, nil, err)
		return
	case resp.StatusCode != http.StatusPartialContent:
		x.span = nil
		c.fetched(x, g, nil, resp, requested)
		return
	}
	seg := c.openPart(x, g, resp, requested)
	if seg == nil {
		c.finish(x.key, g)
		defer x.release()
		c.stats.passed.Add(1)
		x.relay(resp)
		return
	}
	c.stats.misses.Add(1)
	c.startDownload(x, g, seg, resp, "fwd=miss; stored")
}

// openPart makes a download from a response with a part, nil when it is not to be kept.
func (c *Cache) openPart(x *exchange, g *fetchGroup, resp *http.Response, requested time.Time) *segment {
	first, last, total, ok := rfc9111.ContentRange(resp.Header.Get("Content-Range"))
	m := x.describe(resp, requested)
	whole := *m
	whole.Status, whole.Header, whole.Size = http.StatusOK, wholeHeader(m.Header, total), total
	r, _ := rfc9111.ParseRange(x.r.Header.Get("Range"))
	start, length, fits := r.In(total)
	// Only what Content-Range covers is kept, and only with a strong validator (RFC 9111, 3.3).
	if !ok || !fits || first != start || last != start+length-1 || multipart(resp.Header) || rfc9111.StrongValidator(whole.Header) == "" {
		return nil
	}
	if g.download = c.openDownload(x, g, &whole, resp, total, last+1-first); g.download == nil {
		return nil
	}
	return g.download.addSegment(objects.Extent{Start: first, End: last + 1})
}

// resumePartial answers from an incomplete body that was kept, and what is missing of it. It
// reports whether there was one.
func (c *Cache) resumePartial(x *exchange, g *fetchGroup) bool {
	d := c.takePartial(x, g)
	if d == nil {
		return false
	}
	wanted := objects.Extent{Start: 0, End: d.length}
	if field := x.r.Header.Get("Range"); field != "" && rfc9111.RangeApplies(x.r.Header, d.meta.Header) {
		if r, ok := rfc9111.ParseRange(field); ok {
			if start, length, ok := r.In(d.length); ok {
				wanted = objects.Extent{Start: start, End: start + length}
			}
		}
	}
	gap, missing := d.have.Gap(wanted.Start, wanted.End)
	if !missing {
		if d.fresh.Reuse(x.directives, time.Now()) == rfc9111.Fresh {
			c.stats.hits.Add(1)
			c.answerPartial(x, g, d, "hit")
			return true
		}
		// If-Range makes the origin say whether the parts are still valid.
		gap, _ = d.have.Gap(0, d.length) // asking for more is how it is validated
	}
	c.fetchRest(x, g, d, gap, !missing)
	return true
}

// takePartial takes a partial entry out of the store, nil if none fits the request.
func (c *Cache) takePartial(x *exchange, g *fetchGroup) *download {
	o := c.store.Partial(x.key)
	if o == nil || !selects(o.Vary, x.r.Header) {
		return nil
	}
	body, m, err := c.store.Resume(o)
	if err != nil {
		return nil
	}
	// What CDN-Cache-Control allowed to keep is for routes only.
	if m.Targeted && !isRouted(x.r) {
		body.Abort()
		return nil
	}
	d := newDownload(g, x.key, m, c.freshness(m), m.Size)
	d.writer, d.have = body, m.Parts
	// The sidecar on disk lists them already.
	d.noted = d.have.Bytes()
	c.track(d)
	return d
}

// answerPartial answers from the parts of an entry, without the origin as long as they suffice.
func (c *Cache) answerPartial(x *exchange, g *fetchGroup, d *download, status string) {
	body, err := d.writer.Open()
	if err != nil {
		g.again = true
		c.keepPartial(d, errChanged)
		c.finish(x.key, g)
		x.failed(err)
		return
	}
	defer body.Close()
	g.download = d
	c.finish(x.key, g)
	defer c.removeReader(d)
	x.sendDownload(d, body, status)
}

// fetchRest asks the origin for a missing part, on the condition that the parts on disk are still
// valid.
func (c *Cache) fetchRest(x *exchange, g *fetchGroup, d *download, gap objects.Extent, enough bool) {
	x.span = &span{from: gap.Start, to: gap.End, validator: rfc9111.StrongValidator(d.meta.Header)}
	resp, requested, err := x.ask(nil)
	x.span = nil
	var end int64
	var fitting error
	if err == nil {
		end, fitting = continues(resp, d.meta, d.length, gap.Start)
	}
	switch {
	case err != nil:
		x.release()
		if enough && !x.gone() && !errors.Is(err, errForbidden) && d.fresh.DespiteError(x.directives, true, time.Now()) {
			c.stats.stale.Add(1)
			c.answerPartial(x, g, d, "fwd=stale")
			return
		}
		c.keepPartial(d, errNobodyWaits)
		c.fetchFailed(x, g, nil, err)
	case resp.StatusCode >= 500:
		c.keepPartial(d, errNobodyWaits)
		c.fetched(x, g, nil, resp, requested)
	case fitting == nil:
		gap.End = min(gap.End, end)
		m := *d.meta
		m.Header = wholeHeader(rfc9111.Update(m.Header, resp.Header), d.length)
		m.Requested, m.Received = requested, time.Now()
		d.meta, d.fresh = &m, c.freshness(&m)
		g.download = d
		c.stats.partial.Add(1)
		c.startDownload(x, g, d.addSegment(gap), resp, "fwd=partial; stored")
	default:
		c.keepPartial(d, errChanged)
		if resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			resp.Body.Close()
			c.fetch(x, g, nil)
			return
		}
		c.fetched(x, g, nil, resp, requested)
	}
}
