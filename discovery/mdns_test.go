package discovery_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/discovery"
)

// announcement is a multicast DNS answer from a device at 192.0.2.7.
func announcement(t *testing.T, records ...string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.Response, m.Authoritative = true, true
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		rr.Header().Class |= 1 << 15 // cache flush
		m.Answer = append(m.Answer, rr)
	}
	body, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	from := mac(7)
	b := append([]byte{1, 0, 0x5e, 0, 0, 0xfb}, from[:]...)
	b = append(b, 8, 0, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(28+len(body)))
	b = append(b, 0, 0, 0, 0, 255, 17, 0, 0, 192, 0, 2, 7, 224, 0, 0, 251, 0x14, 0xe9, 0x14, 0xe9)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(body)))
	return append(append(b, 0, 0), body...)
}

// hear decodes a packet, tells a table, and returns what it knows of an address afterwards.
func hear(t *testing.T, table *discovery.Table, addr string, packet []byte) (discovery.Device, *discovery.Counters) {
	t.Helper()
	c := new(discovery.Counters)
	d := discovery.Decoder{Counters: c}
	for _, s := range d.Decode(packet, 0, start, nil) {
		table.See("eth0", s, start)
	}
	for _, o := range table.Devices(start) {
		if o.Addr == netip.MustParseAddr(addr) {
			return o, c
		}
	}
	return discovery.Device{}, c
}

func TestMDNSNamesAndServices(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{})
	o, _ := hear(t, table, "192.0.2.7", announcement(t, "printer.local. 120 IN A 192.0.2.7", `Office\032printer._ipp._tcp.local. 120 IN SRV 0 0 631 printer.local.`))
	want := []discovery.Service{{Type: "_ipp._tcp", Name: "Office printer", Port: 631}}
	if o.Hostname() != "printer" || cmp.Diff(want, o.Services) != "" {
		t.Errorf("got %+v", o)
	}
	// Another name flushes the first one; a good-bye takes name and service back.
	if o, _ = hear(t, table, "192.0.2.7", announcement(t, "printer-2.local. 120 IN A 192.0.2.7")); len(o.Names) != 1 || o.Hostname() != "printer-2" {
		t.Errorf("got %+v", o.Names)
	}
	o, _ = hear(t, table, "192.0.2.7", announcement(t, "printer-2.local. 0 IN A 192.0.2.7", `Office\032printer._ipp._tcp.local. 0 IN SRV 0 0 631 printer-2.local.`))
	if len(o.Names) != 0 || len(o.Services) != 0 || !o.Sources.Has(discovery.MDNS) {
		t.Errorf("got %+v", o)
	}
}

func TestMDNSReverseNames(t *testing.T) {
	packet := announcement(t, "7.2.0.192.in-addr.arpa. 120 IN PTR printer.local.", "8.2.0.192.in-addr.arpa. 120 IN PTR www.example.com.",
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 120 IN PTR printer.local.", "arpa. 120 IN PTR x.local.")
	table := discovery.NewTable(discovery.TableConfig{})
	table.See("eth0", observation(7, "2001:db8::7"), start)
	if o, c := hear(t, table, "192.0.2.7", packet); o.Hostname() != "printer" || c.Foreign.Load() != 2 {
		t.Errorf("got %+v, %d foreign", o, c.Foreign.Load())
	}
	if o, _ := hear(t, table, "2001:db8::7", packet); o.Hostname() != "printer" {
		t.Errorf("got %+v", o)
	}
}

func TestMDNSHasNoSayOutsideOfLocal(t *testing.T) {
	o, c := hear(t, discovery.NewTable(discovery.TableConfig{}), "192.0.2.7", announcement(t, "www.example.com. 120 IN A 192.0.2.7", "local. 120 IN A 192.0.2.7"))
	if len(o.Names) != 0 || c.Foreign.Load() != 2 {
		t.Errorf("names %v, %d foreign", o.Names, c.Foreign.Load())
	}
}

// A device may speak of others, as reflectors do, but their addresses are not its.
func TestMDNSHearsay(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{})
	packet := announcement(t, "other.local. 120 IN A 192.0.2.8", "Other._ssh._tcp.local. 120 IN SRV 0 0 22 other.local.")
	if o, _ := hear(t, table, "192.0.2.8", packet); o.Addr.IsValid() {
		t.Errorf("believed: %+v", o)
	}
	if o, _ := hear(t, table, "192.0.2.7", packet); !o.Addr.IsValid() || len(o.Names) != 0 || len(o.Services) != 0 {
		t.Errorf("got %+v", o)
	}
	// It is known at that address too: then the name is right.
	s := observation(7, "192.0.2.8")
	table.See("eth0", s, start)
	if o, _ := hear(t, table, "192.0.2.8", packet); o.Hostname() != "other" || len(o.Services) != 1 {
		t.Errorf("got %+v", o)
	}
}

func TestNamesStandInOrderOfTrust(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{})
	s := observation(7, "192.0.2.7")
	for _, n := range []discovery.Name{{Name: "dhcp", Origin: discovery.DHCPv4}, {Name: "claimed", Origin: discovery.MDNS}} {
		s.Info = &discovery.Info{Names: []discovery.Name{n}}
		table.See("eth0", s, start)
	}
	table.Name(s.Addr, "real.example", start)
	if o := table.Devices(start)[0]; o.Hostname() != "real" || len(o.Names) != 3 || o.Names[1].Name != "claimed" {
		t.Errorf("got %+v", o.Names)
	}
	if events := table.Name(s.Addr, "", start); len(events) != 1 || events[0].Device.Hostname() != "claimed" {
		t.Errorf("got %+v", events)
	}
}
