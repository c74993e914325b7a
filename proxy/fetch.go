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

// fetch leads a fetch: it asks the origin, about the stored response when there is one, and answers
// the client.
func (c *Cache) fetch(x *exchange, g *fetchGroup, old *stored) {
	resp, requested, err := x.ask(old)
	// A 304 whose validators match nothing stored must not freshen it (RFC 9111, 4.3.4).
	if err == nil && resp.StatusCode == http.StatusNotModified && old != nil && !rfc9111.Answers(old.content.Header, resp.Header) {
		resp.Body.Close() // it speaks of something else than what is stored: get it whole
		c.store.Remove(old.object)
		old = nil
		resp, requested, err = x.ask(nil)
	}
	switch {
	case err != nil:
		c.fetchFailed(x, g, old, err)
	case resp.StatusCode == http.StatusNotModified && old != nil:
		resp.Body.Close()
		x.release()
		c.validated(x, g, c.update(old, resp.Header, requested))
	// Stale-if-error (RFC 5861, 4)
	case resp.StatusCode >= 500 && old != nil && old.fresh.DespiteError(x.directives, false, time.Now()):
		resp.Body.Close()
		x.release()
		c.answerStale(x, g, old)
	default:
		c.fetched(x, g, old, resp, requested)
	}
}

func (c *Cache) fetchFailed(x *exchange, g *fetchGroup, old *stored, err error) {
	x.release()
	if x.gone() {
		g.again = true
		c.finish(x.key, g)
		return
	}
	// A refusal by the policy is no failure of the origin, so that stale content is no way around
	// it.
	if old != nil && !errors.Is(err, errForbidden) && old.fresh.DespiteError(x.directives, true, time.Now()) {
		c.answerStale(x, g, old)
		return
	}
	g.err = err
	c.finish(x.key, g)
	x.failed(err)
}

// answerStale answers with what is stored, since the origin failed.
func (c *Cache) answerStale(x *exchange, g *fetchGroup, old *stored) {
	c.stats.stale.Add(1)
	g.stored = old
	c.finish(x.key, g)
	x.answer(old, "fwd=stale")
}

func (c *Cache) validated(x *exchange, g *fetchGroup, s *stored) {
	c.stats.validated.Add(1)
	g.stored = s
	c.finish(x.key, g)
	x.answer(s, "fwd=stale; fwd-status=304")
}

// update puts the fields of a 304 into a stored response. When the disk refuses, the response is
// good for this time.
func (c *Cache) update(old *stored, notModified http.Header, requested time.Time) *stored {
	m := *old.content.Meta
	m.Header = rfc9111.Update(m.Header, notModified)
	m.Requested, m.Received = requested, time.Now()
	// The object may have been evicted meanwhile; the response in hand is still good.
	if err := c.store.Update(old.object, &m); err != nil {
		c.faults.Warn("metadata not updated", "url", m.URL, "err", err)
	}
	return &stored{old.object, &objects.Content{Meta: &m, Body: old.content.Body}, c.freshness(&m)}
}

// fetched decides what becomes of a new response.
func (c *Cache) fetched(x *exchange, g *fetchGroup, old *stored, resp *http.Response, requested time.Time) {
	m := x.describe(resp, requested)
	if g.download = c.openDownload(x, g, m, resp, resp.ContentLength, resp.ContentLength); g.download == nil {
		c.finish(x.key, g)
		defer x.release()
		if old != nil && resp.StatusCode < 500 {
			c.store.Remove(old.object) // the origin's answer is newer, and not to be kept
		}
		c.stats.passed.Add(1)
		x.relay(resp)
		return
	}
	c.stats.misses.Add(1)
	c.startDownload(x, g, g.download.addSegment(objects.Extent{Start: 0, End: wholeEnd(resp)}), resp, "fwd=miss; stored")
}

func wholeEnd(resp *http.Response) int64 {
	if resp.ContentLength < 0 {
		return endless
	}
	return resp.ContentLength
}

// startDownload lets the first segment of a download run apart from its client, and answers that.
func (c *Cache) startDownload(x *exchange, g *fetchGroup, seg *segment, resp *http.Response, status string) {
	d, release := g.download, x.release
	seg.cancel = x.cancel
	body, err := d.writer.Open()
	if err == nil {
		defer body.Close()
	}
	run := func() {
		defer release()
		c.copySegment(d, seg, resp)
	}
	// The client has left, or the cache is being closed: no goroutine may begin.
	if err != nil || !x.detach() || !c.start(run) {
		resp.Body.Close()
		release()
		g.download, g.again = nil, true
		c.keepPartial(d, errNobodyWaits)
		c.finish(x.key, g)
		x.failed(cmp.Or(err, context.Canceled))
		return
	}
	c.finish(x.key, g)
	defer c.removeReader(d)
	x.sendDownload(d, body, status)
}

// openDownload makes room for a response that is worth keeping; nil for others. Of a body of length
// bytes, expect arrive by this response; both are less than zero if the origin did not say.
func (c *Cache) openDownload(x *exchange, g *fetchGroup, m *objects.Meta, resp *http.Response, length, expect int64) *download {
	fresh := c.freshness(m)
	switch {
	case !rfc9111.Storable(x.r.Header, responseOf(m)) || !fresh.Useful(m.Header),
		!delimited(resp), length > c.maxObject, c.full.on():
		return nil
	}
	// -1 means that the origin did not say
	m.Size = max(length, 0)
	d := newDownload(g, x.key, m, fresh, length)
	if expect < 0 {
		expect = min(mostUnknown, c.store.Limit()/16)
	}
	var err error
	if d.writer, err = c.store.Create(expect); err != nil {
		if !errors.Is(err, objects.ErrNoRoom) {
			c.diskFailed(err)
		}
		return nil
	}
	c.track(d)
	return d
}

// mostUnknown is the room reserved for a body of unknown length. Most of them are smaller; one that
// is larger is cut off if there is no more room.
const mostUnknown = 64 << 20

// track lets purges and unsafe requests find a download. It may be outdated already, while the
// origin thought about it.
func (c *Cache) track(d *download) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.downloads[d] = struct{}{}
	// A purge took the group off while its leader waited for the origin.
	d.outdated.Store(d.group.shared && c.groups[d.key] != d.group)
}

// delimited reports whether a truncated body can be told from a whole one. A body that ends with
// its connection cannot, so it is never kept.
func delimited(resp *http.Response) bool {
	return resp.ContentLength >= 0 || resp.ProtoMajor > 1 || len(resp.TransferEncoding) > 0
}

// diskPause is the time during which nothing is kept after the disk failed.
const diskPause = 30 * time.Second

func (c *Cache) diskFailed(err error) {
	c.log.Error("cache disk failed; responses pass uncached for a while", "err", err)
	c.full.begin(diskPause)
}
