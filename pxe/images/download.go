package images

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// hashes are all sums of a download.
type hashes struct {
	pieces *pieces
	sha512 hash.Hash
}

func newHashes() *hashes { return &hashes{newPieces(PieceSize), sha512.New()} }

// Write implements io.Writer. It never fails.
func (h *hashes) Write(b []byte) (int, error) {
	h.sha512.Write(b)
	return h.pieces.Write(b)
}

func (h *hashes) sums() checksum {
	return checksum{sha256: h.pieces.whole.Sum(nil), sha512: h.sha512.Sum(nil), size: h.pieces.total}
}

// remains is the name of the partial file of a download. It changes with what the source says of
// the file, so that the beginning of one version is never continued by another.
func (w want) remains() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%x\n%x\n", w.url, w.sha256, w.sha512)
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// began describes the remains of a download, beside them on disk.
type began struct {
	URL string `json:"url"`
	// Validator is the ETag, or else the time of change, that the server sent with the first byte.
	Validator string `json:"validator,omitempty"`
}

const (
	// stalled ends an attempt whose server sends nothing for so long.
	stalled = time.Minute
	// maxFile bounds a file of which the source does not say how large it is.
	maxFile = maxPieces * PieceSize
)

// errAgain marks an attempt that a further one may follow.
var errAgain = errors.New("download broken off")

// download brings a file into the remains directory and verifies its checksum. It goes on where an
// earlier one ended, also one of an earlier process.
func (r *run) download(ctx context.Context, w want) (*os.File, *hashes, error) {
	f, err := os.OpenFile(r.Store.partial(w.remains()), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("images: download %s: %w", w.url, err)
	}
	h, resumed, err := r.complete(ctx, w, f)
	if err == nil {
		err = h.verify(w.url, w.checksum)
		if bad := (*VerifyError)(nil); errors.As(err, &bad) && resumed {
			// The beginning may be the bad part: of a file that changed without a validator, or
			// from a power cut.
			if h, _, err = r.restart(ctx, w, f); err == nil {
				err = h.verify(w.url, w.checksum)
			}
		}
	}
	if err != nil {
		f.Close()
		if bad := (*VerifyError)(nil); errors.As(err, &bad) {
			r.forget(w)
		}
		return nil, nil, err
	}
	return f, h, nil
}

func (r *run) restart(ctx context.Context, w want, f *os.File) (*hashes, bool, error) {
	if err := f.Truncate(0); err != nil {
		return nil, false, err
	}
	return r.complete(ctx, w, f)
}

// complete adds to f until it is whole. resumed reports whether f had some of it before.
func (r *run) complete(ctx context.Context, w want, f *os.File) (h *hashes, resumed bool, err error) {
	attempts, pause := r.Attempts, r.Pause
	if attempts == 0 {
		attempts = 5
	}
	if pause == 0 {
		pause = time.Second
	}
	if h, err = rehash(ctx, f); err != nil {
		return nil, false, err
	}
	resumed = h.pieces.total > 0
	for failed, wait := 0, pause; ; failed++ {
		if resumed && w.size >= 0 && h.pieces.total == w.size {
			return h, true, nil
		}
		before := h.pieces.total
		err := r.attempt(ctx, w, f, &h)
		if err == nil {
			return h, resumed, nil
		}
		if !errors.Is(err, errAgain) || ctx.Err() != nil {
			return nil, resumed, fmt.Errorf("images: download %s: %w", w.url, err)
		}
		if h.pieces.total > before {
			failed, wait = -1, pause // an attempt that made progress is none of those counted
		}
		resumed = resumed || h.pieces.total > 0
		if failed+1 >= attempts {
			return nil, resumed, fmt.Errorf("images: download %s: %w", w.url, err)
		}
		select {
		case <-ctx.Done():
			return nil, resumed, ctx.Err()
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// rehash reads what an earlier attempt left.
func rehash(ctx context.Context, f *os.File) (*hashes, error) {
	// A hash cannot be continued in another process, so the remains are read once more.
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	h := newHashes()
	_, err := io.Copy(h, contextReader{ctx, f})
	return h, err
}

// attempt sends one request for what is missing.
func (r *run) attempt(ctx context.Context, w want, f *os.File, h **hashes) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at := (*h).pieces.total
	resp, err := r.ask(ctx, w, at)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// The whole file: it is another version than the beginning, or the server knows no ranges.
	if resp.StatusCode != http.StatusPartialContent && at > 0 {
		if err := f.Truncate(0); err != nil {
			return err
		}
		if *h, err = rehash(ctx, f); err != nil {
			return err
		}
		at = 0
	}
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("%w: %s", errAgain, resp.Status) // the remains are no beginning of it
	}
	if at == 0 {
		// Before the first byte: a beginning without its validator could be continued by another
		// version.
		if err := r.note(w, validator(resp)); err != nil {
			return err
		}
	}
	total := w.size
	if total < 0 && resp.ContentLength >= 0 {
		total = at + resp.ContentLength
	}
	return r.receive(w, resp, f, *h, total, cancel)
}

// ask sends the request and checks the status.
func (r *run) ask(ctx context.Context, w want, at int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return nil, err
	}
	// What is hashed are the bytes of the file, not of an encoding.
	req.Header.Set("Accept-Encoding", "identity")
	if at > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(at, 10)+"-")
		// Without a validator the checksum of the whole file decides between versions, at the price of
		// a second download.
		if v := r.noted(w); v != "" {
			req.Header.Set("If-Range", v)
		}
	}
	resp, err := r.client().Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAgain, err)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusOK, code == http.StatusRequestedRangeNotSatisfiable && at > 0:
		return resp, nil
	case code == http.StatusPartialContent && at > 0 && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", at)):
		return resp, nil
	case code >= 500 || code == http.StatusTooManyRequests: // mirrors shed load by these
		resp.Body.Close()
		return nil, fmt.Errorf("%w: %s", errAgain, resp.Status)
	default:
		resp.Body.Close()
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
}

