package bounds_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// fakeListener accepts what a test hands to it.
type fakeListener struct {
	next   chan any // a net.Conn or an error
	closed chan struct{}
	close  func()
}

func newFakeListener() *fakeListener {
	closed := make(chan struct{})
	return &fakeListener{next: make(chan any), closed: closed, close: sync.OnceFunc(func() { close(closed) })}
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case v := <-l.next:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(net.Conn), nil
	case <-l.closed:
		return nil, io.EOF // as listeners in memory do; net.ErrClosed is not asked of them
	}
}

func (l *fakeListener) Close() error   { l.close(); return nil }
func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

// fakeConn is a connection of a client with any address, which always has something to read.
type fakeConn struct {
	net.Conn
	from   net.Addr
	closed atomic.Bool
}

func (c *fakeConn) RemoteAddr() net.Addr        { return c.from }
func (c *fakeConn) Read(b []byte) (int, error)  { return len(b), nil }
func (c *fakeConn) Write(b []byte) (int, error) { return len(b), nil }
func (c *fakeConn) Close() error                { c.closed.Store(true); return nil }

// site is a listener with the connections that it accepted.
type site struct {
	t  *testing.T
	ln *bounds.Listener
	in *fakeListener
}

func newSite(t *testing.T, limits bounds.Limits) *site {
	in := newFakeListener()
	s := &site{t: t, in: in, ln: bounds.Listen(in, limits)}
	t.Cleanup(func() { s.ln.Close() })
	return s
}

// connect returns both ends of a connection; the accepted one is nil if it was refused.
func (s *site) connect(from string) (net.Conn, *fakeConn) {
	s.t.Helper()
	raw := &fakeConn{from: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 1024))}
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := s.ln.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	s.in.next <- raw
	last := &fakeConn{from: &net.UnixAddr{}}
	select {
	case conn := <-accepted:
		return conn, raw
	case s.in.next <- last: // Accept asks again, so raw was refused
		conn := <-accepted
		conn.Close()
		return nil, raw
	}
}

// An error of Accept is a moment without descriptors, memory or patience of a client. None of them ends a server.
func TestAcceptOutlivesErrors(t *testing.T) {
	for _, err := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM,
		syscall.ENETDOWN, syscall.EHOSTUNREACH, syscall.EINTR, os.ErrDeadlineExceeded, io.ErrUnexpectedEOF, errors.New("odd"),
	} {
		t.Run(err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var text strings.Builder
				s := newSite(t, bounds.Limits{Log: slog.New(slog.NewTextHandler(&text, nil))})
				began := time.Now()
				go func() {
					for range 100 {
						s.in.next <- &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
					}
					s.in.next <- &fakeConn{from: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)}}
				}()
				if _, err := s.ln.Accept(); err != nil {
					t.Fatal(err)
				}
				// A broken listener must not take a processor, and one that works again must not wait for long.
				if took := time.Since(began); took < 80*time.Second || took > 100*time.Second {
					t.Errorf("100 errors took %v", took)
				}
				if n := strings.Count(text.String(), "\n"); n < 1 || n > 6 {
					t.Errorf("%d log lines:\n%s", n, text.String())
				}
			})
		})
	}
}

func TestCloseEndsAccept(t *testing.T) {
	for name, during := range map[string]func(*site){
		"while it waits": func(*site) {},
		"in a pause":     func(s *site) { s.in.next <- syscall.EMFILE },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, bounds.Limits{})
				ended := make(chan error, 1)
				go func() {
					_, err := s.ln.Accept()
					ended <- err
				}()
				during(s)
				synctest.Wait()
				s.ln.Close()
				s.ln.Close() // as servers do
				if err := <-ended; err == nil {
					t.Error("Accept returned a connection")
				}
			})
		})
	}
}

// The accepting loop ends, too, when something else closed the socket below it.
func TestClosedSocketEndsAccept(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := bounds.Listen(raw, bounds.Limits{})
	raw.Close()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
}

