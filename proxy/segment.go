package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

const copyBuffer = 256 << 10

// startSegment begins a segment that a reader found missing, with a request like the reader's.
func (c *Cache) startSegment(x *exchange, d *download, seg *segment) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.r.Context()))
	d.mu.Lock()
	seg.cancel = cancel
	wait, part := time.Duration(d.failures)*retryPause, &span{from: seg.at, to: seg.end, validator: rfc9111.StrongValidator(d.meta.Header)}
	d.mu.Unlock()
	y := &exchange{cache: c, background: true, r: x.r.Clone(ctx), origin: x.origin, failed: func(error) {}, key: x.key, span: part}
	if !c.start(func() { c.fetchSegment(y, d, seg, wait) }) {
		c.endSegment(d, seg, context.Canceled)
	}
}

// retryPause is the pause after a segment that brought nothing; it grows with the failures in a
// row.
const retryPause = 200 * time.Millisecond

// fetchSegment asks for a part and copies it.
func (c *Cache) fetchSegment(y *exchange, d *download, seg *segment, wait time.Duration) {
	defer seg.cancel(nil)
	select {
	// The origin that just failed gets a pause, not a storm of requests.
	case <-time.After(wait):
	case <-y.r.Context().Done():
	case <-c.ctx.Done():
	}
	resp, _, err := y.ask(nil)
	defer y.release()
	if err == nil {
		c.stats.resumed.Add(1)
		var end int64
		if end, err = continues(resp, d.meta, d.length, seg.at); err != nil {
			resp.Body.Close()
		}
		d.cut(seg, end)
	}
	if err != nil {
		c.endSegment(d, seg, err)
		return
	}
	c.copySegment(d, seg, resp)
}

var errChanged = errors.New("the origin has something else now")

// continues returns where a response ends that continues the body that m describes at an offset. It
// has to carry the same strong validator (RFC 9111, 3.4).
func continues(resp *http.Response, m *objects.Meta, length, at int64) (end int64, err error) {
	// A failing origin says nothing about the version that it has.
	if resp.StatusCode >= 500 {
		return 0, fmt.Errorf("the origin answered %s", resp.Status)
	}
	first, last, total, ok := rfc9111.ContentRange(resp.Header.Get("Content-Range"))
	if resp.StatusCode != http.StatusPartialContent || !ok || first != at || total != length ||
		!rfc9111.SameStrongly(m.Header, resp.Header) {
		return 0, errChanged
	}
	return last + 1, nil
}

// copySegment brings bytes in, until the end of the segment or a reason to give up.
func (c *Cache) copySegment(d *download, seg *segment, resp *http.Response) {
	defer resp.Body.Close()
	// Read has no deadline of its own here; ending the request ends it.
	watch := time.AfterFunc(c.idle, func() { seg.cancel(errIdle) })
	defer watch.Stop()
	size := int64(copyBuffer)
	if room := d.room(seg); room < size {
		size = room + 1 // one more byte shows whether the origin sends more than it announced
	}
	buf := make([]byte, size)
	for {
		n, err := resp.Body.Read(buf)
		watch.Reset(c.idle)
		room := d.room(seg)
		// An origin that sends more than it announced is cut at the length.
		n = int(min(int64(n), room))
		if kerr := c.write(d, seg, buf[:n]); kerr != nil {
			err = kerr
		}
		switch {
		case errors.Is(err, errWhole):
			c.commit(d, d.length)
			return
		case err == io.EOF && d.length <= 0:
			c.commit(d, seg.got)
			return
		case int64(n) == room:
			c.endSegment(d, seg, nil)
			return
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			c.endSegment(d, seg, err)
			return
		}
	}
}

// errWhole ends a segment because the body is whole.
var errWhole = errors.New("the body is whole")

