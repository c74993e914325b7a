package rack

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// A client has the MAC of its URL if DHCP gave that MAC its address, or another MAC of the same machine.
// Where another server gives out the addresses, it is believed.
func TestClaimsOfBoots(t *testing.T) {
	mac := func(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }
	addr := netip.MustParseAddr
	var store dhcpsrv.MemStore
	now := time.Now()
	var leases []dhcpsrv.Lease
	for n, end := range map[byte]time.Time{10: now.Add(time.Hour), 11: now.Add(-time.Minute)} {
		leases = append(leases, dhcpsrv.Lease{
			Addr: netip.AddrFrom4([4]byte{192, 0, 2, 100 + n}), MAC: mac(n), State: dhcpsrv.Bound, Subnet: "served", Start: now.Add(-2 * time.Hour), Changed: now.Add(-time.Hour), End: end,
		})
	}
	if err := store.Commit(t.Context(), leases); err != nil {
		t.Fatal(err)
	}
	server, err := dhcpsrv.New(dhcpsrv.Config{Store: &store})
	if err != nil {
		t.Fatal(err)
	}
	subnet := func(name, prefix string, mode dhcpsrv.Mode) dhcpsrv.Subnet {
		p := netip.MustParsePrefix(prefix)
		first := p.Addr().As4()
		first[3] = 100
		last := first
		last[3] = 199
		return dhcpsrv.Subnet{Name: name, Prefix: p, SharedNetwork: name, Server: p.Addr().Next(), Mode: mode, Pools: []dhcpsrv.Pool{{First: netip.AddrFrom4(first), Last: netip.AddrFrom4(last)}}}
	}
	snap := dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{subnet("served", "192.0.2.0/24", dhcpsrv.ModeServe), subnet("proxied", "198.51.100.0/24", dhcpsrv.ModeProxy)}}
	if err := server.Update(snap); err != nil {
		t.Fatal(err)
	}
	r := &Rack{dhcp: server}
	r.snapshot.Store(&snap)
	// Two interfaces of one machine.
	objects, err := pxerpc.Objects(pxerpc.Content{Machines: []pxerpc.Machine{{MAC: mac(10), Name: "node1"}, {MAC: mac(20), Name: "node1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.table.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		mac  net.HardwareAddr
		addr netip.Addr
		want bool
	}{
		"its own lease":                {mac(10), addr("192.0.2.110"), false},
		"mapped":                       {mac(10), addr("::ffff:192.0.2.110"), false},
		"another's lease":              {mac(9), addr("192.0.2.110"), true},
		"another of its interfaces":    {mac(20), addr("192.0.2.110"), false},
		"a lease that ended":           {mac(11), addr("192.0.2.111"), false},
		"another's that ended":         {mac(9), addr("192.0.2.111"), true},
		"no lease":                     {mac(9), addr("192.0.2.9"), true},
		"beside another DHCP server":   {mac(9), addr("198.51.100.9"), false},
		"of a network that is not its": {mac(9), addr("203.0.113.9"), false},
		"no MAC":                       {nil, addr("192.0.2.9"), false},
		"no address":                   {mac(9), netip.Addr{}, false},
	} {
		if got := r.claims(test.mac, test.addr); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What one client asks for is reported up to a rate; others are reported all the same.
func TestReportsOfBootsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit, one, other := newBootLimit(), netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("192.0.2.67")
		count := func(n int) (taken int) {
			for range n {
				if limit.take(one) {
					taken++
				}
			}
			return taken
		}
		if n := count(100_000); n != bootsOfOne.Burst {
			t.Errorf("%d reports of one client", n)
		}
		if !limit.take(other) {
			t.Error("another client is not reported")
		}
		time.Sleep(time.Second)
		if n := count(1000); n != 20 {
			t.Errorf("%d reports in a second", n)
		}
	})
}
