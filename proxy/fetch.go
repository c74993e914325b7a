package proxy

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

var (
	errNobodyWaits = errors.New("no client waits for it any more")
	errTooLarge    = errors.New("the body is larger than what may be kept")
	errIdle        = errors.New("the origin stopped sending")
)

// fetch leads a flight: it asks the origin, about the stored response when there is one, and answers the client.
func (c *Cache) fetch(x *exchange, f *flight, old *stored) {
	resp, requested, err := x.ask(old)
	if err == nil && resp.StatusCode == http.StatusNotModified && old != nil && !rfc9111.Answers(old.content.Header, resp.Header) {
		resp.Body.Close() // it speaks of something else than what is stored: get it whole
		c.store.Remove(old.object)
		old = nil
		resp, requested, err = x.ask(nil)
	}
	switch {
	case err != nil:
		c.fetchFailed(x, f, old, err)
	case resp.StatusCode == http.StatusNotModified && old != nil:
		resp.Body.Close()
		x.release()
		c.validated(x, f, c.update(old, resp.Header, requested))
	case resp.StatusCode >= 500 && old != nil && old.fresh.DespiteError(x.directives, false, time.Now()):
		resp.Body.Close()
		x.release()
		c.useStale(x, f, old)
	default:
		c.fetched(x, f, old, resp, requested)
	}
}

func (c *Cache) fetchFailed(x *exchange, f *flight, old *stored, err error) {
	x.release()
	if x.gone() {
		f.again = true
		c.land(x.key, f)
		return
	}
	if old != nil && !errors.Is(err, errForbidden) && old.fresh.DespiteError(x.directives, true, time.Now()) {
		c.useStale(x, f, old)
		return
	}
	f.err = err
	c.land(x.key, f)
	x.failed(err)
}

// useStale answers with what is stored, since the origin failed.
func (c *Cache) useStale(x *exchange, f *flight, old *stored) {
	c.stats.stale.Add(1)
	f.stored = old
	c.land(x.key, f)
	x.answer(old, "fwd=stale")
}

func (c *Cache) validated(x *exchange, f *flight, s *stored) {
	c.stats.validated.Add(1)
	f.stored = s
	c.land(x.key, f)
	x.answer(s, "fwd=stale; fwd-status=304")
}

// update puts the fields of a 304 into a stored response. When the disk refuses, the response is good for this time.
func (c *Cache) update(old *stored, notModified http.Header, requested time.Time) *stored {
	m := *old.content.Meta
	m.Header = rfc9111.Update(m.Header, notModified)
	m.Requested, m.Received = requested, time.Now()
	if err := c.store.Update(old.object, &m); err != nil {
		c.log.Warn("metadata not updated", "url", m.URL, "err", err)
	}
	return &stored{old.object, &objects.Content{Meta: &m, Body: old.content.Body}, c.freshness(&m)}
}

// fetched decides what becomes of a new response.
func (c *Cache) fetched(x *exchange, f *flight, old *stored, resp *http.Response, requested time.Time) {
	m := x.describe(resp, requested)
	if f.fill = c.begin(x, f, m, resp, resp.ContentLength); f.fill == nil {
		c.land(x.key, f)
		defer x.release()
		if old != nil && resp.StatusCode < 500 {
			c.store.Remove(old.object) // the origin's answer is newer, and not to be kept
		}
		c.stats.passed.Add(1)
		x.relay(resp)
		return
	}
	c.stats.misses.Add(1)
	c.launch(x, f, f.fill.addTransfer(objects.Extent{Start: 0, End: wholeEnd(resp)}), resp, "fwd=miss; stored")
}

func wholeEnd(resp *http.Response) int64 {
	if resp.ContentLength < 0 {
		return endless
	}
	return resp.ContentLength
}

// launch lets the first transfer of a filling run apart from its client, and answers that.
func (c *Cache) launch(x *exchange, f *flight, t *transfer, resp *http.Response, status string) {
	fill, release := f.fill, x.release
	t.cancel = x.cancel
	body, err := fill.fill.Open()
	if err == nil {
		defer body.Close()
	}
	run := func() {
		defer release()
		c.copy(fill, t, resp)
	}
	if err != nil || !x.detach() || !c.start(run) {
		resp.Body.Close()
		release()
		f.fill, f.again = nil, true
		c.shelve(fill, errNobodyWaits)
		c.land(x.key, f)
		x.failed(cmp.Or(err, context.Canceled))
		return
	}
	c.land(x.key, f)
	defer c.exit(fill)
	x.follow(fill, body, status)
}

// begin makes room for a response that is worth keeping; nil for others.
func (c *Cache) begin(x *exchange, f *flight, m *objects.Meta, resp *http.Response, length int64) *filling {
	fresh := c.freshness(m)
	switch {
	case !rfc9111.Storable(x.r.Header, responseOf(m)) || !fresh.Useful(m.Header),
		!delimited(resp), length > c.maxObject, c.full.on():
		return nil
	}
	m.Size = max(length, 0)
	fill := newFilling(f, x.key, m, fresh, length)
	var err error
	if fill.fill, err = c.store.Create(); err != nil {
		c.diskFailed(err)
		return nil
	}
	c.known(fill)
	return fill
}

// known lets purges and unsafe requests find a filling. It may be outdated already, while the origin thought about it.
func (c *Cache) known(fill *filling) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fills[fill] = struct{}{}
	fill.outdated.Store(fill.flight.shared && c.flights[fill.key] != fill.flight)
}

// delimited reports whether a body that was cut off can be told from a whole one. Those that end with their connection
// cannot, so they are never kept.
func delimited(resp *http.Response) bool {
	return resp.ContentLength >= 0 || resp.ProtoMajor > 1 || len(resp.TransferEncoding) > 0
}

// diskPause is how long nothing is kept after the disk refused something.
const diskPause = 30 * time.Second

func (c *Cache) diskFailed(err error) {
	c.log.Error("cache disk failed; responses pass uncached for a while", "err", err)
	c.full.begin(diskPause)
}
