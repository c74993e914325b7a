package proxy

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// cacheName is the name of this cache in Cache-Status.
const cacheName = "maas"

// part is which bytes of a body a client gets.
type part struct{ start, length int64 }

// answer sends a stored response. status says in Cache-Status how it came about (RFC 9211).
func (x *exchange) answer(s *stored, status string) {
	if x.background {
		return
	}
	if s.content.Body != nil {
		if p, send := x.head(s.content.Meta, s.fresh, s.content.Size, status); send {
			n, _ := x.w.Write(s.content.Body[p.start : p.start+p.length])
			x.cache.stats.servedBytes.Add(int64(n))
		}
		return
	}
	body, err := x.cache.store.Open(s.object)
	if err != nil { // it left the store this moment
		x.failed(err)
		return
	}
	defer body.Close()
	p, send := x.head(s.content.Meta, s.fresh, s.content.Size, status)
	if !send {
		return
	}
	if _, err := body.Seek(p.start, io.SeekStart); err != nil {
		panic(http.ErrAbortHandler) // ends the connection, after the header said that more comes
	}
	n, _ := sendFile(x.w, body, p.length)
	x.cache.stats.servedBytes.Add(n)
}

// head sends status and header, and says what has to follow. size is -1 when it is not known yet.
func (x *exchange) head(m *objects.Meta, fresh rfc9111.Freshness, size int64, status string) (p part, send bool) {
	h := x.w.Header()
	for name, lines := range m.Header {
		h[name] = lines
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else the server guesses one
	}
	// A response from the cache has an Age (RFC 9111, 5.1).
	h["Age"] = []string{strconv.FormatInt(int64(fresh.Age(time.Now())/time.Second), 10)}
	h["Cache-Status"] = append(h["Cache-Status"][:len(h["Cache-Status"]):len(h["Cache-Status"])], cacheName+"; "+status)
	delete(h, "Content-Length")
	if m.Status == http.StatusOK && rfc9111.NotModified(x.r.Header, m.Header) {
		delete(h, "Content-Type")
		x.w.WriteHeader(http.StatusNotModified)
		return part{}, false
	}
	code, p := m.Status, part{0, size}
	if m.Status == http.StatusOK && size >= 0 && x.r.Header.Get("Range") != "" && rfc9111.RangeApplies(x.r.Header, m.Header) {
		code, p = cutRange(h, x.r.Header.Get("Range"), size)
	}
	bodyless := code == http.StatusNoContent || code == http.StatusRequestedRangeNotSatisfiable
	if p.length >= 0 && !bodyless {
		h["Content-Length"] = []string{strconv.FormatInt(p.length, 10)}
	}
	x.w.WriteHeader(code)
	return p, !bodyless && p.length != 0 && x.r.Method != http.MethodHead
}

// cutRange answers a Range of one range. Others get the whole, as RFC 9110, 14.2 allows.
func cutRange(h http.Header, field string, size int64) (code int, p part) {
	r, ok := rfc9111.ParseRange(field)
	if !ok {
		return http.StatusOK, part{0, size}
	}
	start, length, ok := r.In(size)
	if !ok {
		h["Content-Range"] = []string{fmt.Sprintf("bytes */%d", size)}
		return http.StatusRequestedRangeNotSatisfiable, part{}
	}
	h["Content-Range"] = []string{fmt.Sprintf("bytes %d-%d/%d", start, start+length-1, size)}
	return http.StatusPartialContent, part{start, length}
}

// A client has to take each piece of that many bytes within the patience.
const (
	sendPiece = 8 << 20
	patience  = 5 * time.Minute
)

// sendFile sends the next n bytes of a file, through sendfile where the writer can.
func sendFile(w http.ResponseWriter, f *os.File, n int64) (sent int64, err error) {
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	for sent < n && err == nil {
		_ = control.SetWriteDeadline(time.Now().Add(patience)) // a writer without deadlines has its own bounds
		var piece int64
		piece, err = io.CopyN(w, f, min(n-sent, sendPiece))
		sent += piece
	}
	return sent, err
}

// sendDownload sends a response whose body still comes in. A body that ends early ends the
// connection, so that the client notices.
func (x *exchange) sendDownload(d *download, body *os.File, status string) {
	if x.background {
		x.drain(d)
		return
	}
	bytes, send := x.head(d.meta, d.fresh, d.length, status)
	if !send {
		return
	}
	if err := x.stream(x.r.Context(), d, body, bytes); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (x *exchange) stream(ctx context.Context, d *download, body *os.File, bytes part) error {
	if _, err := body.Seek(bytes.start, io.SeekStart); err != nil {
		return err
	}
	at, end := bytes.start, bytes.start+bytes.length
	if bytes.length < 0 {
		end = math.MaxInt64
	}
	for at < end {
		if have, done, _ := d.state(at); have <= at && !done {
			_ = http.NewResponseController(x.w).Flush() // send the client what has arrived before waiting
		}
		have, err := d.waitFor(ctx, at, end, x.startMissing(d))
		if err != nil || have <= at {
			return err
		}
		n, err := sendFile(x.w, body, have-at)
		x.cache.stats.servedBytes.Add(n)
		if err != nil {
			return err
		}
		at = have
	}
	return nil
}

// startMissing returns the function by which a reader starts a missing segment.
func (x *exchange) startMissing(d *download) func(*segment) {
	return func(seg *segment) { x.cache.startSegment(x, d, seg) }
}

// drain reads a body without a client, so that it is downloaded.
func (x *exchange) drain(d *download) {
	for at := int64(0); ; {
		have, err := d.waitFor(x.cache.ctx, at, math.MaxInt64, x.startMissing(d))
		if err != nil || have <= at {
			return
		}
		at = have
	}
}

// relay passes a response on that is not kept.
func (x *exchange) relay(resp *http.Response) {
	defer resp.Body.Close()
	if x.background {
		return
	}
	h := x.w.Header()
	for name, lines := range resp.Header {
		h[name] = lines
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil
	}
	h["Cache-Status"] = append(h["Cache-Status"], cacheName+"; fwd=miss")
	for name := range resp.Trailer {
		h.Add("Trailer", name)
	}
	x.w.WriteHeader(resp.StatusCode)
	if err := copyFlushing(x.w, resp.Body, resp.ContentLength < 0); err != nil {
		panic(http.ErrAbortHandler)
	}
	for name, lines := range resp.Trailer {
		h[http.TrailerPrefix+name] = lines
	}
}

func copyFlushing(w http.ResponseWriter, body io.Reader, flush bool) error {
	if !flush {
		_, err := io.Copy(w, body)
		return err
	}
	control := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		_ = control.Flush()
	}
}
