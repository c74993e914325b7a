package dhcpsrv_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/journal"
)

// campus is a subnet with room for a million.
func campus() dhcpsrv.Snapshot {
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "campus", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Link: "eth0", Server: ip("10.0.0.1"),
		Pools:   []dhcpsrv.Pool{{First: ip("10.1.0.0"), Last: ip("10.32.255.255")}},
		Routers: []netip.Addr{ip("10.0.0.1")}, DNS: []netip.Addr{ip("10.0.0.1")}, Domain: "campus.test",
	}}}
}

func macOf(i uint32) net.HardwareAddr {
	return binary.BigEndian.AppendUint32(net.HardwareAddr{2, 0}, i)
}

// dora makes DISCOVER and REQUEST of one client as templates to patch.
type dora struct{ discover, request []byte }

func newDORA(b testing.TB) dora {
	c := newClient(b, nil, macOf(0), dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer))
	return dora{c.packet(dhcpv4.MessageTypeDiscover).ToBytes(), c.packet(dhcpv4.MessageTypeRequest, withServer(net.IP{10, 0, 0, 1}), withWanted(net.IP{10, 1, 2, 3})).ToBytes()}
}

// run does one exchange as client i. The bytes are patched in place.
func (d dora) run(b *testing.B, s *dhcpsrv.Server, i uint32) {
	copy(d.discover[28:], macOf(i))
	copy(d.request[28:], macOf(i))
	offer, ok := s.Handle(context.Background(), dhcpsrv.Packet{Data: d.discover, Link: "eth0"})
	if !ok {
		b.Fatal("no offer")
	}
	for at := 240; ; at += 2 + int(d.request[at+1]) {
		if d.request[at] == 50 {
			copy(d.request[at+2:], offer.Data[16:20])
			break
		}
	}
	if ack, ok := s.Handle(context.Background(), dhcpsrv.Packet{Data: d.request, Link: "eth0"}); !ok || ack.Data[242] != 5 {
		b.Fatal("no ack")
	}
}

func BenchmarkDiscover(b *testing.B) {
	s := newServer(b, dhcpsrv.Config{}, campus())
	d := newDORA(b)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i = (i + 1) % 1000
		copy(d.discover[28:], macOf(i))
		if _, ok := s.Handle(context.Background(), dhcpsrv.Packet{Data: d.discover, Link: "eth0"}); !ok {
			b.Fatal("no offer")
		}
	}
}

// BenchmarkDORA measures whole exchanges with the leases in memory, and on disk with as many clients waiting at once.
func BenchmarkDORA(b *testing.B) {
	for _, leases := range []uint32{1000, 100_000} {
		b.Run(fmt.Sprintf("Memory%d", leases), func(b *testing.B) {
			s := newServer(b, dhcpsrv.Config{}, campus())
			d := newDORA(b)
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				i = (i + 1) % leases
				d.run(b, s, i)
			}
		})
	}
	for _, parallel := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("Journal%d", parallel), func(b *testing.B) {
			s := newServer(b, dhcpsrv.Config{Store: openJournal(b, filepath.Join(b.TempDir(), "leases"))}, campus())
			var next atomic.Uint32
			b.SetParallelism(max(1, parallel/2)) // times GOMAXPROCS
			b.RunParallel(func(pb *testing.PB) {
				d := newDORA(b)
				for pb.Next() {
					d.run(b, s, next.Add(1))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
		})
	}
}

// BenchmarkRestart measures from opening a journal of 100,000 leases to a server that can answer.
func BenchmarkRestart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "leases")
	j, err := journal.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	s := newServer(b, dhcpsrv.Config{Store: j}, campus())
	var next atomic.Uint32
	b.SetParallelism(256)
	d := newDORA(b)
	for i := range uint32(1000) {
		d.run(b, s, i)
	}
	var batch []dhcpsrv.Lease
	for l := range s.Leases() {
		for range 99 {
			n := next.Add(1)
			l.MAC, l.Addr = macOf(1000+n), netip.AddrFrom4([4]byte{10, 64, byte(n >> 8), byte(n)})
			l.Addr = netip.AddrFrom4([4]byte{10, byte(64 + n>>16), byte(n >> 8), byte(n)})
			batch = append(batch, l)
		}
	}
	if err := j.Commit(context.Background(), batch); err != nil {
		b.Fatal(err)
	}
	j.Close()
	for b.Loop() {
		j, err := journal.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		newServer(b, dhcpsrv.Config{Store: j}, campus())
		j.Close()
	}
}
