package pxe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

// Serve answers HTTP requests on l until ctx ends, then gives those in service
// two seconds and returns nil. It closes l. Use Handler to be part of another
// HTTP server instead.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	if s.cfg.HTTPRate > 0 {
		srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			if err := pace(c, s.cfg.HTTPRate); err != nil {
				s.log.Warn("cannot pace a connection", "addr", c.RemoteAddr(), "err", err)
			}
			return ctx
		}
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(l)
	if stop() {
		srv.Close()
		return fmt.Errorf("pxe: http on %s: %w", l.Addr(), err)
	}
	<-done
	return nil
}

// Handler serves everything that TFTP serves, by GET and HEAD, and takes
// reports of started systems by POST to boot/MAC/done. It cleans paths by itself
// and never redirects, which firmware cannot follow: mount it at the root and
// not on a mux that redirects.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.http <- struct{}{}:
		defer func() { <-s.http }()
	case <-r.Context().Done():
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

func newInbound(r *http.Request) inbound {
	in := inbound{proto: HTTP, path: r.URL.Path}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		in.addr = ap.Addr().Unmap()
	}
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

func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c, e, err := s.open(r.Context(), newInbound(r))
	e.Probe = r.Method == http.MethodHead
	rec := &recorder{ResponseWriter: w}
	if err != nil {
		status, msg := http.StatusInternalServerError, "the boot server failed, see its log"
		if errors.Is(err, fs.ErrNotExist) {
			status, msg = http.StatusNotFound, "file not found"
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

// extend bounds how long a response may take.
func extend(w http.ResponseWriter, size int64) {
	limit := time.Minute + time.Duration(size/slowest)*time.Second
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
}

func header(h http.Header, name string, c content) {
	switch {
	case c.text:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "no-store")
	case strings.EqualFold(path.Ext(name), ".efi"):
		// UEFI HTTP boot goes by the type before it goes by the name.
		h.Set("Content-Type", "application/efi")
	default:
		h.Set("Content-Type", "application/octet-stream")
	}
	if !c.modTime.IsZero() {
		h.Set("ETag", fmt.Sprintf(`"%x-%x"`, c.modTime.UnixNano(), c.size))
	}
}

// serveContent writes the body, by sendfile when it is a plain file: nothing
// between it and the connection may hide io.ReaderFrom.
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

const maxReport = 64 << 10

// report takes the word of a started system.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	in := newInbound(r)
	name, _ := cleanName(in.path)
	res := parsePath(name)
	if res.kind != kindDone {
		http.Error(w, "nothing can be written here", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		http.Error(w, "the report is longer than 64 KiB or was cut off", http.StatusRequestEntityTooLarge)
		return
	}
	q := s.identify(in, res)
	w.WriteHeader(http.StatusNoContent)
	s.finish(&Event{Stage: StageRunning, MAC: q.MAC, UUID: q.UUID, Addr: in.addr, Server: in.server, Arch: q.Arch,
		Path: in.path, Proto: string(HTTP), Size: int64(len(body)), Bytes: int64(len(body)),
		Duration: time.Since(start), Body: body}, nil)
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
	return fmt.Errorf("pxe: connection to %s ended after %d bytes: %w", req.RemoteAddr, r.n, r.err)
}
