package plan_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// campus is a model of two VLANs, of which the second is relayed to the first, with two racks.
func campus() *inventory.Model {
	return &inventory.Model{
		Domains: []inventory.Domain{{ID: 1, Name: "maas"}, {ID: 2, Name: "lab.example"}, {ID: 3, Name: "corp.example", External: true}, {ID: 4, Name: "a.example"}},
		VLANs: []ipam.VLAN{
			{ID: 1, DHCP: true, MTU: 1500, PrimaryRack: "a", SecondaryRack: "b"},
			{ID: 2, VID: 20, MTU: 9000, RelayVLANID: 1},
			{ID: 3, VID: 30, MTU: 1500},
		},
		Subnets: []ipam.Subnet{
			{ID: 1, VLANID: 1, Prefix: prefix("10.0.1.0/24"), Gateway: addr("10.0.1.254"), DNSServers: []netip.Addr{addr("192.0.2.53"), addr("2001:db8::53")}},
			{ID: 2, VLANID: 2, Prefix: prefix("10.0.2.0/24")},
			{ID: 3, VLANID: 3, Prefix: prefix("10.0.3.0/24")},
			{ID: 4, VLANID: 1, Prefix: prefix("2001:db8:1::/64")},
		},
		Ranges: []ipam.Range{
			{ID: 1, SubnetID: 1, Type: ipam.RangeDynamic, Start: addr("10.0.1.100"), End: addr("10.0.1.199")},
			{ID: 2, SubnetID: 1, Type: ipam.RangeReserved, Start: addr("10.0.1.10"), End: addr("10.0.1.19")},
			{ID: 3, SubnetID: 2, Type: ipam.RangeDynamic, Start: addr("10.0.2.100"), End: addr("10.0.2.199")},
			{ID: 4, SubnetID: 4, Type: ipam.RangeDynamic, Start: addr("2001:db8:1::"), End: addr("2001:db8:1::ffff")},
		},
		Racks: []inventory.Rack{
			{ID: 1, Name: "a", Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("10.0.1.1/24"), prefix("2001:db8:1::1/64"), prefix("fe80::1/64")}}}},
			{ID: 2, Name: "b", Links: []inventory.RackLink{{Name: "eth1", Addrs: []netip.Prefix{prefix("10.0.1.2/24")}}}},
			{ID: 3, Name: "c", Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("10.0.3.3/24")}}}},
		},
		Settings: map[string]string{},
	}
}

// served returns the subnet of a snapshot, and whether it has one.
func served(s dhcpsrv.Snapshot, cidr string) (dhcpsrv.Subnet, bool) {
	i := slices.IndexFunc(s.Subnets, func(n dhcpsrv.Subnet) bool { return n.Name == cidr })
	if i < 0 {
		return dhcpsrv.Subnet{}, false
	}
	return s.Subnets[i], true
}

