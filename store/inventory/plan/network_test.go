package plan_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netconfig"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// networks is a site with four subnets: two on VLANs with DHCP, one of IPv6, one without a gateway.
func networks() *inventory.Model {
	link := func(addr string) []inventory.RackLink {
		return []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}}
	}
	return &inventory.Model{
		Domains: []inventory.Domain{{ID: 1, Name: "maas"}, {ID: 2, Name: "lab.example"}},
		VLANs: []ipam.VLAN{
			{ID: 1, MTU: 1500, DHCP: true, PrimaryRack: "rack"}, {ID: 2, VID: 20, MTU: 9000}, {ID: 3, VID: 30, MTU: 1500, DHCP: true, PrimaryRack: "rack"},
		},
		Subnets: []ipam.Subnet{
			{ID: 1, VLANID: 1, Prefix: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1"), DNSServers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}},
			{ID: 2, VLANID: 2, Prefix: netip.MustParsePrefix("10.2.0.0/16"), Gateway: netip.MustParseAddr("10.2.0.1")},
			{ID: 3, VLANID: 3, Prefix: netip.MustParsePrefix("2001:db8::/64"), Gateway: netip.MustParseAddr("fe80::1"), DNSServers: []netip.Addr{netip.MustParseAddr("2001:db8::53")}},
			{ID: 4, VLANID: 1, Prefix: netip.MustParsePrefix("198.51.100.0/24")},
		},
		Routes: []ipam.StaticRoute{{SourceID: 2, DestinationID: 4, Gateway: netip.MustParseAddr("10.2.0.9"), Metric: 7}},
		Racks:  []inventory.Rack{{Name: "rack", Links: link("192.0.2.2/24")}},
	}
}

// nicOf is an interface with its links.
func nicOf(id int64, name string, kind ipam.InterfaceKind, vlan int64, links ...ipam.Allocation) inventory.Interface {
	return inventory.Interface{
		Interface: ipam.Interface{ID: id, Name: name, Kind: kind, VLANID: vlan, Enabled: true, Boot: id == 1, MAC: net.HardwareAddr{2, 0, 0, 0, 0, byte(id)}},
		Links:     links,
	}
}

func fixed(id, subnet int64, addr string) ipam.Allocation {
	return ipam.Allocation{ID: id, Type: ipam.AllocSticky, SubnetID: subnet, Addr: netip.MustParseAddr(addr)}
}

