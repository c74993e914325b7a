package pxe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"
)

// lane serves the plain GETs of one connection without net/http, which costs
// three times as much for a small file. What is not plain, and all that follows
// it on the connection, is handed over to net/http.
type lane struct {
	server *Server
	conn   net.Conn
	in     inbound // of all its requests, but for the path
	buf    []byte  // received and not served yet
	out    []byte

	readBy, writeBy time.Time // deadlines of the connection: setting one costs as much as a packet
}

// maxHead bounds the head of a plain request, in bytes.
const maxHead = 2048

// idleTimeout is how long a connection may be silent between requests, or twice
// that.
const idleTimeout = 2 * time.Minute

func (s *Server) newLane(conn net.Conn) *lane {
	l := &lane{server: s, conn: conn, buf: make([]byte, 0, maxHead), in: inbound{proto: HTTP}}
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		l.in.addr = ap.Addr().Unmap()
	}
	if ap, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
		l.in.server = ap.Addr().Unmap()
	}
	return l
}

// run serves until the connection ends, or hands it over with what was read of
// it: then it returns true.
func (l *lane) run(ctx context.Context) (handOver bool) {
	for ctx.Err() == nil {
		end := bytes.Index(l.buf, []byte("\r\n\r\n"))
		if end < 0 && (len(l.buf) == cap(l.buf) || bareLF(l.buf)) {
			return true
		}
		if end < 0 {
			if now := time.Now(); len(l.buf) == 0 && l.readBy.Sub(now) < idleTimeout {
				l.readBy = now.Add(2 * idleTimeout)
				_ = l.conn.SetReadDeadline(l.readBy)
			}
			if ctx.Err() != nil { // the deadline of the end must not be undone
				return false
			}
			n, err := l.conn.Read(l.buf[len(l.buf):cap(l.buf)])
			if l.buf = l.buf[:len(l.buf)+n]; err != nil && n == 0 {
				return false
			}
			continue
		}
		path, ok := plainGET(l.buf[:end+2])
		if !ok || l.server.cfg.Also[path] != nil {
			return true
		}
		l.buf = l.buf[:copy(l.buf, l.buf[end+4:])]
		if !l.serve(ctx, path) {
			return false
		}
	}
	return false
}

// bareLF reports whether a line ends without CR, as those of simple clients do.
func bareLF(b []byte) bool { return bytes.Count(b, []byte("\n")) != bytes.Count(b, []byte("\r\n")) }

// plainGET reads the head of a request, up to the end of its last line. It
// accepts what boot loaders send and nothing that could mean more than "give me
// this file": no query, escape, condition, range or body, and no header it does
// not know.
func plainGET(head []byte) (path string, ok bool) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	target, isGET := bytes.CutPrefix(line, []byte("GET "))
	target, is11 := bytes.CutSuffix(target, []byte(" HTTP/1.1"))
	if !isGET || !is11 || len(target) == 0 || target[0] != '/' {
		return "", false
	}
	for _, c := range target {
		if c <= ' ' || c >= 0x7f || c == '%' || c == '?' || c == '#' {
			return "", false
		}
	}
	hosts := 0
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, colon := bytes.Cut(line, []byte(":"))
		if !colon || bytes.ContainsAny(value, "\r\n\x00") {
			return "", false
		}
		switch {
		case bytes.EqualFold(name, []byte("Host")):
			hosts++
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(bytes.TrimSpace(value), []byte("keep-alive")):
		case bytes.EqualFold(name, []byte("User-Agent")), bytes.EqualFold(name, []byte("Accept")),
			bytes.EqualFold(name, []byte("Accept-Encoding")), bytes.EqualFold(name, []byte("Accept-Language")):
		default:
			return "", false
		}
	}
	if hosts != 1 {
		return "", false
	}
	return string(target), true
}

