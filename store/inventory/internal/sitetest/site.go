// Package sitetest makes a site for tests of the inventory and of its plans, and follows how plans
// of it change.
package sitetest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Site makes a site with one of everything that plans depend on.
func Site(t testing.TB) *inventory.Inventory {
	t.Helper()
	inv, ctx := openInventory(t, "memory:"), t.Context()
	s := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{
		Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1"), DNS: []netip.Addr{addr("9.9.9.9"), addr("fd00::53")},
	}))
	small := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("192.0.2.64/26"), DenyProxy: true}))
	v6 := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("fd00::/64"), DenyDNS: true}))
	relayed := must[ipam.VLAN](t)(inv.VLANs.Create(ctx, ipam.VLAN{VID: 7, MTU: 9000, RelayVLANID: s.VLANID}))
	far := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.7.0.0/24"), VLANID: relayed.ID, RDNS: ipam.RDNSDisabled}))
	must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.8.0.0/24"), Unmanaged: true}))
	must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{SubnetID: far.ID, Type: ipam.RangeDynamic, Start: addr("10.7.0.100"), End: addr("10.7.0.199")}))
	must[ipam.StaticRoute](t)(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: s.ID, DestinationID: far.ID, Gateway: addr("10.0.0.3")}))
	lab := must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "lab.example", TTL: 60}))
	must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "corp.example", External: true, Forward: []netip.AddrPort{netip.MustParseAddrPort("10.9.9.9:53")}}))
	for _, r := range []inventory.DNSRecord{
		{Name: "@", Type: "mx", Data: "10 mail"}, {Name: "www", Type: "CNAME", Data: "node1"}, {Name: "web", Type: "A", Data: "10.0.0.80"},
		{Name: "_sip._tcp", Type: "SRV", Data: "0 5 5060 node1.maas", TTL: 5}, {Name: "node1", Type: "TXT", Data: `"a b"`},
	} {
		must[inventory.DNSRecord](t)(inv.Records.Create(ctx, r))
	}
	fill(t, inv, s, small, v6, lab)
	return inv
}

// fill adds machines, devices, leases and reservations.
func fill(t testing.TB, inv *inventory.Inventory, s, small, v6 ipam.Subnet, lab inventory.Domain) {
	t.Helper()
	ctx := t.Context()
	node1 := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1), nic(2)}, Profile: &pxe.Profile{Kind: pxe.Local}}))
	for _, r := range []inventory.LinkRequest{
		{Mode: ipam.LinkStatic, Addr: addr("10.0.0.50")}, {Mode: ipam.LinkStatic, SubnetID: small.ID}, {Mode: ipam.LinkStatic, SubnetID: v6.ID},
	} {
		must[ipam.Allocation](t)(inv.LinkInterface(ctx, node1.Interfaces[0].ID, r))
	}
	must[ipam.Allocation](t)(inv.LinkInterface(ctx, node1.Interfaces[1].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.51")}))
	bonded := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "bonded", DomainID: lab.ID, Interfaces: []inventory.Interface{nic(3), nic(4)}}))
	bond := must[ipam.Interface](t)(inv.Interfaces.Create(ctx, ipam.Interface{
		NodeID: bonded.ID, Name: "bond0", Kind: ipam.Bond, Parents: []int64{bonded.Interfaces[0].ID, bonded.Interfaces[1].ID}, Enabled: true,
	}))
	must[ipam.Allocation](t)(inv.LinkInterface(ctx, bond.ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.60")}))
	_, _, err := inv.Enlist(ctx, inventory.Enlistment{MAC: mac(5), Hostname: "leased"})
	ok(t, err)
	ok(t, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(5), Addr: addr("10.0.0.200"), Hostname: "ignored", Expires: time.Now().Add(time.Hour)}))
	ok(t, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(6), Addr: addr("10.0.0.201"), Hostname: "Laptop", Expires: time.Now().Add(time.Hour)}))
	ok(t, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(7), Addr: addr("10.0.0.202"), Hostname: "node1", Expires: time.Now().Add(time.Hour)}))
	must[ipam.ReservedIP](t)(inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.0.0.70"), MAC: mac(5)}))
	must[ipam.ReservedIP](t)(inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.0.0.71"), MAC: mac(8)}))
	must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{Addr: addr("10.0.0.90"), Owner: "ada", Hostname: "db"}))
	must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{Addr: addr("10.0.0.91"), Owner: "ada"}))
	printer := must[inventory.Device](t)(inv.Devices.Create(ctx, inventory.Device{Hostname: "printer", Interfaces: []inventory.Interface{nic(9)}}))
	must[ipam.Allocation](t)(inv.LinkInterface(ctx, printer.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.95")}))
	ok(t, inv.Profiles.SetDefault(ctx, &pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "quiet"}))
	ok(t, inv.Settings.Set(ctx, setting.UpstreamDNS, "1.1.1.1, 8.8.8.8:5353"))
	ok(t, inv.Settings.Set(ctx, setting.DNSTrustedACL, "172.16.0.0/12"))
	ok(t, inv.Settings.Set(ctx, setting.SecondaryNS, "NS2.example. bad_name"))
	ok(t, inv.Settings.Set(ctx, setting.NTPServers, "10.0.0.123 ntp.example"))
}