// Classes are in the order in which they decide, and pools name them.
func TestClassesOfRanges(t *testing.T) {
	m := campus()
	m.Classes = []inventory.Class{
		{ID: 4, Name: "uefi", Arch: []uint16{7}, Options: "option 66 \"x\"; option dhcp6.sntp-servers 2001:db8::1;"},
		{ID: 2, Name: "phones", VendorClass: "Phone", MACPrefix: "02:00:5e", CircuitID: "0x0004", Ignore: true},
		{ID: 3, Name: "broken", MACPrefix: "x"},
	}
	m.Ranges[0].ClassID = 2
	snap := plan.DHCP(m, m.Racks[0])
	want := []dhcpsrv.Class{
		{Name: "uefi", Arch: []uint16{7}, Options: dhcpsrv.Options{{Code: 66, Data: []byte("x")}}, Options6: dhcpsrv.Options{{Code: 31, Data: addr("2001:db8::1").AsSlice()}}},
		{Name: "phones", VendorClass: "Phone", MACPrefix: net.HardwareAddr{2, 0, 0x5e}, CircuitID: []byte{0, 4}, Ignore: true},
	}
	if diff := cmp.Diff(want, snap.Classes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	found := 0
	for _, s := range snap.Subnets {
		for _, p := range s.Pools {
			if p.Class == "phones" && p.First == m.Ranges[0].Start {
				found++
			} else if p.Class != "" {
				t.Errorf("%s: pool of class %q", s.Name, p.Class)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d pools are of the class, want 1", found)
	}
}

// Relays that lie in no subnet are bound to that of their clients, on its own link and behind the
// VLAN that serves it.
func TestRelaysOfSubnets(t *testing.T) {
	m := campus()
	m.Subnets[0].Relays, m.Subnets[1].Relays = []netip.Addr{addr("10.255.0.1")}, []netip.Addr{addr("10.255.0.2"), addr("10.0.1.254")}
	m.Subnets[3].Relays = []netip.Addr{addr("2001:db8:ffff::1")}
	snap := plan.DHCP(m, m.Racks[0])
	for _, s := range m.Subnets[:2] {
		if got, ok := served(snap, s.Prefix.String()); !ok || !slices.Equal(got.Relays, s.Relays) {
			t.Errorf("%v: relays %v, want %v", s.Prefix, got.Relays, s.Relays)
		}
	}
	if got, ok := served(snap, "2001:db8:1::/64"); !ok || !slices.Equal(got.Relays, m.Subnets[3].Relays) {
		t.Errorf("IPv6: relays %v", got.Relays)
	}
}

// The rack that serves a subnet, the link and the address follow from the VLANs.
func TestRacksOfSubnets(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(m *inventory.Model)
		want   map[string]string // by rack and subnet: link and server
	}{
		{"a relay", func(*inventory.Model) {}, map[string]string{
			"a 10.0.1.0/24": "eth0 10.0.1.1", "b 10.0.1.0/24": "eth1 10.0.1.2", "a 10.0.2.0/24": " 10.0.1.1", "b 10.0.2.0/24": " 10.0.1.2", "a 2001:db8:1::/64": "eth0 2001:db8:1::1",
		}},
		{"DHCP off", func(m *inventory.Model) { m.VLANs[0].DHCP = false }, map[string]string{}},
		{"no relay", func(m *inventory.Model) { m.VLANs[1].RelayVLANID = 0 }, map[string]string{
			"a 10.0.1.0/24": "eth0 10.0.1.1", "b 10.0.1.0/24": "eth1 10.0.1.2", "a 2001:db8:1::/64": "eth0 2001:db8:1::1",
		}},
		{"unmanaged", func(m *inventory.Model) { m.Subnets[0].Unmanaged = true }, map[string]string{
			"a 10.0.2.0/24": " 10.0.1.1", "b 10.0.2.0/24": " 10.0.1.2", "a 2001:db8:1::/64": "eth0 2001:db8:1::1",
		}},
		{"a rack on the relayed VLAN", func(m *inventory.Model) {
			m.VLANs[1].DHCP, m.VLANs[1].PrimaryRack = true, "a"
			m.Racks[0].Links = append(m.Racks[0].Links, inventory.RackLink{Name: "eth0.20", Addrs: []netip.Prefix{prefix("10.0.2.1/24")}})
		}, map[string]string{
			"a 10.0.1.0/24": "eth0 10.0.1.1", "b 10.0.1.0/24": "eth1 10.0.1.2", "a 10.0.2.0/24": "eth0.20 10.0.2.1", "b 10.0.2.0/24": " 10.0.1.2", "a 2001:db8:1::/64": "eth0 2001:db8:1::1",
		}},
		{"a rack without an address there", func(m *inventory.Model) { m.Racks[0].Links = nil }, map[string]string{
			"b 10.0.1.0/24": "eth1 10.0.1.2", "b 10.0.2.0/24": " 10.0.1.2",
		}},
	} {
		m := campus()
		test.change(m)
		got := map[string]string{}
		for _, rack := range m.Racks {
			for _, s := range plan.DHCP(m, rack).Subnets {
				got[rack.Name+" "+s.Name] = s.Link + " " + s.Server.String()
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s:\n%v\nwant\n%v", test.name, got, test.want)
		}
	}
}

// What clients of a subnet are told.
func TestOptionsOfSubnets(t *testing.T) {
	m := campus()
	m.Settings[setting.NTPServers] = "192.0.2.1 pool.ntp.example 2001:db8::123"
	m.Settings[setting.CircuitQuota], m.Settings[setting.LinkQuota] = "4", "100"
	snap := plan.DHCP(m, m.Racks[0])
	direct, _ := served(snap, "10.0.1.0/24")
	relayed, _ := served(snap, "10.0.2.0/24")
	six, found := served(snap, "2001:db8:1::/64")
	if !found {
		t.Fatal("the IPv6 subnet is not served")
	}
	if got, want := fmt.Sprint(direct.DNS), "[10.0.1.1 10.0.1.2 192.0.2.53]"; got != want {
		t.Errorf("DNS servers %s, want %s", got, want)
	}
	// Without a gateway, servers outside of the subnet are out of reach.
	if len(relayed.DNS) != 0 || len(relayed.Routers) != 0 || relayed.MTU != 9000 || direct.MTU != 0 {
		t.Errorf("behind the relay: %v, %v, MTU %d; directly MTU %d", relayed.DNS, relayed.Routers, relayed.MTU, direct.MTU)
	}
	if got := fmt.Sprint(direct.NTP, six.NTP); got != "[192.0.2.1] [2001:db8::123]" {
		t.Errorf("NTP servers %s", got)
	}
	if got := fmt.Sprint(direct.Search); got != "[maas a.example lab.example]" || direct.Domain != "maas" {
		t.Errorf("domain %s, search list %s", direct.Domain, got)
	}
	if len(direct.Pools) != 1 || direct.Pools[0].First != addr("10.0.1.100") || direct.CircuitQuota != 4 || direct.LinkQuota != 100 {
		t.Errorf("pools %+v, quotas %d and %d", direct.Pools, direct.CircuitQuota, direct.LinkQuota)
	}
	// The first address of an IPv6 subnet is every router's.
	if len(six.Pools) != 1 || six.Pools[0].First != addr("2001:db8:1::1") || len(six.Routers) != 0 || six.MTU != 0 || six.LeaseTime == 0 {
		t.Errorf("IPv6: %+v", six)
	}
	if direct.SharedNetwork != six.SharedNetwork || direct.SharedNetwork == relayed.SharedNetwork {
		t.Errorf("shared networks %q, %q, %q", direct.SharedNetwork, six.SharedNetwork, relayed.SharedNetwork)
	}
}

// Partners name each other in the subnets in which both have an address.
func TestPartnersOfSubnets(t *testing.T) {
	m := campus()
	m.Settings[setting.Takeover] = "120"
	a, b, c := plan.DHCP(m, m.Racks[0]), plan.DHCP(m, m.Racks[1]), plan.DHCP(m, m.Racks[2])
	ofA, _ := served(a, "10.0.1.0/24")
	ofB, _ := served(b, "10.0.1.0/24")
	if ofA.Partner != "b" || ofA.Secondary || ofA.PartnerServer != addr("10.0.1.2") || ofB.Partner != "a" || !ofB.Secondary || ofB.PartnerServer != addr("10.0.1.1") {
		t.Errorf("a: %+v\nb: %+v", ofA, ofB)
	}
	if six, _ := served(a, "2001:db8:1::/64"); six.Partner != "" {
		t.Errorf("rack b has no IPv6 address, and is a's partner there: %+v", six)
	}
	if len(a.Partners) != 1 || a.Partners[0].Name != "b" || a.Partners[0].Self != "a" || a.Partners[0].TakeoverAfter.Seconds() != 120 {
		t.Errorf("partners of a: %+v", a.Partners)
	}
	// Addresses of a link alone need a zone, which means nothing on the other host.
	if got := fmt.Sprint(b.Partners[0].Addrs); got != "[10.0.1.1 2001:db8:1::1]" {
		t.Errorf("addresses of a: %s", got)
	}
	if len(c.Subnets)+len(c.Partners)+len(c.Reservations) != 0 {
		t.Errorf("a rack of no VLAN serves %+v", c)
	}
	m.VLANs[0].SecondaryRack = ""
	if alone := plan.DHCP(m, m.Racks[0]); len(alone.Partners) != 0 {
		t.Errorf("without a secondary: %+v", alone.Partners)
	}
}