// write writes the bytes that a segment brought and wakes the readers.
func (c *Cache) write(d *download, seg *segment, b []byte) error {
	c.stats.fetchedBytes.Add(int64(len(b)))
	if seg.at+seg.got+int64(len(b)) > c.maxObject {
		return errTooLarge
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := d.writer.WriteAt(b, seg.at+seg.got); err != nil {
		return &diskError{err}
	}
	whole, note := d.received(seg, int64(len(b)))
	if whole {
		return errWhole
	}
	if note {
		if err := d.writer.SaveParts(d.meta, d.parts()); err != nil {
			c.diskFailed(err)
		}
	}
	return nil
}

// diskError is a failure of the cache's disk and not of the origin.
type diskError struct{ err error }

func (e *diskError) Error() string { return e.err.Error() }

// endSegment takes a segment off. The readers go on by themselves, unless there is no sense in
// that.
func (c *Cache) endSegment(d *download, seg *segment, err error) {
	d.mu.Lock()
	d.segments = slices.DeleteFunc(d.segments, func(o *segment) bool { return o == seg })
	if seg.short && err == nil {
		err = io.ErrUnexpectedEOF
	}
	switch {
	// Progress resets the count: a flaky line may finish a large body in many segments.
	case err == nil || seg.got >= progress:
		d.failures = 0
	case !seg.stopped:
		d.failures++
	}
	var disk *diskError
	diskFailed := errors.As(err, &disk)
	// Without ranges the rest cannot be asked for; too many parts are an attack.
	fatal := err != nil && (!d.ranges || d.failures >= maxFailures || len(d.have) > maxParts || diskFailed ||
		errors.Is(err, errChanged) || errors.Is(err, errTooLarge) || errors.Is(err, errForbidden))
	last := d.readers == 0 && len(d.segments) == 0
	end := (fatal || last) && d.beginClosing()
	if end {
		for _, other := range d.segments {
			other.stop()
		}
	}
	d.notify()
	d.mu.Unlock()
	if !end {
		return
	}
	if diskFailed && !errors.Is(disk.err, objects.ErrNoRoom) {
		c.diskFailed(disk.err)
	}
	if err == nil {
		err = errNobodyWaits
	}
	c.endPartial(d, err)
}

// commit makes a whole body an object.
func (c *Cache) commit(d *download, size int64) {
	d.mu.Lock()
	d.closing = true
	d.mu.Unlock()
	err := d.writer.Commit(d.meta, size, d.outdated.Load)
	if err != nil {
		c.diskFailed(err)
	}
	c.removeGroup(d.key, d.group)
	c.untrack(d)
	if errors.Is(err, objects.ErrNotKept) {
		err = nil // the readers of now have the body open, and later requests find nothing
	}
	d.finish(size, err)
}

// minPartial is the least that is worth to be kept of a body that did not come whole.
const minPartial = 64 << 10

// endPartial ends a download that is not whole, so that the next request for the URL looks into the
// store.
func (c *Cache) endPartial(d *download, err error) {
	c.keepPartial(d, err)
	c.removeGroup(d.key, d.group)
	d.finish(0, err)
}

// keepPartial keeps the parts of a download if the rest can be fetched later, and removes them
// otherwise.
func (c *Cache) keepPartial(d *download, err error) {
	parts := d.parts()
	if !d.ranges || errors.Is(err, errChanged) || d.outdated.Load() || parts.Bytes() < minPartial || len(parts) > maxParts {
		d.writer.Abort()
	} else if perr := d.writer.KeepPartial(d.meta, parts, d.outdated.Load); perr != nil {
		c.diskFailed(perr)
	}
	// A client that left is no event worth a line.
	if !errors.Is(err, errNobodyWaits) {
		c.log.Info("body truncated", "url", d.key, "bytes", parts.Bytes(), "err", err)
	}
	c.untrack(d)
}

// untrack undoes track.
func (c *Cache) untrack(d *download) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.downloads, d)
}

// span is the part of a body that a request asks for.
type span struct {
	from, to  int64  // to is endless for all that follows
	validator string // for If-Range, empty for the first part
	field     string // the client's own Range, in the place of from and to
}

// set puts it into the request for the origin.
func (s *span) set(h http.Header) {
	if s.field != "" {
		h["Range"] = []string{s.field}
		return
	}
	// The client's conditions are about its copy, If-Range about the cache's.
	for _, name := range rfc9111.Conditional {
		delete(h, name)
	}
	field := fmt.Sprintf("bytes=%d-%d", s.from, s.to-1)
	if s.to == endless {
		field = fmt.Sprintf("bytes=%d-", s.from)
	}
	h["Range"], h["If-Range"] = []string{field}, []string{s.validator}
}

// wholeHeader is the header of the whole response that a partial one is part of.
func wholeHeader(h http.Header, total int64) http.Header {
	whole := h.Clone()
	delete(whole, "Content-Range")
	whole["Content-Length"] = []string{fmt.Sprint(total)}
	return whole
}

func multipart(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "multipart/byteranges")
}
