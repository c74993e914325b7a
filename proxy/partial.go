package proxy

import (
	"errors"
	"net/http"
	"time"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// fetchPart asks for the client's range of something of which nothing is there, and keeps it as the first part.
func (c *Cache) fetchPart(x *exchange, f *flight) {
	x.span = &span{field: x.r.Header.Get("Range")}
	resp, requested, err := x.ask(nil)
	if err == nil && resp.StatusCode == http.StatusPartialContent && !rfc9111.RangeApplies(x.r.Header, resp.Header) {
		resp.Body.Close() // the client has a part of something else, so it gets the whole
		x.span = nil
		resp, requested, err = x.ask(nil)
	}
	switch {
	case err != nil:
		c.fetchFailed(x, f, nil, err)
		return
	case resp.StatusCode != http.StatusPartialContent:
		x.span = nil
		c.fetched(x, f, nil, resp, requested)
		return
	}
	t := c.beginPart(x, f, resp, requested)
	if t == nil {
		c.land(x.key, f)
		defer x.release()
		c.stats.passed.Add(1)
		x.relay(resp)
		return
	}
	c.stats.misses.Add(1)
	c.launch(x, f, t, resp, "fwd=miss; stored")
}

// beginPart makes a filling from a response with a part, nil when it is not to be kept.
func (c *Cache) beginPart(x *exchange, f *flight, resp *http.Response, requested time.Time) *transfer {
	first, last, total, ok := rfc9111.ContentRange(resp.Header.Get("Content-Range"))
	m := x.describe(resp, requested)
	whole := *m
	whole.Status, whole.Header, whole.Size = http.StatusOK, wholeHeader(m.Header, total), total
	r, _ := rfc9111.ParseRange(x.r.Header.Get("Range"))
	start, length, fits := r.In(total)
	if !ok || !fits || first != start || last != start+length-1 || multipart(resp.Header) || rfc9111.StrongValidator(whole.Header) == "" {
		return nil
	}
	if f.fill = c.begin(x, f, &whole, resp, total); f.fill == nil {
		return nil
	}
	return f.fill.addTransfer(objects.Extent{Start: first, End: last + 1})
}

// goOn answers from an incomplete body that was kept, and what is missing of it. It reports whether there was one.
func (c *Cache) goOn(x *exchange, f *flight) bool {
	fill := c.resume(x, f)
	if fill == nil {
		return false
	}
	wanted := objects.Extent{Start: 0, End: fill.length}
	if field := x.r.Header.Get("Range"); field != "" && rfc9111.RangeApplies(x.r.Header, fill.meta.Header) {
		if r, ok := rfc9111.ParseRange(field); ok {
			if start, length, ok := r.In(fill.length); ok {
				wanted = objects.Extent{Start: start, End: start + length}
			}
		}
	}
	gap, missing := fill.have.Gap(wanted.Start, wanted.End)
	if !missing {
		if fill.fresh.Reuse(x.directives, time.Now()) == rfc9111.Fresh {
			c.stats.hits.Add(1)
			c.answerParked(x, f, fill, "hit")
			return true
		}
		gap, _ = fill.have.Gap(0, fill.length) // asking for more is how it is validated
	}
	c.askRest(x, f, fill, gap, !missing)
	return true
}

// resume takes an incomplete body out of the store, nil when none is there that suits.
func (c *Cache) resume(x *exchange, f *flight) *filling {
	o := c.store.Partial(x.key)
	if o == nil || !selects(o.Vary, x.r.Header) {
		return nil
	}
	body, m, err := c.store.Resume(o)
	if err != nil {
		return nil
	}
	if m.Targeted && !isRouted(x.r) {
		body.Abort()
		return nil
	}
	fill := newFilling(f, x.key, m, c.freshness(m), m.Size)
	fill.fill, fill.have = body, m.Parts
	fill.noted = fill.have.Bytes()
	c.known(fill)
	return fill
}

// answerParked answers from what is there, and without the origin as long as that is enough.
func (c *Cache) answerParked(x *exchange, f *flight, fill *filling, status string) {
	body, err := fill.fill.Open()
	if err != nil {
		f.again = true
		c.shelve(fill, errChanged)
		c.land(x.key, f)
		x.failed(err)
		return
	}
	defer body.Close()
	f.fill = fill
	c.land(x.key, f)
	defer c.exit(fill)
	x.follow(fill, body, status)
}

// askRest asks the origin for a missing part, on the condition that what is there is still good.
func (c *Cache) askRest(x *exchange, f *flight, fill *filling, gap objects.Extent, enough bool) {
	x.span = &span{from: gap.Start, to: gap.End, validator: rfc9111.StrongValidator(fill.meta.Header)}
	resp, requested, err := x.ask(nil)
	x.span = nil
	var end int64
	var fitting error
	if err == nil {
		end, fitting = fits(resp, fill.meta, fill.length, gap.Start)
	}
	switch {
	case err != nil:
		x.release()
		if enough && !x.gone() && !errors.Is(err, errForbidden) && fill.fresh.DespiteError(x.directives, true, time.Now()) {
			c.stats.stale.Add(1)
			c.answerParked(x, f, fill, "fwd=stale")
			return
		}
		c.shelve(fill, errNobodyWaits)
		c.fetchFailed(x, f, nil, err)
	case resp.StatusCode >= 500:
		c.shelve(fill, errNobodyWaits)
		c.fetched(x, f, nil, resp, requested)
	case fitting == nil:
		gap.End = min(gap.End, end)
		m := *fill.meta
		m.Header = wholeHeader(rfc9111.Update(m.Header, resp.Header), fill.length)
		m.Requested, m.Received = requested, time.Now()
		fill.meta, fill.fresh = &m, c.freshness(&m)
		f.fill = fill
		c.stats.partial.Add(1)
		c.launch(x, f, fill.addTransfer(gap), resp, "fwd=partial; stored")
	default:
		c.shelve(fill, errChanged)
		if resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			resp.Body.Close()
			c.fetch(x, f, nil)
			return
		}
		c.fetched(x, f, nil, resp, requested)
	}
}
