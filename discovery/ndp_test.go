package discovery_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/ndp"

	"github.com/gomaas/maas/discovery"
)

// icmp6 builds the frame of an ICMPv6 message. Checksums are not looked at.
func icmp6(t testing.TB, from byte, source string, hops byte, body []byte) discovery.Frame {
	t.Helper()
	src, dst := netip.MustParseAddr(source).As16(), netip.MustParseAddr("ff02::1").As16()
	b := append([]byte{0x60, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), 58, hops}, src[:]...)
	b = append(append(b, dst[:]...), body...)
	sender := mac(from)
	frame := append(append([]byte{0x33, 0x33, 0, 0, 0, 1}, sender[:]...), 0x86, 0xdd)
	f, err := discovery.ParseFrame(append(frame, b...), 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// message encodes an NDP message.
func message(t testing.TB, m ndp.Message) []byte {
	t.Helper()
	b, err := ndp.MarshalMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func link(d ndp.Direction, n byte) ndp.Option {
	m := mac(n)
	return &ndp.LinkLayerAddress{Direction: d, Addr: m[:]}
}

func TestDecodeNeighborMessages(t *testing.T) {
	target := netip.MustParseAddr("2001:db8::7")
	solicit := func(o ...ndp.Option) []byte {
		return message(t, &ndp.NeighborSolicitation{TargetAddress: target, Options: o})
	}
	advert := func(o ...ndp.Option) []byte {
		return message(t, &ndp.NeighborAdvertisement{TargetAddress: target, Options: o})
	}
	for _, c := range []struct {
		name, source string
		hops         byte
		body         []byte
		want         string // address, MAC and whether it is tentative, or the error
	}{
		{"solicitation tells of its sender", "fe80::1", 255, solicit(), "fe80::1 02:00:00:00:00:01 false"},
		{"link address wins over the frame's", "fe80::1", 255, solicit(link(ndp.Source, 9)), "fe80::1 02:00:00:00:00:09 false"},
		{"link address of the other kind is not taken", "fe80::1", 255, solicit(link(ndp.Target, 9)), "fe80::1 02:00:00:00:00:01 false"},
		{"address that is asked for", "::", 255, solicit(), "2001:db8::7 02:00:00:00:00:01 true"},
		{"advertisement tells of its target", "fe80::1", 255, advert(link(ndp.Target, 9)), "2001:db8::7 02:00:00:00:00:09 false"},
		{"router solicitation", "fe80::1", 255, message(t, &ndp.RouterSolicitation{}), "fe80::1 02:00:00:00:00:01 false"},
		{"router solicitation without an address", "::", 255, message(t, &ndp.RouterSolicitation{}), discovery.ErrNoObservation.Error()},
		{"routed", "fe80::1", 254, solicit(), discovery.ErrMalformed.Error()},
		{"echo", "fe80::1", 255, []byte{128, 0, 0, 0, 0, 0, 0, 0}, discovery.ErrNoObservation.Error()},
		{"code", "fe80::1", 255, append([]byte{135, 1}, solicit()[2:]...), discovery.ErrMalformed.Error()},
		{"short", "fe80::1", 255, solicit()[:23], discovery.ErrMalformed.Error()},
		{"option of length zero", "fe80::1", 255, append(solicit(), 1, 0, 0, 0, 0, 0, 0, 0), discovery.ErrMalformed.Error()},
		{"option that is cut", "fe80::1", 255, append(solicit(), 1, 2, 0, 0, 0, 0, 0, 0), discovery.ErrMalformed.Error()},
	} {
		o, err := discovery.DecodeNDP(icmp6(t, 1, c.source, c.hops, c.body))
		got := o.Addr.String() + " " + o.MAC.String() + " " + map[bool]string{false: "false", true: "true"}[o.Tentative]
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDecodeRouterAdvertisements(t *testing.T) {
	full := &ndp.RouterAdvertisement{
		ManagedConfiguration: true, RouterLifetime: 30 * time.Minute,
		Options: []ndp.Option{
			&ndp.PrefixInformation{PrefixLength: 64, OnLink: true, Prefix: netip.MustParseAddr("2001:db8::")},
			&ndp.PrefixInformation{PrefixLength: 64, Prefix: netip.MustParseAddr("2001:db8:1::")},
			&ndp.RecursiveDNSServer{Servers: []netip.Addr{netip.MustParseAddr("2001:db8::53")}},
			&ndp.DNSSearchList{DomainNames: []string{"maas"}},
		},
	}
	badOption := append(message(t, full), 3, 1, 64, 0xc0, 0, 0, 0, 0) // a prefix has 32 octets
	reserved := message(t, &ndp.RouterAdvertisement{RouterLifetime: time.Minute})
	reserved[5] |= 0x10
	many := &ndp.RouterAdvertisement{}
	for i := range 20 {
		dns := netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)})
		many.Options = append(many.Options,
			&ndp.RecursiveDNSServer{Servers: []netip.Addr{dns}},
			&ndp.PrefixInformation{PrefixLength: 64, OnLink: true, Prefix: netip.AddrFrom16([16]byte{0x20, 1, 7: byte(i)})})
	}
	for _, c := range []struct {
		name string
		body []byte
		want string
	}{
		{"all there is", message(t, full), `{"lifetime":1800000000000,"managed":true,"prefixes":["2001:db8::/64"],"dns":["2001:db8::53"]}`},
		{"one bad option", badOption, `{"lifetime":1800000000000,"managed":true}`},
		{"reserved preference", reserved, `{"lifetime":60000000000}`},
	} {
		o, err := discovery.DecodeNDP(icmp6(t, 1, "fe80::1", 255, c.body))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got, _ := json.Marshal(o.Info.Router); string(got) != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	o, err := discovery.DecodeNDP(icmp6(t, 1, "fe80::1", 255, message(t, many)))
	if err != nil || len(o.Info.Router.Prefixes) != 16 || len(o.Info.Router.DNS) != 16 {
		t.Errorf("one advertisement is not bounded: %+v, %v", o.Info, err)
	}
	if _, err := discovery.DecodeNDP(icmp6(t, 1, "2001:db8::1", 255, message(t, full))); !errors.Is(err, discovery.ErrMalformed) {
		t.Errorf("router without a link-local address: %v", err)
	}
}

// Router advertisements take memory, so that a flood of them is cut; the neighbors beside them are all read.
func TestFloodOfRouterAdvertisementsIsBounded(t *testing.T) {
	raw := func(f discovery.Frame) []byte {
		return append(append(append([]byte{}, f.Dst[:]...), append(f.Src[:], 0x86, 0xdd)...), f.Payload...)
	}
	advert := raw(icmp6(t, 1, "fe80::1", 255, message(t, &ndp.RouterAdvertisement{})))
	neighbor := raw(icmp6(t, 2, "fe80::2", 255, message(t, &ndp.NeighborSolicitation{TargetAddress: netip.MustParseAddr("fe80::3")})))
	counters := new(discovery.Counters)
	d := discovery.Decoder{Counters: counters}
	routers, neighbors := 0, 0
	for range 5000 {
		routers += len(d.Decode(advert, 0, start, nil))
		neighbors += len(d.Decode(neighbor, 0, start, nil))
	}
	if routers != 2000 || neighbors != 5000 || counters.Limited.Load() != 3000 {
		t.Errorf("%d routers, %d neighbors, %d limited", routers, neighbors, counters.Limited.Load())
	}
}
