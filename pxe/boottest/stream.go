package boottest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// listener is a TCP port of a node.
type listener struct {
	node    *Node
	addr    netip.AddrPort
	backlog chan *stream
	once    sync.Once
	closed  chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	case s := <-l.backlog:
		return s, nil
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.node.mu.Lock()
		if l.node.tcp[l.addr.Port()] == l {
			delete(l.node.tcp, l.addr.Port())
		}
		l.node.mu.Unlock()
		l.refuse()
	})
	return nil
}

// refuse breaks the connections that will not be accepted any more.
func (l *listener) refuse() {
	for {
		select {
		case s := <-l.backlog:
			s.abort(errReset)
		default:
			return
		}
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// dialTCP connects to a listener of the segment.
func (n *Node) dialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	peer := n.seg.owner(to.Addr())
	if peer == nil {
		return nil, syscall.EHOSTUNREACH
	}
	peer.mu.Lock()
	l := peer.tcp[to.Port()]
	peer.mu.Unlock()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	n.mu.Lock()
	from := netip.AddrPortFrom(n.addr, n.freePort(func(uint16) bool { return false }))
	n.mu.Unlock()
	if !from.Addr().IsValid() {
		return nil, syscall.ENETUNREACH
	}
	here, there := newStreams(n, from, peer, to)
	// A round trip passes before the first byte, as it does in a boot over a slow link.
	if n.seg.Delay > 0 { // the handshake
		if err := until(time.Now().Add(2*n.seg.Delay), ctx.Done(), ctx.Err, &deadline{}); err != nil {
			return nil, err
		}
	}
	select {
	case l.backlog <- there:
		// The listener may have been closed in between; a stream left in its backlog would wait for
		// ever.
		if isClosed(l.closed) {
			l.refuse()
		}
		return here, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// window bounds the bytes of a stream in transit.
const window = 256 << 10

// pipe is one direction of a stream.
type pipe struct {
	to *Node // whose line it takes

	mu      sync.Mutex
	chunks  []chunk
	size    int
	ended   bool  // the writer has closed
	err     error // the stream is broken
	changed chan struct{}
}

// chunkSize is small enough that the delay and the rate of the segment hold within a file and not
// only for all of it.
const chunkSize = 16 << 10

// chunk is a piece of a stream in transit.
type chunk struct {
	data []byte // what is left of it
	due  time.Time
	buf  *[chunkSize]byte // to be used again
}

// chunks are buffers of pieces that were read. A large site moves tens of gigabytes in streams, and
// would spend a third of its time in the garbage collector.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// notify wakes all calls that wait for a change; the caller holds p.mu.
func (p *pipe) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
	p.notify()
}

func (p *pipe) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.notify()
}

// stream is one end of a TCP connection.
type stream struct {
	node          *Node
	local, remote netip.AddrPort
	in, out       *pipe
	once          sync.Once
	closed        chan struct{}
	read, write   deadline
}

func newStreams(a *Node, from netip.AddrPort, b *Node, to netip.AddrPort) (here, there *stream) {
	up := &pipe{to: b, changed: make(chan struct{})}
	down := &pipe{to: a, changed: make(chan struct{})}
	here = &stream{node: a, local: from, remote: to, in: down, out: up, closed: make(chan struct{})}
	there = &stream{node: b, local: to, remote: from, in: up, out: down, closed: make(chan struct{})}
	for _, s := range []*stream{here, there} {
		s.node.mu.Lock()
		if s.node.streams == nil {
			s.node.streams = make(map[*stream]bool)
		}
		// So that a power cut can end them.
		s.node.streams[s] = true
		s.node.mu.Unlock()
	}
	return here, there
}

// Read implements net.Conn.
func (s *stream) Read(b []byte) (int, error) {
	n, err := s.readSome(b)
	if err != nil && err != io.EOF {
		err = &net.OpError{Op: "read", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
	}
	return n, err
}

func (s *stream) readSome(b []byte) (int, error) {
	for {
		p := s.in
		p.mu.Lock()
		var due time.Time
		switch {
		case s.isClosed():
			p.mu.Unlock()
			return 0, net.ErrClosed
		case len(b) == 0:
			p.mu.Unlock()
			return 0, nil
		case len(p.chunks) > 0:
			if due = p.chunks[0].due; arrived(due) {
				n := p.take(b)
				p.mu.Unlock()
				return n, nil
			}
		case p.err != nil || p.ended:
			err := p.err
			p.mu.Unlock()
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		changed := p.changed
		p.mu.Unlock()
		if err := s.await(changed, due, &s.read); err != nil {
			return 0, err
		}
	}
}

// take moves what is due into b; the caller holds p.mu.
func (p *pipe) take(b []byte) (n int) {
	for len(p.chunks) > 0 && n < len(b) && arrived(p.chunks[0].due) {
		c := &p.chunks[0]
		m := copy(b[n:], c.data)
		n += m
		if c.data = c.data[m:]; len(c.data) == 0 {
			chunks.Put(c.buf)
			*c = chunk{}
			p.chunks = p.chunks[1:]
		}
	}
	p.size -= n
	p.notify()
	return n
}

// await waits for a change of a pipe, or for a time unless it is zero.
func (s *stream) await(changed <-chan struct{}, due time.Time, dl *deadline) error {
	var timer <-chan time.Time
	if !due.IsZero() {
		t := time.NewTimer(time.Until(due))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-changed:
	case <-timer:
	case <-s.closed:
		return net.ErrClosed
	case <-dl.wait():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Write implements net.Conn.
func (s *stream) Write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := s.writeSome(b[n:])
		n += m
		if err != nil {
			return n, &net.OpError{Op: "write", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
		}
	}
	return n, nil
}

func (s *stream) writeSome(b []byte) (int, error) {
	select {
	case <-s.write.wait():
		return 0, os.ErrDeadlineExceeded
	default:
	}
	p := s.out
	p.mu.Lock()
	switch {
	case s.isClosed() || p.ended:
		p.mu.Unlock()
		return 0, net.ErrClosed
	case p.err != nil:
		defer p.mu.Unlock()
		return 0, p.err
	case p.size >= window:
		changed := p.changed
		p.mu.Unlock()
		return 0, s.await(changed, time.Time{}, &s.write)
	}
	defer p.mu.Unlock()
	n := min(len(b), window-p.size, chunkSize)
	buf := chunks.Get().(*[chunkSize]byte)
	copy(buf[:], b[:n])
	p.chunks = append(p.chunks, chunk{buf[:n], p.to.seg.due(p.to, n), buf})
	p.size += n
	p.notify()
	return n, nil
}

func (s *stream) isClosed() bool { return isClosed(s.closed) }

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// Close implements net.Conn: the other end reads what is under way and then the end; what it writes
// fails.
func (s *stream) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.out.end()
		s.in.fail(syscall.EPIPE)
		s.node.mu.Lock()
		defer s.node.mu.Unlock()
		delete(s.node.streams, s)
	})
	return nil
}

// CloseWrite ends the stream towards the other end, as (*net.TCPConn).CloseWrite does.
func (s *stream) CloseWrite() error {
	s.out.end()
	return nil
}

// abort breaks both directions.
func (s *stream) abort(err error) {
	s.out.fail(err)
	s.in.fail(errors.Join(net.ErrClosed, err))
	s.Close()
}

// LocalAddr implements net.Conn.
func (s *stream) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.local) }

// RemoteAddr implements net.Conn.
func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }

// SetDeadline implements net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	s.read.set(t)
	s.write.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.read.set(t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (s *stream) SetWriteDeadline(t time.Time) error {
	s.write.set(t)
	return nil
}
