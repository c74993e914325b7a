package plan_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

func TestStaticNetworkAndProfile(t *testing.T) {
	prefix := netip.MustParsePrefix("198.51.100.0/24")
	m := &inventory.Model{Settings: map[string]string{}, Subnets: []ipam.Subnet{
		{ID: 1, Prefix: prefix, Gateway: netip.MustParseAddr("198.51.100.1"), DNSServers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}},
		{ID: 2, Prefix: netip.MustParsePrefix("2001:db8::/64")},
	}}
	nic := func(id int64, name string, links ...ipam.Allocation) inventory.Interface {
		return inventory.Interface{Interface: ipam.Interface{ID: id, Name: name, Kind: ipam.Physical, Enabled: true, Boot: id == 1}, Links: links}
	}
	six := ipam.Allocation{ID: 1, Type: ipam.AllocSticky, SubnetID: 2, Addr: netip.MustParseAddr("2001:db8::9")}
	four := ipam.Allocation{ID: 2, Type: ipam.AllocSticky, SubnetID: 1, Addr: netip.MustParseAddr("198.51.100.9")}
	machine := &inventory.Machine{FQDN: "web-1.maas", Hostname: "web-1", Interfaces: []inventory.Interface{nic(1, "eth0", six), nic(2, "eth1", four)}}
	n, err := plan.StaticNetwork(m, machine)
	if err != nil || n.Address != netip.MustParsePrefix("198.51.100.9/24") || n.Gateway.String() != "198.51.100.1" || n.Hostname != "web-1" {
		t.Errorf("%+v, %v", n, err)
	}
	if _, err := plan.MediumProfile(m, machine, n.Address); err == nil || !strings.Contains(err.Error(), "has no boot profile; maas boot-profile set") {
		t.Errorf("without a profile: %v", err)
	}
	machine.Profile = &pxe.Profile{Name: "debian", Kernel: "vmlinuz"}
	if p, err := plan.MediumProfile(m, machine, n.Address); err != nil || p.Name != "debian" {
		t.Errorf("%+v, %v", p, err)
	}
	machine.Configured = time.Unix(1, 0)
	if _, err := plan.MediumProfile(m, machine, n.Address); err == nil || !strings.Contains(err.Error(), "maas machine reinstall") {
		t.Errorf("a machine that is configured: %v", err)
	}
	machine.Interfaces = machine.Interfaces[:1]
	if _, err := plan.StaticNetwork(m, machine); err == nil || !strings.Contains(err.Error(), "has no static IPv4 address") {
		t.Errorf("without an IPv4 address: %v", err)
	}
}
