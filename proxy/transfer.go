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

// more begins a transfer that a reader found missing, with a request like the reader's.
func (c *Cache) more(x *exchange, f *filling, t *transfer) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.r.Context()))
	f.mu.Lock()
	t.cancel = cancel
	wait, part := time.Duration(f.failures)*retryPause, &span{from: t.at, to: t.end, validator: rfc9111.StrongValidator(f.meta.Header)}
	f.mu.Unlock()
	y := &exchange{cache: c, quiet: true, r: x.r.Clone(ctx), origin: x.origin, failed: func(error) {}, key: x.key, span: part}
	if !c.start(func() { c.bring(y, f, t, wait) }) {
		c.ended(f, t, context.Canceled)
	}
}

// retryPause is how long the origin is left alone after a transfer that brought nothing; longer after several.
const retryPause = 200 * time.Millisecond

// bring asks for a part and copies it.
func (c *Cache) bring(y *exchange, f *filling, t *transfer, wait time.Duration) {
	defer t.cancel(nil)
	select {
	case <-time.After(wait):
	case <-y.r.Context().Done():
	case <-c.ctx.Done():
	}
	resp, _, err := y.ask(nil)
	defer y.release()
	if err == nil {
		c.stats.resumed.Add(1)
		var end int64
		if end, err = fits(resp, f.meta, f.length, t.at); err != nil {
			resp.Body.Close()
		}
		f.cut(t, end)
	}
	if err != nil {
		c.ended(f, t, err)
		return
	}
	c.copy(f, t, resp)
}

var errChanged = errors.New("the origin has something else now")

// fits returns where a response ends that continues the body that m describes at an offset. It has to carry the same strong
// validator (RFC 9111, 3.4).
func fits(resp *http.Response, m *objects.Meta, length, at int64) (end int64, err error) {
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

// copy brings bytes in, until the end of the transfer or a reason to give up.
func (c *Cache) copy(f *filling, t *transfer, resp *http.Response) {
	defer resp.Body.Close()
	watch := time.AfterFunc(c.idle, func() { t.cancel(errIdle) })
	defer watch.Stop()
	size := int64(copyBuffer)
	if room := f.room(t); room < size {
		size = room + 1 // one more byte tells whether more comes than was said
	}
	buf := make([]byte, size)
	for {
		n, err := resp.Body.Read(buf)
		watch.Reset(c.idle)
		room := f.room(t)
		n = int(min(int64(n), room))
		if kerr := c.keep(f, t, buf[:n]); kerr != nil {
			err = kerr
		}
		switch {
		case errors.Is(err, errWhole):
			c.commit(f, f.length)
			return
		case err == io.EOF && f.length <= 0:
			c.commit(f, t.got)
			return
		case int64(n) == room:
			c.ended(f, t, nil)
			return
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			c.ended(f, t, err)
			return
		}
	}
}

// errWhole says that nothing is missing any more.
var errWhole = errors.New("the body is whole")

// keep writes bytes that a transfer brought and tells the readers.
func (c *Cache) keep(f *filling, t *transfer, b []byte) error {
	c.stats.fetchedBytes.Add(int64(len(b)))
	if t.at+t.got+int64(len(b)) > c.maxObject {
		return errTooLarge
	}
	if len(b) == 0 {
		return nil
	}
	if _, err := f.fill.WriteAt(b, t.at+t.got); err != nil {
		return &diskError{err}
	}
	whole, note := f.arrived(t, int64(len(b)))
	if whole {
		return errWhole
	}
	if note {
		if err := f.fill.Note(f.meta, f.parts()); err != nil {
			c.diskFailed(err)
		}
	}
	return nil
}

// diskError is a failure of the cache's disk and not of the origin.
type diskError struct{ err error }

func (e *diskError) Error() string { return e.err.Error() }

// ended takes a transfer off. The readers go on by themselves, unless there is no sense in that.
func (c *Cache) ended(f *filling, t *transfer, err error) {
	f.mu.Lock()
	f.transfers = slices.DeleteFunc(f.transfers, func(o *transfer) bool { return o == t })
	if t.short && err == nil {
		err = io.ErrUnexpectedEOF
	}
	switch {
	case err == nil || t.got >= progress:
		f.failures = 0
	case !t.stopped:
		f.failures++
	}
	var disk *diskError
	fatal := err != nil && (!f.ranges || f.failures >= maxFailures || len(f.have) > maxParts || errors.As(err, &disk) ||
		errors.Is(err, errChanged) || errors.Is(err, errTooLarge) || errors.Is(err, errForbidden))
	last := f.readers == 0 && len(f.transfers) == 0
	park := (fatal || last) && f.closed()
	if park {
		for _, other := range f.transfers {
			other.stop()
		}
	}
	f.wake()
	f.mu.Unlock()
	if !park {
		return
	}
	if disk != nil {
		c.diskFailed(disk.err)
	}
	if err == nil {
		err = errNobodyWaits
	}
	c.park(f, err)
}

// commit makes a whole body an object.
func (c *Cache) commit(f *filling, size int64) {
	f.mu.Lock()
	f.closing = true
	f.mu.Unlock()
	err := f.fill.Commit(f.meta, size, f.outdated.Load)
	if err != nil {
		c.diskFailed(err)
	}
	c.leave(f.key, f.flight)
	c.unknow(f)
	f.finish(size, err)
}

// minPark is the least that is worth to be kept of a body that did not come whole.
const minPark = 64 << 10

// park ends a filling that is not whole, so that the next request for the URL looks into the store.
func (c *Cache) park(f *filling, err error) {
	c.shelve(f, err)
	c.leave(f.key, f.flight)
	f.finish(0, err)
}

// shelve keeps what is there of a filling when the rest can be asked for later.
func (c *Cache) shelve(f *filling, err error) {
	parts := f.parts()
	if !f.ranges || errors.Is(err, errChanged) || f.outdated.Load() || parts.Bytes() < minPark || len(parts) > maxParts {
		f.fill.Abort()
	} else if perr := f.fill.Park(f.meta, parts, f.outdated.Load); perr != nil {
		c.diskFailed(perr)
	}
	if !errors.Is(err, errNobodyWaits) {
		c.log.Info("body truncated", "url", f.key, "bytes", parts.Bytes(), "err", err)
	}
	c.unknow(f)
}

// unknow undoes known.
func (c *Cache) unknow(f *filling) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fills, f)
}

// span is the part of a body that a request asks for.
type span struct {
	from, to  int64  // to is endless for all that follows
	validator string // for If-Range, empty when nothing is there yet
	field     string // the client's own Range, in the place of from and to
}

// set puts it into the request for the origin.
func (s *span) set(h http.Header) {
	if s.field != "" {
		h["Range"] = []string{s.field}
		return
	}
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
