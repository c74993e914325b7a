package pxe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/firmware"
)

// Handler serves everything that TFTP serves, by GET and HEAD, and takes reports of started systems
// by POST to boot/MAC/done/NONCE. It cleans paths by itself and never redirects, which firmware
// cannot follow: mount it at the root and not on a mux that redirects.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	// The deadline of the last answer on this connection is not this one's.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	defer s.recovered(r)
	client := clientOf(r)
	if !s.http.enter(r.Context(), client) {
		if r.Context().Err() == nil {
			http.Error(w, busyText, http.StatusServiceUnavailable)
		}
		return
	}
	defer s.http.leave(client)
	if s.serveMedium(w, r) || s.also.serve(w, r) {
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.get(w, r)
	case http.MethodPost, http.MethodPut:
		s.report(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// recovered ends the connection of a request that panicked, as net/http does, and logs the panic as
// an error, which net/http does not tell from lesser ones.
func (s *Server) recovered(r *http.Request) {
	if cause := recover(); cause != nil {
		if cause != http.ErrAbortHandler {
			s.log.Error("request panicked", "client", r.RemoteAddr, "panic", cause, "stack", string(debug.Stack()))
		}
		panic(http.ErrAbortHandler)
	}
}

func newInbound(r *http.Request) inbound {
	in := inbound{proto: firmware.HTTP, path: r.URL.Path, addr: clientOf(r)}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			in.server = ap.Addr().Unmap()
		}
	}
	if mac := r.Header.Get("ONIE-ETH-ADDR"); mac != "" { // its other headers only repeat the file name
		in.mac, in.platform, in.buildarch = mac, "efi", r.Header.Get("ONIE-ARCH")
	}
	if r.URL.RawQuery != "" {
		q := r.URL.Query()
		in.mac, in.uuid, in.arch = q.Get("mac"), q.Get("uuid"), q.Get("arch")
		in.platform, in.buildarch = q.Get("platform"), q.Get("buildarch")
	}
	return in
}

// clientOf returns the address of a request's client; invalid when it is no IP address.
func clientOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c, e, err := s.open(r.Context(), newInbound(r))
	e.Probe = r.Method == http.MethodHead
	rec := &recorder{ResponseWriter: w}
	if err != nil {
		status, msg := http.StatusInternalServerError, failedText
		if errors.Is(err, fs.ErrNotExist) {
			status, msg = http.StatusNotFound, absentText
		}
		http.Error(rec, msg, status)
		e.Duration = time.Since(start)
		s.finish(e, err)
		return
	}
	defer c.Close()
	extend(w, c.size)
	header(w.Header(), r.URL.Path, c)
	serveContent(rec, r, c)
	e.Bytes, e.Duration = rec.n, time.Since(start)
	if rec.status != http.StatusOK && rec.status != http.StatusPartialContent && rec.err == nil {
		e.Bytes = 0 // "not modified" and the like
	}
	s.finish(e, rec.failure(r))
}

// slowest is the rate below which a client is taken for dead.
const slowest = 64 << 10 // bytes per second

// Texts for clients in the place of a file. They hold no causes, which may show paths of this
// machine.
const (
	failedText = "the boot server failed, see its log"
	absentText = "file not found"
	busyText   = "the boot server has too many requests of this address, try again"
)

// extend bounds how long a response may take.
func extend(w http.ResponseWriter, size int64) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience(size)))
}

// patience returns the time that a client may take for so many bytes.
func patience(size int64) time.Duration { return time.Minute + time.Duration(size/slowest)*time.Second }

func header(h http.Header, name string, c content) {
	h.Set("Content-Type", contentType(name, c))
	if c.text {
		h.Set("Cache-Control", "no-store")
	}
	if !c.modTime.IsZero() {
		h.Set("ETag", c.etag())
	}
}

// etag identifies what a file held at a time.
func (c content) etag() string {
	b := append(make([]byte, 0, 40), '"')
	b = strconv.AppendInt(b, c.modTime.UnixNano(), 16)
	b = strconv.AppendInt(append(b, '-'), c.size, 16)
	return string(append(b, '"'))
}

func contentType(name string, c content) string {
	switch {
	case c.text:
		return "text/plain; charset=utf-8"
	case strings.EqualFold(path.Ext(name), ".efi"):
		// UEFI HTTP boot goes by the type before it goes by the name.
		return "application/efi"
	}
	return "application/octet-stream"
}

// serveContent writes the body, by sendfile when it is a plain file: nothing between it and the
// connection may hide io.ReaderFrom.
func serveContent(w http.ResponseWriter, r *http.Request, c content) {
	if seeker, ok := c.ReadCloser.(io.ReadSeeker); ok {
		http.ServeContent(w, r, "", c.modTime, seeker)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(c.size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = io.CopyN(w, c, c.size)
	}
}

// A report is refused from one size on, and its text is kept up to another, in bytes.
const (
	maxReport  = 64 << 10
	keptReport = 4 << 10
)

// report takes the word of a started system.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	in := newInbound(r)
	name, ok := cleanName(in.path)
	res := parsePath(name)
	if !ok || res.kind != kindDone {
		http.Error(w, "nothing can be written here", http.StatusMethodNotAllowed)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience(0))) // a body that does not come would keep its place
	rest := http.MaxBytesReader(w, r.Body, maxReport)
	body, err := io.ReadAll(io.LimitReader(rest, keptReport))
	size := int64(len(body))
	if err == nil {
		var more int64
		more, err = io.Copy(io.Discard, rest)
		size += more
	}
	if err != nil {
		http.Error(w, "the report is longer than 64 KiB or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	q := s.identify(in, res)
	w.WriteHeader(http.StatusNoContent)
	s.finish(&Event{Stage: StageRunning, MAC: q.MAC, UUID: q.UUID, Addr: in.addr, Server: in.server, Arch: q.Arch,
		Path: in.shownPath(), Proto: string(firmware.HTTP), Size: size, Bytes: size,
		Duration: time.Since(start), Body: body, Claimed: s.claimed(in, q.MAC, res.nonce)}, nil)
}

// recorder counts the body and keeps sendfile.
type recorder struct {
	http.ResponseWriter
	status int
	n      int64
	err    error
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (r *recorder) Write(b []byte) (int, error) {
	n, err := r.ResponseWriter.Write(b)
	return n, r.count(int64(n), err)
}

// ReadFrom passes a file on to the connection.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(r.ResponseWriter, src)
	return n, r.count(n, err)
}

func (r *recorder) count(n int64, err error) error {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.n += n
	if r.err == nil {
		r.err = err
	}
	return err
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) failure(req *http.Request) error {
	if r.err == nil {
		return nil
	}
	return brokenOff(req.RemoteAddr, r.n, r.err)
}

func brokenOff(client string, n int64, err error) error {
	return fmt.Errorf("pxe: connection to %s ended after %d bytes: %w", client, n, err)
}