func TestNetworkConfig(t *testing.T) {
	bond, vlan := nicOf(3, "bond0", ipam.Bond, 1, fixed(1, 1, "192.0.2.10")), nicOf(4, "bond0.30", ipam.VLANInterface, 3, fixed(2, 3, "2001:db8::10"))
	bond.Parents, bond.Params = []int64{1, 2}, map[string]string{"bond_mode": "802.3ad", "bond_miimon": "100"}
	vlan.Parents = []int64{3}
	storage := nicOf(5, "eth9", ipam.Physical, 2, fixed(3, 2, "10.2.0.10"), ipam.Allocation{ID: 4, Type: ipam.AllocAuto, SubnetID: 4})
	off := nicOf(6, "eth8", ipam.Physical, 1)
	off.Enabled = false
	m := &inventory.Machine{Interfaces: []inventory.Interface{nicOf(1, "eth0", ipam.Physical, 1), nicOf(2, "eth1", ipam.Physical, 1), bond, vlan, storage, off}}
	c, open := plan.NetworkConfig(networks(), m)
	want := netconfig.Config{
		Interfaces: []netconfig.Interface{
			{Name: "eth0", MAC: m.Interfaces[0].MAC}, {Name: "eth1", MAC: m.Interfaces[1].MAC},
			{Name: "bond0", Kind: ipam.Bond, MAC: bond.MAC, Parents: []string{"eth0", "eth1"}, Bond: netconfig.Bond{Mode: "802.3ad", MIIMonitor: 100},
				Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}, Routes: []netconfig.Route{{To: netconfig.Default4, Via: netip.MustParseAddr("192.0.2.1")}}},
			{Name: "bond0.30", Kind: ipam.VLANInterface, Parents: []string{"bond0"}, VID: 30, Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8::10/64")},
				Routes: []netconfig.Route{{To: netconfig.Default6, Via: netip.MustParseAddr("fe80::1")}}},
			{Name: "eth9", MAC: storage.MAC, MTU: 9000, Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.10/16")},
				Routes: []netconfig.Route{
					{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("10.2.0.9"), Metric: 7},
					{To: netconfig.Default4, Via: netip.MustParseAddr("10.2.0.1"), Table: 101}, {To: netip.MustParsePrefix("10.2.0.0/16"), Table: 101},
				},
				Rules: []netconfig.Rule{{From: netip.MustParsePrefix("10.2.0.10/32"), Table: 101}}},
		},
		DNS:    []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")},
		Search: []string{"maas", "lab.example"},
	}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(want, c, compare, prefixes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want := []string{"eth9 gets its address when the machine is deployed", "eth8 is off"}; !slices.Equal(open, want) {
		t.Errorf("open %q, want %q", open, want)
	}
	for _, f := range netconfig.Formats() {
		if _, err := netconfig.Render(c, f); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// The default gateway is the chosen one, else goes by VLAN, kind, type and ID.
func TestDefaultGateways(t *testing.T) {
	auto := func(id, subnet int64, addr string) ipam.Allocation {
		a := fixed(id, subnet, addr)
		a.Type = ipam.AllocAuto
		return a
	}
	for name, c := range map[string]struct {
		chosen int64
		nics   []inventory.Interface
		want   string
	}{
		"on the VLAN with DHCP":   {0, []inventory.Interface{nicOf(1, "a", ipam.Physical, 2, fixed(1, 2, "10.2.0.5")), nicOf(2, "b", ipam.Physical, 1, auto(2, 1, "192.0.2.5"))}, "b"},
		"the chosen one":          {1, []inventory.Interface{nicOf(1, "a", ipam.Physical, 2, fixed(1, 2, "10.2.0.5")), nicOf(2, "b", ipam.Physical, 1, fixed(2, 1, "192.0.2.5"))}, "a"},
		"a bond before the boot":  {0, []inventory.Interface{nicOf(1, "a", ipam.Physical, 1, fixed(1, 1, "192.0.2.5")), nicOf(2, "b", ipam.Bond, 1, auto(2, 1, "192.0.2.6"))}, "b"},
		"the boot interface":      {0, []inventory.Interface{nicOf(9, "a", ipam.Physical, 1, fixed(1, 1, "192.0.2.5")), nicOf(1, "b", ipam.Physical, 1, auto(2, 1, "192.0.2.6"))}, "b"},
		"a fixed before an auto":  {0, []inventory.Interface{nicOf(8, "a", ipam.Physical, 1, auto(1, 1, "192.0.2.5")), nicOf(9, "b", ipam.Physical, 1, fixed(2, 1, "192.0.2.6"))}, "b"},
		"the first":               {0, []inventory.Interface{nicOf(9, "a", ipam.Physical, 1, fixed(1, 1, "192.0.2.5")), nicOf(8, "b", ipam.Physical, 1, fixed(2, 1, "192.0.2.6"))}, "b"},
		"none without a gateway":  {0, []inventory.Interface{nicOf(1, "a", ipam.Physical, 1, fixed(1, 4, "198.51.100.5"))}, ""},
		"a VLAN after a physical": {0, []inventory.Interface{nicOf(2, "a", ipam.VLANInterface, 1, fixed(1, 1, "192.0.2.5")), nicOf(9, "b", ipam.Physical, 1, fixed(2, 1, "192.0.2.6"))}, "b"},
	} {
		out, _ := plan.NetworkConfig(networks(), &inventory.Machine{Gateway4: c.chosen, Interfaces: c.nics})
		got := ""
		for _, i := range out.Interfaces {
			for _, r := range i.Routes {
				if r.To == netconfig.Default4 && r.Table == 0 {
					got += i.Name
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: default route on %q, want %q", name, got, c.want)
		}
	}
	out, _ := plan.NetworkConfig(networks(), &inventory.Machine{Interfaces: []inventory.Interface{nicOf(1, "eth0", ipam.Physical, 0), nicOf(2, "eth1", ipam.Physical, 0)}})
	if !out.Interfaces[0].DHCP4 || out.Interfaces[1].DHCP4 {
		t.Errorf("without links: %+v", out.Interfaces)
	}
}