func TestOldestIdleConnectionGivesWay(t *testing.T) {
	for name, source := range map[string]func(i int) string{
		"IPv4":      func(int) string { return "192.0.2.7" },
		"IPv6 host": func(int) string { return "2001:db8::7" },
		"IPv6 /64":  func(i int) string { return fmt.Sprintf("2001:db8::%x:7", i) },
		"mapped":    func(int) string { return "::ffff:192.0.2.7" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, bounds.Limits{PerSource: 3, Total: 6})
			first, rawFirst := s.connect(source(1))
			_, second := s.connect(source(2))
			_, third := s.connect(source(3))
			_, other := s.connect("198.51.100.1")
			_, _ = first.Read(make([]byte, 1)) // so that the second is idle longest
			if conn, _ := s.connect(source(4)); conn == nil {
				t.Fatal("a connection was refused although another is idle")
			}
			if !second.closed.Load() || rawFirst.closed.Load() || third.closed.Load() || other.closed.Load() {
				t.Errorf("closed: first %v, second %v, third %v, another client's %v; want the second",
					rawFirst.closed.Load(), second.closed.Load(), third.closed.Load(), other.closed.Load())
			}
			bounds.Busy(first, true)
			bounds.Busy(first, true)
			s.connect(source(5))
			s.connect(source(6))
			s.connect(source(7))
			if rawFirst.closed.Load() {
				t.Error("a connection with a request in progress was closed for an idle one")
			}
			bounds.Busy(first, false)
			for i := range 3 {
				s.connect(source(8 + i))
			}
			if !rawFirst.closed.Load() {
				t.Error("a connection without a request keeps its place")
			}
		})
	}
}

// Machines of one network, as on a VLAN, are no single source, and take no more than half of the places.
func TestANetworkHasHalfOfThePlaces(t *testing.T) {
	s := newSite(t, bounds.Limits{Total: 100, PerSource: 4})
	_, other := s.connect("2001:db8:1::1")
	var raws []*fakeConn
	for i := range 60 {
		conn, raw := s.connect(fmt.Sprintf("2001:db8::%x", i+1))
		if conn == nil {
			t.Fatalf("machine %d was refused", i)
		}
		raws = append(raws, raw)
	}
	open := 0
	for _, raw := range raws {
		if !raw.closed.Load() {
			open++
		}
	}
	if open != 50 || other.closed.Load() || !raws[0].closed.Load() || raws[59].closed.Load() {
		t.Errorf("%d of 60 connections are open, another network's closed: %v", open, other.closed.Load())
	}
}

func TestBusySourceIsRefused(t *testing.T) {
	s := newSite(t, bounds.Limits{PerSource: 2})
	for range 2 {
		conn, _ := s.connect("192.0.2.7")
		bounds.Busy(conn, true)
	}
	if conn, raw := s.connect("192.0.2.7"); conn != nil || !raw.closed.Load() {
		t.Error("a third connection was accepted, or left open")
	}
	if conn, _ := s.connect("192.0.2.8"); conn == nil {
		t.Error("another client was refused")
	}
}

// When all places are taken, the sources with many connections lose theirs, be they idle or busy, and honest clients with one keep it.
func TestManyConnectionsOfFewSourcesGiveWay(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, bounds.Limits{Total: 64, PerSource: 16})
			var honest []*fakeConn
			connect := func() {
				conn, raw := s.connect(fmt.Sprintf("192.0.2.%d", len(honest)+1))
				if conn == nil {
					t.Fatalf("honest client %d was refused", len(honest)+1)
				}
				bounds.Busy(conn, len(honest)%2 == 0)
				honest = append(honest, raw)
			}
			connect()
			for round := range 20 {
				for i := range 64 {
					if conn, _ := s.connect(fmt.Sprintf("198.51.100.%d", i%5)); conn != nil && busy {
						bounds.Busy(conn, true)
					}
				}
				if round < 10 {
					connect()
				}
			}
			for i, raw := range honest {
				if raw.closed.Load() {
					t.Errorf("honest client %d lost its connection", i+1)
				}
			}
		})
	}
}