// receive adds the body to the file.
func (r *run) receive(w want, resp *http.Response, f *os.File, h *hashes, total int64, cancel func()) error {
	watchdog := time.AfterFunc(stalled, cancel)
	defer watchdog.Stop()
	buf := make([]byte, 128<<10)
	limit := int64(maxFile)
	if total >= 0 {
		limit = total
	}
	for {
		n, err := resp.Body.Read(buf)
		watchdog.Reset(stalled) // any byte counts: a slow mirror is not a dead one
		// A mirror that never ends must not fill the disk before its checksum is compared.
		if h.pieces.total+int64(n) > limit {
			return &VerifyError{w.url, fmt.Sprintf("has more than %d bytes", limit)}
		}
		if _, werr := f.WriteAt(buf[:n], h.pieces.total); werr != nil {
			return werr
		}
		h.Write(buf[:n])
		if n > 0 {
			r.progress(Progress{w.url, h.pieces.total, total})
		}
		switch {
		case err == io.EOF && (total < 0 || h.pieces.total == total):
			return nil
		case err == io.EOF:
			return fmt.Errorf("%w: %d of %d bytes", errAgain, h.pieces.total, total)
		case err != nil:
			return fmt.Errorf("%w: %w", errAgain, err)
		}
	}
}

// validator returns what a later request names the same version by. A weak ETag does not mean the
// same bytes (RFC 9110, 8.8.1).
func validator(resp *http.Response) string {
	if tag := resp.Header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return resp.Header.Get("Last-Modified")
}

func (r *run) note(w want, validator string) error {
	// Torn by a crash it is no JSON, which counts as no validator.
	data, err := json.Marshal(began{w.url, validator})
	if err != nil {
		return err
	}
	return os.WriteFile(r.Store.partial(w.remains())+".json", data, 0o644)
}

func (r *run) noted(w want) string {
	var b began
	data, err := os.ReadFile(r.Store.partial(w.remains()) + ".json")
	if err != nil || json.Unmarshal(data, &b) != nil {
		return ""
	}
	return b.Validator
}

// forget removes the remains of a download.
func (r *run) forget(w want) {
	name := r.Store.partial(w.remains())
	os.Remove(name)
	os.Remove(name + ".json")
}

// document reads a small file of the source.
func (r *run) document(ctx context.Context, at string) ([]byte, error) {
	u, err := r.url(at)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*stalled)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.client().Do(req)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("images: %s: the server answers %s", u, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("has more than %d bytes", maxDocument)
	}
	if err != nil {
		return nil, fmt.Errorf("images: %s: %w", u, err)
	}
	return data, nil
}

// client returns the client of the run. What TLS alone protects must not be fetched in the clear
// because a mirror redirects there.
func (r *run) client() *http.Client {
	c := defaultClient
	if r.Client != nil {
		c = r.Client
	}
	if r.signed() || r.base.Scheme != "https" {
		return c
	}
	secure := *c
	secure.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		switch {
		case req.URL.Scheme != "https":
			return fmt.Errorf("redirected to %s, which is not encrypted", req.URL.Redacted())
		case c.CheckRedirect != nil:
			return c.CheckRedirect(req, via)
		case len(via) >= 10:
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
	return &secure
}

var defaultClient = NewClient(http.ProxyFromEnvironment)

// NewClient returns a client for mirrors that goes through proxies. It bounds the time that a
// server may take to answer, and not the length of the answer.
func NewClient(proxy func(*http.Request) (*url.URL, error)) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy: proxy, DialContext: (&net.Dialer{Timeout: 30 * time.Second}).DialContext, TLSHandshakeTimeout: 30 * time.Second,
		ResponseHeaderTimeout: stalled, IdleConnTimeout: stalled, ForceAttemptHTTP2: true,
	}}
}
