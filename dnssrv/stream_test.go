package dnssrv_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// short is a listener that cannot accept for a while.
type short struct {
	net.Listener
	err   error
	times atomic.Int32
}

func (l *short) Accept() (net.Conn, error) {
	if l.times.Add(1) <= 3 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", l.err)}
	}
	return l.Listener.Accept()
}

// A moment without file descriptors or memory ends no DNS server.
func TestStreamOutlivesErrorsOfAccept(t *testing.T) {
	for _, cause := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ECONNABORTED, syscall.EPERM} {
		t.Run(cause.Error(), func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- example(t).ServeStream(ctx, &short{Listener: ln, err: cause}) }()
			if _, err := exchange(ln.Addr().String(), nil); err != nil {
				t.Error(err)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// exchange asks over TCP, from an address if it is not nil.
func exchange(server string, from net.IP) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion("www.maas.", dns.TypeA)
	c := dns.Client{Net: "tcp", Timeout: 20 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}}
	m, _, err := c.Exchange(q, server)
	return m, err
}

// Silent connections, of one client or of many, keep no other client from being answered. The server closes idle connections after
// ten seconds; an answer that came by that would exceed the deadline.
func TestSilentStreamsKeepNoneOut(t *testing.T) {
	for name, flood := range map[string]struct {
		clients, each int
		begin         string
	}{
		"one client":     {1, 600, ""},
		"many clients":   {50, 12, ""},
		"half a length":  {50, 12, "\x00"},
		"half a message": {50, 12, "\x00\xffab"},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, example(t))
			for i := range flood.clients {
				for range flood.each {
					conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}).Dial("tcp", server)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					fmt.Fprint(conn, flood.begin)
				}
			}
			began := time.Now()
			if _, err := exchange(server, net.IPv4(127, 0, 0, 9)); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("another client was answered after %v", took)
			}
		})
	}
}
