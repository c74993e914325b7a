package dhcpsrv

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
)

// sink is a conn that counts what is sent.
type sink struct {
	BatchConn
	sent chan int
}

func (s sink) WriteBatch(out []Reply, _ func(int, error)) { s.sent <- len(out) }

// noStore keeps nothing, so that only the server's own work is measured.
type noStore struct{ MemStore }

func (*noStore) Commit(context.Context, []Lease) error { return nil }

// servedPath returns a function that serves one packet of one of 1,000 known clients, whose lease is renewed and stored.
func servedPath(tb testing.TB, six bool) func() {
	ip := netip.MustParseAddr
	snap := Snapshot{Subnets: []Subnet{{
		Name: "four", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Link: "eth0", Server: ip("10.0.0.1"), DNS: []netip.Addr{ip("10.0.0.1")},
		Pools: []Pool{{First: ip("10.1.0.0"), Last: ip("10.1.255.255")}},
	}, {
		Name: "six", Prefix: netip.MustParsePrefix("2001:db8::/64"), Link: "eth0", Server: ip("2001:db8::1"), DNS: []netip.Addr{ip("2001:db8::1")},
		Pools: []Pool{{First: ip("2001:db8::1:0"), Last: ip("2001:db8::1:ffff")}},
	}}}
	request := make([]byte, 300)
	copy(request, []byte{1, 1, 6})
	copy(request[236:], "\x63\x82\x53\x63\x35\x01\x03\x36\x04\x0a\x00\x00\x01\x32\x04\x0a\x01\x00\x00\x37\x02\x01\x06\xff")
	request6 := []byte("\x03abc\x00\x01\x00\x0a\x00\x03\x00\x01\x02\x00\x00\x00\x00\x00\x00\x03\x00\x0c\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x02\x00\x17\x00\x02\x00\x12")
	request6 = append(request6, serverDUID(ip("2001:db8::1"))...)
	packet := request
	if six {
		packet = request6
	}
	s, err := New(Config{Store: &noStore{}})
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Update(snap); err != nil {
		tb.Fatal(err)
	}
	out := sink{sent: make(chan int, 1)}
	box := newOutbox(s, nil, six, 0)
	box.conn = out
	p := Packet{Data: packet, Link: "eth0", Src: netip.MustParseAddrPort("[fe80::1]:546"), Dst: ip("ff02::1:2")}
	n := uint32(0)
	return func() {
		if six {
			binary.BigEndian.PutUint32(packet[14:], n)
		} else {
			binary.BigEndian.PutUint32(packet[30:], n+1)
			binary.BigEndian.PutUint16(packet[253:], uint16(n))
		}
		s.run(tb.Context(), box.job(&p))
		box.flush()
		<-out.sent
		n = (n + 1) % 1000
	}
}

// BenchmarkServed is the server's own path for one packet, without the socket and the store: the packets of known clients,
// each acknowledged after its commit.
func BenchmarkServed(b *testing.B) {
	for name, six := range map[string]bool{"4": false, "6": true} {
		b.Run(name, func(b *testing.B) {
			serve := servedPath(b, six)
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
	}
}
