package examples_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
)

// vmNetworks is the DHCP service of a hypervisor's cluster: a network for each pool object, and an
// address for each interface of a virtual machine, given when the machine is made. Other clients
// get no answer. A restarted controller hands all objects over again.
type vmNetworks struct {
	server *dhcpsrv.Server
	pools  map[string]*ipam.Pool
}

// network is a pool object.
type network struct {
	Name     string
	Prefix   netip.Prefix
	Server   netip.Addr
	Router   netip.Addr
	DNS      []netip.Addr
	Excluded []netip.Addr
}

func (v *vmNetworks) setNetwork(ctx context.Context, n network) error {
	use := ipam.Usage{Subnet: ipam.Subnet{Prefix: n.Prefix, Gateway: n.Router}}
	for _, a := range append(n.Excluded, n.Server) {
		use.Allocations = append(use.Allocations, ipam.Allocation{Addr: a})
	}
	pool, err := ipam.NewPool(ctx, ipam.PoolConfig{Usage: use})
	if err != nil {
		return err
	}
	v.pools[n.Name] = pool
	return v.server.SetSubnet(dhcpsrv.Subnet{Name: n.Name, Prefix: n.Prefix, Link: n.Name, Server: n.Server, Routers: []netip.Addr{n.Router}, DNS: n.DNS})
}

// add gives an interface an address: that of before, if the object has one, or the next.
func (v *vmNetworks) add(ctx context.Context, network string, mac net.HardwareAddr, had netip.Addr) (addr netip.Addr, err error) {
	if addr = had; had.IsValid() {
		err = v.pools[network].Take(ctx, had, mac.String())
	} else {
		addr, err = v.pools[network].Next(ctx, mac.String())
	}
	if err != nil {
		return addr, err
	}
	return addr, v.server.Reserve(dhcpsrv.Reservation{Subnet: network, MAC: mac, Addr: addr})
}

// remove is for a machine that is deleted.
func (v *vmNetworks) remove(ctx context.Context, network string, mac net.HardwareAddr, addr netip.Addr) error {
	if err := v.server.Unreserve(dhcpsrv.Reservation{Subnet: network, MAC: mac, Addr: addr}); err != nil {
		return err
	}
	return v.pools[network].Release(ctx, addr)
}

func TestVMDHCP(t *testing.T) {
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	ok(err)
	v := &vmNetworks{server: server, pools: map[string]*ipam.Pool{}}
	ip := netip.MustParseAddr
	for _, n := range []network{
		{"net-48", netip.MustParsePrefix("192.168.48.0/24"), ip("192.168.48.77"), ip("192.168.48.1"), []netip.Addr{ip("1.1.1.1")}, []netip.Addr{ip("192.168.48.2")}},
		{"net-49", netip.MustParsePrefix("192.168.49.0/30"), ip("192.168.49.2"), ip("192.168.49.1"), nil, nil},
	} {
		ok(v.setNetwork(t.Context(), n))
	}
	ask := func(link string, mac net.HardwareAddr, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		t.Helper()
		m, err := dhcpv4.NewDiscovery(mac, mods...)
		ok(err)
		reply, answered := server.Handle(t.Context(), dhcpsrv.Packet{Data: m.ToBytes(), Link: link})
		if !answered {
			return nil
		}
		m, err = dhcpv4.FromBytes(reply.Data)
		ok(err)
		return m
	}
	one, two := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	if ask("net-48", one) != nil {
		t.Error("a machine is answered before it is made")
	}
	addr, err := v.add(t.Context(), "net-48", one, netip.Addr{})
	ok(err)
	had, err := v.add(t.Context(), "net-48", two, ip("192.168.48.50")) // known from before the restart
	ok(err)
	if addr != ip("192.168.48.3") || had != ip("192.168.48.50") {
		t.Errorf("the addresses are %v and %v", addr, had)
	}
	offer := ask("net-48", one)
	if offer == nil || offer.YourIPAddr.String() != addr.String() || offer.Router()[0].String() != "192.168.48.1" || offer.DNS()[0].String() != "1.1.1.1" {
		t.Errorf("offered is %v", offer)
	}
	if ask("net-49", one) != nil {
		t.Error("a machine is answered on a network that it is not on")
	}
	if _, err := v.add(t.Context(), "net-49", two, netip.Addr{}); err == nil {
		t.Error("a full network has an address")
	}
	// A request for another address is refused, as the client waits for an answer (RFC 2131 section 4.3.2).
	nak := ask("net-48", one, dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IP{192, 168, 48, 9})))
	if nak == nil || nak.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("a request for another address is answered %v", nak)
	}
	ok(v.remove(t.Context(), "net-48", one, addr))
	if ask("net-48", one) != nil {
		t.Error("a deleted machine is answered")
	}
	if next, err := v.add(t.Context(), "net-48", net.HardwareAddr{2, 0, 0, 0, 0, 3}, netip.Addr{}); err != nil || next == had {
		t.Errorf("the next machine has %v, %v", next, err)
	}
}
