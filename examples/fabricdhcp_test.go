package examples_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// fabric is the DHCP service of a leaf-spine fabric: VRFs in which the same prefixes may occur, a
// subnet for each VLAN, which the relay names by its circuit ID, and a management subnet for switches
// that boot ONIE. It keeps the state of all leases for a controller.
type fabric struct {
	server *dhcpsrv.Server
	snap   dhcpsrv.Snapshot

	mu     sync.Mutex
	status map[string]dhcpsrv.Event // by VRF and MAC, for the objects of a cluster
}

// vlan is a subnet of a VRF.
type vlan struct {
	Circuit string // "" = the management subnet of switches
	Prefix  netip.Prefix
	First   netip.Addr
	Last    netip.Addr
	Gateway netip.Addr
	Options dhcpsrv.Options
}

func newFabric() (f *fabric, err error) {
	f = &fabric{status: map[string]dhcpsrv.Event{}, snap: dhcpsrv.Snapshot{Classes: []dhcpsrv.Class{{Name: "switches", VendorClass: "onie_vendor:"}}}}
	f.server, err = dhcpsrv.New(dhcpsrv.Config{
		// The first lease is short, so that a host that was moved soon asks again.
		Hosts: dhcpsrv.HostsFunc(func(_ context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if _, known := f.status[q.VRF+" "+q.MAC.String()]; known {
				return dhcpsrv.Host{LeaseTime: time.Hour, Keep: time.Second}, nil
			}
			return dhcpsrv.Host{LeaseTime: 10 * time.Second, Keep: time.Second}, nil
		}),
		Events: func(e dhcpsrv.Event) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.status[e.Lease.VRF+" "+e.Lease.MAC.String()] = e
		},
	})
	return f, err
}

// addVRF adds a VRF, which the relay names in option 82.151 (RFC 6607).
func (f *fabric) addVRF(name string, server, relay netip.Addr, vlans []vlan) error {
	for _, v := range vlans {
		class := "switches"
		if v.Circuit != "" {
			class = v.Circuit
		}
		if !slices.ContainsFunc(f.snap.Classes, func(c dhcpsrv.Class) bool { return c.Name == class }) {
			f.snap.Classes = append(f.snap.Classes, dhcpsrv.Class{Name: class, CircuitID: []byte(class)})
		}
		f.snap.Subnets = append(f.snap.Subnets, dhcpsrv.Subnet{
			Name: name + " " + class, VRF: name, Prefix: v.Prefix, SharedNetwork: "fabric", Server: server, Relays: []netip.Addr{relay},
			Pools: []dhcpsrv.Pool{{First: v.First, Last: v.Last, Class: class}}, Options: v.Options,
			Routes: []dhcpsrv.Route{{Dest: v.Prefix, Via: v.Gateway}}, Routers: []netip.Addr{v.Gateway}, MTU: 9036,
		})
	}
	return f.server.Update(f.snap)
}

func TestFabricDHCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ip := netip.MustParseAddr
		f, err := newFabric()
		if err != nil {
			t.Fatal(err)
		}
		relay := ip("172.30.8.1")
		for _, vrf := range []string{"VrfVvpc-1", "VrfVvpc-2"} { // with the same prefixes
			if err := f.addVRF(vrf, ip("172.30.0.1"), relay, []vlan{
				{Circuit: "Vlan1001", Prefix: netip.MustParsePrefix("10.0.1.0/24"), First: ip("10.0.1.10"), Last: ip("10.0.1.99"), Gateway: ip("10.0.1.1"),
					Options: dhcpsrv.Options{dhcpsrv.TextOption(66, "172.30.0.1"), dhcpsrv.TextOption(67, "ztp.json")}},
				{Circuit: "Vlan1002", Prefix: netip.MustParsePrefix("10.0.2.0/24"), First: ip("10.0.2.10"), Last: ip("10.0.2.99"), Gateway: ip("10.0.2.1")},
				{Prefix: netip.MustParsePrefix("172.30.1.0/24"), First: ip("172.30.1.10"), Last: ip("172.30.1.99"), Gateway: ip("172.30.1.1"),
					Options: dhcpsrv.Options{dhcpsrv.TextOption(114, "http://172.30.0.1/onie")}},
			}); err != nil {
				t.Fatal(err)
			}
		}
		ask := func(kind dhcpv4.MessageType, mac byte, vrf, circuit string, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
			t.Helper()
			m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, mac}), dhcpv4.WithGatewayIP(relay.AsSlice()),
				dhcpv4.WithRequestedOptions(dhcpv4.OptionInterfaceMTU, dhcpv4.GenericOptionCode(114), dhcpv4.OptionTFTPServerName, dhcpv4.OptionClasslessStaticRoute),
				dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(1), []byte(circuit)), dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(151), append([]byte{0}, vrf...)))),
			}, mods...)...)
			if err != nil {
				t.Fatal(err)
			}
			reply, ok := f.server.Handle(t.Context(), dhcpsrv.Packet{Data: m.ToBytes(), Src: netip.AddrPortFrom(relay, 67), Dst: ip("172.30.0.1")})
			if !ok {
				return nil
			}
			m, err = dhcpv4.FromBytes(reply.Data)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		for _, vrf := range []string{"VrfVvpc-1", "VrfVvpc-2"} {
			for circuit, network := range map[string]string{"Vlan1001": "10.0.1.", "Vlan1002": "10.0.2."} {
				mac := circuit[len(circuit)-1]
				offer := ask(dhcpv4.MessageTypeDiscover, mac, vrf, circuit)
				if offer == nil || offer.YourIPAddr.String()[:7] != network || len(offer.ClasslessStaticRoute()) != 2 {
					t.Fatalf("%s %s: %v", vrf, circuit, offer)
				}
				wanted := dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
				ack := ask(dhcpv4.MessageTypeRequest, mac, vrf, circuit, wanted, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())))
				time.Sleep(5 * time.Second)
				again := ask(dhcpv4.MessageTypeRequest, mac, vrf, circuit, dhcpv4.WithClientIP(offer.YourIPAddr))
				if ack == nil || again == nil || ack.IPAddressLeaseTime(0) != 10*time.Second || again.IPAddressLeaseTime(0) != time.Hour {
					t.Errorf("%s %s: %v, then %v", vrf, circuit, ack, again)
				}
			}
		}
		onie := ask(dhcpv4.MessageTypeDiscover, 9, "VrfVvpc-1", "Vlan1001", dhcpv4.WithOption(dhcpv4.OptClassIdentifier("onie_vendor:x86_64-accton")))
		if onie == nil || onie.YourIPAddr.String()[:9] != "172.30.1." || string(onie.Options.Get(dhcpv4.GenericOptionCode(114))) != "http://172.30.0.1/onie" {
			t.Errorf("a switch is offered %v", onie)
		}
		if ask(dhcpv4.MessageTypeDiscover, 9, "VrfVvpc-3", "Vlan1001") != nil || ask(dhcpv4.MessageTypeDiscover, 8, "VrfVvpc-1", "Vlan1003") != nil {
			t.Error("a client of another VRF or VLAN is answered")
		}
		if len(f.status) != 4 {
			t.Errorf("%d leases in the status, want 4", len(f.status))
		}
	})
}
