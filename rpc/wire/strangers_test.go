package wire_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/gomaas/maas/rpc"
)

// strangers opens connections from so many addresses of this host and begins each with some octets.
func strangers(t *testing.T, to string, addresses, each int, begin string) {
	t.Helper()
	for i := range addresses {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}
		for range each {
			conn, err := dialer.Dial("tcp", to)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			fmt.Fprint(conn, begin) // it may be closed by now
		}
	}
}

// Connections that prove nothing take no place from racks: neither from sessions, nor from a rack that connects.
func TestStrangersTakeNoPlaceOfRacks(t *testing.T) {
	for name, flood := range map[string]struct {
		addresses, each int
		begin           string
	}{
		"one address":            {1, 600, ""},
		"many addresses":         {60, 10, ""},
		"half a record":          {40, 16, "\x16\x03\x01\x02\x00\x01"},
		"another protocol":       {20, 16, "GET / HTTP/1.1\r\n\r\n"},
		"more than one a source": {10, 60, "\x16"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rpc.NewRegion(rpc.RegionConfig{}))
			before, err := s.dialer(s.identity(t, "rack-1")).Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer before.(interface{ Close() error }).Close()
			strangers(t, s.address, flood.addresses, flood.each, flood.begin)
			if _, err := before.Call(t.Context(), "nothing", nil); !isUnknown(err) {
				t.Errorf("the session of before: %v", err)
			}
			after, err := s.dialer(s.identity(t, "rack-2")).Dial(t.Context())
			if err != nil {
				t.Fatalf("a rack that connects: %v", err)
			}
			after.(interface{ Close() error }).Close()
		})
	}
}

// A stolen identity opens sessions without end: those of other racks stay, and its own are bounded.
func TestSessionsOfOneRackAreBounded(t *testing.T) {
	s := newSite(t, rpc.NewRegion(rpc.RegionConfig{}))
	honest, err := s.dialer(s.identity(t, "rack-1")).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer honest.(interface{ Close() error }).Close()
	id := s.identity(t, "rack-2")
	var all []rpc.Conn
	for range 40 {
		conn, err := s.dialer(id).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.(interface{ Close() error }).Close() })
		all = append(all, conn)
	}
	open := func() (n int) {
		for _, conn := range all {
			if _, err := conn.Call(t.Context(), "nothing", nil); isUnknown(err) {
				n++
			}
		}
		return n
	}
	waitFor(t, "sessions above the bound end", func() bool { n := open(); return n > 0 && n <= 17 })
	if _, err := honest.Call(t.Context(), "nothing", nil); !isUnknown(err) {
		t.Errorf("the session of another rack: %v", err)
	}
}

// isUnknown reports whether a region answered a call of a method that it does not have.
func isUnknown(err error) bool { return errors.Is(err, rpc.ErrUnknownMethod) }