func TestAdmittedConnectionsAreApart(t *testing.T) {
	s := newSite(t, bounds.Limits{Total: 4, PerSource: 2, Admitted: 3})
	var admitted []net.Conn
	for i := range 3 {
		conn, _ := s.connect("192.0.2.7")
		for range 2 { // a second time changes nothing
			if !bounds.Admit(conn) {
				t.Fatalf("connection %d was not admitted", i)
			}
		}
		admitted = append(admitted, conn)
	}
	for i := range 20 {
		s.connect(fmt.Sprintf("192.0.2.%d", 7+i%3))
	}
	for i, conn := range admitted {
		if conn.(interface{ NetConn() net.Conn }).NetConn().(*fakeConn).closed.Load() {
			t.Errorf("strangers closed the admitted connection %d", i)
		}
	}
	more, _ := s.connect("192.0.2.7")
	if bounds.Admit(more) {
		t.Error("a fourth connection was admitted")
	}
	admitted[0].Close()
	admitted[0].Close()
	if !bounds.Admit(more) {
		t.Error("the place of a closed connection is not given again")
	}
	gone, _ := s.connect("192.0.2.9")
	for range 4 {
		s.connect("192.0.2.9")
	}
	admitted[1].Close()
	if bounds.Admit(gone) {
		t.Error("a connection that gave way was admitted")
	}
	if !bounds.Admit(&fakeConn{}) {
		t.Error("a connection of no Listener is not admitted")
	}
}

// Whatever happens in whatever order, the bounds hold and no place is lost.
func TestPlacesAddUp(t *testing.T) {
	const total, each, most = 12, 4, 5
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		s := newSite(t, bounds.Limits{Total: total, PerSource: each, Admitted: most})
		type known struct {
			conn     net.Conn
			raw      *fakeConn
			from     string
			admitted bool
		}
		var all []*known
		for range 200 {
			switch act := rnd.IntN(10); {
			case act < 5 || len(all) == 0:
				from := fmt.Sprintf("192.0.2.%d", 1+rnd.IntN(6))
				if conn, raw := s.connect(from); conn != nil {
					all = append(all, &known{conn, raw, from, false})
				}
			case act == 5:
				all[rnd.IntN(len(all))].conn.Close()
			case act == 6:
				k := all[rnd.IntN(len(all))]
				k.admitted = bounds.Admit(k.conn) && !k.raw.closed.Load()
			case act == 7:
				bounds.Busy(all[rnd.IntN(len(all))].conn, rnd.IntN(2) == 0)
			default:
				_, _ = all[rnd.IntN(len(all))].conn.Read(make([]byte, 1))
			}
			waiting, admitted, sources := 0, 0, map[string]int{}
			for _, k := range all {
				switch {
				case k.raw.closed.Load():
				case k.admitted:
					admitted++
				default:
					waiting++
					sources[k.from]++
				}
			}
			for from, n := range sources {
				if n > each {
					t.Fatalf("seed %d: %s has %d connections", seed, from, n)
				}
			}
			if waiting > total || admitted > most {
				t.Fatalf("seed %d: %d connections and %d admitted", seed, waiting, admitted)
			}
		}
		for _, k := range all {
			k.conn.Close()
		}
		for i := range total {
			if conn, _ := s.connect(fmt.Sprintf("198.51.100.%d", i)); conn == nil || !bounds.Admit(conn) && i < most {
				t.Fatalf("seed %d: after all were closed, connection %d finds no place", seed, i)
			}
		}
	}
}

// A TCP connection can still do what net/http and the proxy look for.
func TestTCPKeepsItsAbilities(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := bounds.Listen(raw, bounds.Limits{})
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, sends := conn.(io.ReaderFrom)
	_, raws := conn.(syscall.Conn)
	half, halves := conn.(interface{ CloseWrite() error })
	if !sends || !raws || !halves {
		t.Fatalf("ReadFrom %v, SyscallConn %v, CloseWrite %v", sends, raws, halves)
	}
	if _, err := io.Copy(conn, strings.NewReader("all of it")); err != nil {
		t.Fatal(err)
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "all of it" {
		t.Errorf("received %q, %v", got, err)
	}
}
