package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"
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
		c.log.Warn("a description could not be updated", "url", m.URL, "err", err)
	}
	return &stored{old.object, &objects.Content{Meta: &m, Body: old.content.Body}, c.freshness(&m)}
}

// fetched decides what becomes of a new response.
func (c *Cache) fetched(x *exchange, f *flight, old *stored, resp *http.Response, requested time.Time) {
	m := x.describe(resp, requested)
	if f.fill = c.begin(x, f, m, resp); f.fill == nil {
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
	fill := f.fill
	body, err := fill.fill.Open()
	if err == nil {
		defer body.Close()
	}
	release := x.release
	if err != nil || !x.detach() || !c.start(func() { c.copy(x.key, f, resp, release) }) {
		fill.fill.Abort()
		c.mu.Lock()
		delete(c.fills, fill)
		c.mu.Unlock()
		resp.Body.Close()
		release()
		f.fill, f.again = nil, true
		c.land(x.key, f)
		x.failed(cmp.Or(err, context.Canceled))
		return
	}
	c.land(x.key, f)
	defer fill.exit()
	x.follow(fill, body, "fwd=miss; stored")
}

// begin makes room for a response that is worth keeping; nil for others.
func (c *Cache) begin(x *exchange, f *flight, m *objects.Meta, resp *http.Response) *filling {
	fresh := c.freshness(m)
	switch {
	case !rfc9111.Storable(x.r.Header, responseOf(m)) || !fresh.Useful(m.Header),
		!delimited(resp), resp.ContentLength > c.maxObject, c.full.on():
		return nil
	}
	fill := newFilling(m, fresh, resp.ContentLength)
	fill.cancel = x.cancel
	var err error
	if fill.fill, err = c.store.Create(); err != nil {
		c.diskFailed(err)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fills[fill] = struct{}{}
	fill.outdated.Store(f.shared && c.flights[x.key] != f) // while the origin thought about it
	return fill
}

// delimited reports whether a body that was cut off can be told from a whole one. Those that end with their connection
// cannot, so they are never kept.
func delimited(resp *http.Response) bool {
	return resp.ContentLength >= 0 || resp.ProtoMajor > 1 || len(resp.TransferEncoding) > 0
}

// diskPause is how long nothing is kept after the disk refused something.
const diskPause = 30 * time.Second

func (c *Cache) diskFailed(err error) {
	c.log.Error("the cache's disk does not work; responses are passed on unkept for a while", "err", err)
	c.full.begin(diskPause)
}

const copyBuffer = 256 << 10

// copy brings a body in, until its end or a reason to give up.
func (c *Cache) copy(key string, f *flight, resp *http.Response, release func()) {
	fill := f.fill
	watch := time.AfterFunc(c.idle, func() { fill.cancel(errIdle) })
	defer watch.Stop()
	size := copyBuffer
	if fill.length >= 0 && fill.length < copyBuffer {
		size = int(fill.length) + 1
	}
	buf, total := make([]byte, size), int64(0)
	for {
		n, err := resp.Body.Read(buf)
		watch.Reset(c.idle)
		if total += int64(n); total > c.maxObject {
			err = errTooLarge
		}
		if _, werr := fill.fill.Write(buf[:n]); werr != nil {
			c.diskFailed(werr)
			err = werr
		}
		c.stats.fetchedBytes.Add(int64(n))
		if err == nil && total != fill.length {
			fill.advance(n) // the last bytes become readable when the object is in the store
			continue
		}
		if err != nil {
			c.end(key, f, resp, release, err)
			return
		}
	}
}

// end commits a body that is whole, drops any other, and tells the readers.
func (c *Cache) end(key string, f *flight, resp *http.Response, release func(), err error) {
	fill := f.fill
	size := fill.fill.Size()
	if err == io.EOF && (fill.length < 0 || fill.length == size) {
		if err = fill.fill.Commit(fill.meta, fill.outdated.Load); err != nil {
			c.diskFailed(err)
		}
	} else {
		fill.fill.Abort()
		c.log.Info("a body did not come whole and is not kept", "url", key, "bytes", size, "err", err)
	}
	c.leave(key, f)
	c.mu.Lock()
	delete(c.fills, fill)
	c.mu.Unlock()
	resp.Body.Close()
	release()
	fill.finish(size, err)
}