// serve answers one request. It reports whether the connection can go on.
func (l *lane) serve(ctx context.Context, path string) bool {
	s := l.server
	if !s.http.enter(ctx, l.in.addr) {
		_, _ = l.conn.Write(l.refusal(errBusy))
		return false
	}
	defer s.http.leave(l.in.addr)
	start := time.Now()
	in := l.in
	in.path = path
	c, e, err := s.open(ctx, in)
	if err != nil {
		_, werr := l.conn.Write(l.refusal(err))
		e.Duration = time.Since(start)
		s.finish(e, err)
		return werr == nil
	}
	defer c.Close()
	e.Bytes, err = l.send(path, c)
	e.Duration = time.Since(start)
	if err != nil {
		err = brokenOff(l.conn.RemoteAddr().String(), e.Bytes, err)
	}
	s.finish(e, err)
	return err == nil
}

// send writes head and body, at once when the body is in memory, else by
// sendfile when it is a plain file. A loop of sendfile and poll on a thread of its
// own, past the runtime's poller, gains nothing: 200 MB between two namespaces cost
// 0.29 s of CPU per GB so, 0.28 that way and 0.27 in nginx, medians of six runs.
func (l *lane) send(path string, c content) (int64, error) {
	l.extend(c.size)
	b := l.head(http.StatusOK, "OK", c.size)
	b = append(append(b, "Content-Type: "...), contentType(path, c)...)
	if c.text {
		b = append(b, "\r\nCache-Control: no-store"...)
	}
	if !c.modTime.IsZero() {
		b = append(append(b, "\r\nETag: "...), c.etag()...)
		b = append(b, "\r\nLast-Modified: "...)
		b = c.modTime.UTC().AppendFormat(b, http.TimeFormat)
		b = append(b, "\r\nAccept-Ranges: bytes"...)
	}
	b = append(b, "\r\n\r\n"...)
	if c.data != nil {
		return l.sendBoth(b, c.data)
	}
	l.keep(b)
	if _, err := l.conn.Write(b); err != nil {
		return 0, err
	}
	n, err := io.CopyN(l.conn, c.ReadCloser, c.size)
	if errors.Is(err, io.EOF) { // the file shrank: the client must not wait for the rest
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// extend bounds how long an answer may take.
func (l *lane) extend(size int64) {
	if now := time.Now(); l.writeBy.Sub(now) < patience(size) {
		l.writeBy = now.Add(2 * patience(size))
		_ = l.conn.SetWriteDeadline(l.writeBy)
	}
}

// sendBoth writes what is in memory with one system call.
func (l *lane) sendBoth(head, body []byte) (int64, error) {
	const few = 4 << 10 // bytes that are cheaper to copy than to list
	var n int64
	var err error
	before := int64(len(head))
	if len(body) <= few {
		head = append(head, body...)
		var written int
		written, err = l.conn.Write(head)
		n = int64(written)
	} else {
		n, err = (&net.Buffers{head, body}).WriteTo(l.conn)
	}
	l.keep(head)
	return max(n-before, 0), err
}

// keep has the next answer written into the same memory.
func (l *lane) keep(b []byte) { l.out = b[:0] }

// head begins an answer.
func (l *lane) head(status int, text string, size int64) []byte {
	b := append(l.out[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), text...)
	b = append(append(b, "\r\nDate: "...), l.server.date.now()...)
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), size, 10)
	return append(b, "\r\n"...)
}

// errBusy is why a request is not served.
var errBusy = errors.New("pxe: too many requests wait")

// refusal is what a client is told instead of a file: never why.
func (l *lane) refusal(err error) []byte {
	status, text := http.StatusInternalServerError, failedText
	switch {
	case errors.Is(err, fs.ErrNotExist):
		status, text = http.StatusNotFound, absentText
	case err == errBusy:
		status, text = http.StatusServiceUnavailable, busyText
	}
	l.extend(0)
	b := l.head(status, http.StatusText(status), int64(len(text))+1)
	b = append(b, "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\r\n"...)
	b = append(append(b, text...), '\n')
	l.keep(b)
	return b
}

// date is the time as HTTP writes it, made once a second.
type date struct{ last atomic.Pointer[dated] }

type dated struct {
	second int64
	text   string
}

func (d *date) now() string {
	now := time.Now()
	if last := d.last.Load(); last != nil && last.second == now.Unix() {
		return last.text
	}
	next := &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
	d.last.Store(next)
	return next.text
}
