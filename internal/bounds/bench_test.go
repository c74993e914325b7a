package bounds_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/internal/bounds"
)

// flood is a listener with a new connection of another client at each call.
type flood struct {
	net.Listener
	sources, n int
}

func (f *flood) Accept() (net.Conn, error) {
	f.n++
	from := netip.AddrFrom4([4]byte{10, 0, byte(f.n % f.sources >> 8), byte(f.n % f.sources)})
	return &fakeConn{from: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 1024))}, nil
}

func (f *flood) Addr() net.Addr { return &net.TCPAddr{} }

// Connections that are never closed keep the listener at its limit, so that each one looks for a victim.
func BenchmarkAcceptWhenFull(b *testing.B) {
	for _, sources := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("sources=%d", sources), func(b *testing.B) {
			ln := bounds.Listen(&flood{sources: sources}, bounds.Limits{Total: 2048})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ln.Accept(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	ln := bounds.Listen(&flood{sources: 1}, bounds.Limits{})
	conn, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64)
	for b.Loop() {
		_, _ = conn.Read(buf)
	}
}
