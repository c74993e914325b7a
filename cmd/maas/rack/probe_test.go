package rack_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
)

func TestProbeTakesTheInterfaceOfTheSubnet(t *testing.T) {
	var asked []string
	r, err := rack.New(rack.Config{
		Dir: t.TempDir(), Files: files, Loaders: loaders, Dial: func(context.Context) (rpc.Conn, error) { return nil, errors.New("no region") },
		Prober: dhcpsrv.ProberFunc(func(_ context.Context, link string, a netip.Addr) (bool, error) {
			asked = append(asked, link)
			return false, nil
		}),
		Links: func() ([]discovery.Interface, error) {
			return []discovery.Interface{
				{Name: "down0", Ethernet: true, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}},
				{Name: "tun0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/24")}},
				{Name: "eth0", Up: true, Ethernet: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}},
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, test := range []struct {
		name, addr string
		inUse      bool
		via        []string
	}{
		{"on the link", "192.0.2.9", false, []string{"eth0"}},
		{"on the link, IPv6", "2001:db8::9", false, []string{"eth0"}},
		{"the rack's own", "192.0.2.1", true, nil},
		{"the rack's own, link down", "198.51.100.1", true, nil},
		{"link down", "198.51.100.9", false, []string{""}},
		{"link without ARP", "203.0.113.9", false, []string{""}},
		{"behind a router", "10.0.0.9", false, []string{""}},
	} {
		asked = nil
		probed, err := dhcprpc.Probe(t.Context(), r.Methods(), netip.MustParseAddr(test.addr))
		if err != nil || probed.InUse != test.inUse || len(asked) != len(test.via) || len(asked) == 1 && asked[0] != test.via[0] {
			t.Errorf("%s: in use %v, err %v, probed over %q, want %v over %q", test.name, probed.InUse, err, asked, test.inUse, test.via)
		}
	}
}
