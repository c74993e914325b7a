package inventory_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// town is a site in which something is in the way of everything.
type town struct {
	fabric                   ipam.Fabric
	vlan, tagged             ipam.VLAN
	s, far, six, foreign     ipam.Subnet
	dynamic                  ipam.Range
	reserved                 ipam.Range
	route                    ipam.StaticRoute
	kept                     ipam.ReservedIP
	node1, node2             inventory.Machine
	space                    ipam.Space
	zone                     inventory.AvailabilityZone
	pool                     inventory.ResourcePool
	lab, maas                inventory.Domain
	record                   inventory.DNSRecord
	fixed                    ipam.Allocation
	bond                     ipam.Interface
	second                   ipam.Fabric
	device                   inventory.Device
	mine                     ipam.Allocation
	secondFabricDefaultVLAN  ipam.VLAN
	defaultZone, defaultPool int64
}

func build(t *testing.T, inv *inventory.Inventory) town {
	t.Helper()
	ctx := t.Context()
	var w town
	w.s = must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{
		Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1"), DynamicFirst: addr("10.0.0.200"), DynamicLast: addr("10.0.0.220"),
	}))
	must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "rack2"}))
	w.fabric = must[[]ipam.Fabric](t)(inv.Fabrics.List(ctx))[0]
	w.vlan = must[ipam.VLAN](t)(inv.VLANs.Get(ctx, w.s.VLANID))
	w.defaultZone = must[[]inventory.AvailabilityZone](t)(inv.Zones.List(ctx))[0].ID
	w.defaultPool = must[[]inventory.ResourcePool](t)(inv.Pools.List(ctx))[0].ID
	w.maas = must[[]inventory.Domain](t)(inv.Domains.List(ctx))[0]
	w.dynamic = must[[]ipam.Range](t)(inv.Ranges.List(ctx))[0]
	w.tagged = must[ipam.VLAN](t)(inv.VLANs.Create(ctx, ipam.VLAN{VID: 7, Name: "seven"}))
	w.space = must[ipam.Space](t)(inv.Spaces.Create(ctx, ipam.Space{Name: "dmz"}))
	w.second = must[ipam.Fabric](t)(inv.Fabrics.Create(ctx, ipam.Fabric{Name: "dc2"}))
	w.secondFabricDefaultVLAN = must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, w.second.ID))
	w.far = must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.1.0.0/24"), VLANID: w.secondFabricDefaultVLAN.ID, Name: "far"}))
	w.six = must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("fd00::/64")}))
	w.foreign = must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.2.0.0/24"), Unmanaged: true}))
	w.reserved = must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{Start: addr("10.0.0.100"), End: addr("10.0.0.110")}))
	w.route = must[ipam.StaticRoute](t)(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: w.s.ID, DestinationID: w.far.ID, Gateway: addr("10.0.0.3")}))
	w.kept = must[ipam.ReservedIP](t)(inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.0.0.70"), MAC: mac(7)}))
	w.zone = must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "east"}))
	w.pool = must[inventory.ResourcePool](t)(inv.Pools.Create(ctx, inventory.ResourcePool{Name: "big"}))
	w.lab = must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "lab"}))
	w.node1 = must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{
		Hostname: "node1", PoolID: w.pool.ID, DomainID: w.lab.ID, Interfaces: []inventory.Interface{nic(1), nic(2)},
	}))
	w.node2 = must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node2", Interfaces: []inventory.Interface{nic(3)}}))
	w.device = must[inventory.Device](t)(inv.Devices.Create(ctx, inventory.Device{Hostname: "printer", Interfaces: []inventory.Interface{nic(4)}}))
	w.bond = must[ipam.Interface](t)(inv.Interfaces.Create(ctx, ipam.Interface{
		NodeID: w.node1.ID, Name: "bond0", Kind: ipam.Bond, Parents: []int64{w.node1.Interfaces[0].ID, w.node1.Interfaces[1].ID}, VLANID: w.secondFabricDefaultVLAN.ID,
	}))
	w.fixed = must[ipam.Allocation](t)(inv.LinkInterface(ctx, w.node2.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.50")}))
	w.mine = must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{Addr: addr("10.1.0.9"), Owner: "ada"}))
	w.record = must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{Name: "www", Type: "CNAME", Data: "node2"}))
	return w
}

// attempt is a request that is refused: nothing but the words of the refusal come of it.
type attempt struct {
	name string
	do   func(ctx context.Context, inv *inventory.Inventory, w town) error
	want string
}

// errOf keeps the error of a call that returns a value too.
func errOf[T any](_ T, err error) error { return err }

func subnetAttempts() []attempt {
	create := func(s ipam.Subnet) func(context.Context, *inventory.Inventory, town) error {
		return func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Subnets.Create(ctx, s))
		}
	}
	return []attempt{
		{"same subnet again", create(ipam.Subnet{Prefix: prefix("10.0.0.0/24")}), "subnet 10.0.0.0/24: overlaps another (subnet 10.0.0.0/24)"},
		{"larger subnet over others", create(ipam.Subnet{Prefix: prefix("10.0.0.0/8")}), "subnet 10.0.0.0/8: overlaps another (subnet 10.0.0.0/24)"},
		{"smaller subnet inside another", create(ipam.Subnet{Prefix: prefix("10.1.0.64/26")}), "subnet 10.1.0.64/26: overlaps another (subnet far (10.1.0.0/24))"},
		{"host bits over another", create(ipam.Subnet{Prefix: prefix("10.1.0.77/25")}), "subnet 10.1.0.0/25: overlaps another (subnet far (10.1.0.0/24))"},
		{"IPv6 subnet inside another", create(ipam.Subnet{Prefix: prefix("fd00::/96")}), "subnet fd00::/96: overlaps another (subnet fd00::/64)"},
		{"gateway outside", create(ipam.Subnet{Prefix: prefix("10.9.0.0/24"), Gateway: addr("10.8.0.1")}), "gateway 10.8.0.1: is not in subnet 10.9.0.0/24"},
		{"gateway of the wrong family", create(ipam.Subnet{Prefix: prefix("10.9.0.0/24"), Gateway: addr("fe80::1")}), "gateway fe80::1: is not in subnet 10.9.0.0/24"},
		{"whole internet", create(ipam.Subnet{Prefix: prefix("0.0.0.0/0")}), `subnet "0.0.0.0/0": cidr must be longer than /0`},
		{"no prefix", create(ipam.Subnet{Name: "x"}), `subnet "x": cidr is missing`},
		{"bad name", create(ipam.Subnet{Name: "a<b", Prefix: prefix("10.9.0.0/24")}), `subnet "a<b": name may hold`},
		{"VLAN that is not there", create(ipam.Subnet{Prefix: prefix("10.9.0.0/24"), VLANID: 999}), "vlan 999 does not exist"},
		{"DNS server that is none", create(ipam.Subnet{Prefix: prefix("10.9.0.0/24"), DNSServers: []netip.Addr{addr("224.0.0.1")}}), "dns_servers 224.0.0.1 is not an address of a server"},
		{"shrinks below a range", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.s.Prefix, w.s.Gateway = prefix("10.0.0.0/25"), addr("10.0.0.1")
			return errOf(inv.Subnets.Update(ctx, w.s))
		}, "cidr leaves out dynamic range 10.0.0.200-10.0.0.220"},
		{"grows over another", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.s.Prefix = prefix("10.0.0.0/15")
			return errOf(inv.Subnets.Update(ctx, w.s))
		}, "subnet 10.0.0.0/15: overlaps another (subnet far (10.1.0.0/24))"},
		{"moves to a VLAN that is not there", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.s.VLANID = 999
			return errOf(inv.Subnets.Update(ctx, w.s))
		}, "vlan 999 does not exist"},
		{"gateway moves outside", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.s.Gateway = addr("10.0.1.1")
			return errOf(inv.Subnets.Update(ctx, w.s))
		}, "gateway 10.0.1.1: is not in subnet 10.0.0.0/24"},
	}
}

func rangeAttempts() []attempt {
	create := func(kind ipam.RangeType, from, to string) func(context.Context, *inventory.Inventory, town) error {
		return func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Ranges.Create(ctx, ipam.Range{Type: kind, Start: addr(from), End: addr(to)}))
		}
	}
	return []attempt{
		{"dynamic range over a held address", create(ipam.RangeDynamic, "10.0.0.40", "10.0.0.60"), "dynamic range 10.0.0.40-10.0.0.60: overlaps another (sticky address 10.0.0.50 of node2 eth0 is inside it)"},
		{"dynamic range over the gateway", create(ipam.RangeDynamic, "10.0.0.1", "10.0.0.1"), "(gateway 10.0.0.1 is inside it)"},
		{"dynamic range over a route's gateway", create(ipam.RangeDynamic, "10.0.0.3", "10.0.0.4"), "(static route via 10.0.0.3 is inside it)"},
		{"dynamic range over a reserved IP", create(ipam.RangeDynamic, "10.0.0.65", "10.0.0.75"), "(reserved IP 10.0.0.70 for 52:54:00:00:00:07 is inside it)"},
		{"dynamic range over a reserved one", create(ipam.RangeDynamic, "10.0.0.105", "10.0.0.120"), "overlaps another (reserved range 10.0.0.100-10.0.0.110)"},
		{"reserved range over a dynamic one", create(ipam.RangeReserved, "10.0.0.190", "10.0.0.200"), "overlaps another (dynamic range 10.0.0.200-10.0.0.220)"},
		{"range backwards", create(ipam.RangeReserved, "10.0.0.90", "10.0.0.80"), "reserved range 10.0.0.90-10.0.0.80: ends before it starts"},
		{"range of two families", create(ipam.RangeReserved, "10.0.0.90", "fd00::90"), "mixes IPv4 and IPv6"},
		{"range leaves the subnet", create(ipam.RangeReserved, "10.0.0.250", "10.0.1.5"), "end 10.0.1.5 of the reserved range: is not in subnet 10.0.0.0/24"},
		{"range with the network address", create(ipam.RangeReserved, "10.0.0.0", "10.0.0.0"), "the first address of 10.0.0.0/24 names the network"},
		{"range with the broadcast address", create(ipam.RangeReserved, "10.0.0.255", "10.0.0.255"), "the last address of 10.0.0.0/24 is its broadcast address"},
		{"small dynamic IPv6 range", create(ipam.RangeDynamic, "fd00::1:0:0:0", "fd00::1:0:0:9"), "a dynamic IPv6 range has at least 256 addresses"},
		{"dynamic range where all is foreign", create(ipam.RangeDynamic, "10.2.0.10", "10.2.0.20"), "no free room for it on subnet 10.2.0.0/24"},
		{"range on no subnet", create(ipam.RangeReserved, "172.16.0.1", "172.16.0.2"), "subnet for 172.16.0.1 does not exist"},
		{"range without an end", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Ranges.Create(ctx, ipam.Range{SubnetID: w.s.ID, Start: addr("10.0.0.5")}))
		}, "reserved range: needs both a start and an end"},
		{"long comment", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Ranges.Create(ctx, ipam.Range{Start: addr("10.0.0.5"), End: addr("10.0.0.5"), Comment: strings.Repeat("x", 256)}))
		}, "comment is longer than 255 characters"},
		{"range grows over another", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.reserved.End = addr("10.0.0.205")
			return errOf(inv.Ranges.Update(ctx, w.reserved))
		}, "overlaps another (dynamic range 10.0.0.200-10.0.0.220)"},
		{"dynamic range grows over an address", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.dynamic.Start = addr("10.0.0.49")
			return errOf(inv.Ranges.Update(ctx, w.dynamic))
		}, "sticky address 10.0.0.50 of node2 eth0 is inside it"},
		{"route to itself", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: w.s.ID, DestinationID: w.s.ID, Gateway: addr("10.0.0.9")}))
		}, `static route "from 10.0.0.0/24 to 10.0.0.0/24": destination is the source too`},
		{"route to the other family", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: w.s.ID, DestinationID: w.six.ID, Gateway: addr("10.0.0.9")}))
		}, "destination is of another IP version than the source"},
		{"route through a gateway outside", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: w.s.ID, DestinationID: w.far.ID, Gateway: addr("10.1.0.1")}))
		}, "gateway 10.1.0.1 of a static route: is not in subnet 10.0.0.0/24"},
		{"same route again", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: w.s.ID, DestinationID: w.far.ID, Gateway: addr("10.0.0.3")}))
		}, "there is already a route with gateway 10.0.0.3 between these subnets"},
		{"route to nowhere", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: w.s.ID, DestinationID: 999, Gateway: addr("10.0.0.9")}))
		}, "subnet 999 does not exist"},
	}
}

func vlanAttempts() []attempt {
	change := func(f func(v *ipam.VLAN, w town)) func(context.Context, *inventory.Inventory, town) error {
		return func(ctx context.Context, inv *inventory.Inventory, w town) error {
			v := w.tagged
			f(&v, w)
			return errOf(inv.VLANs.Update(ctx, v))
		}
	}
	create := func(v ipam.VLAN) func(context.Context, *inventory.Inventory, town) error {
		return func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.VLANs.Create(ctx, v))
		}
	}
	return []attempt{
		{"vid 4095", create(ipam.VLAN{VID: 4095}), `vlan "4095": vid must be 0 to 4094`},
		{"vid -1", create(ipam.VLAN{VID: -1}), "vid must be 0 to 4094"},
		{"vid again", create(ipam.VLAN{VID: 7}), "there is already a vlan with VID 7 in its fabric"},
		{"second untagged VLAN", create(ipam.VLAN{}), "there is already a vlan with VID 0 in its fabric"},
		{"small mtu", create(ipam.VLAN{VID: 8, MTU: 551}), `vlan "8": mtu must be 552 to 65535`},
		{"large mtu", create(ipam.VLAN{VID: 8, MTU: 65536}), "mtu must be 552 to 65535"},
		{"fabric that is not there", create(ipam.VLAN{VID: 8, FabricID: 999}), "fabric 999 does not exist"},
		{"DHCP without a rack", change(func(v *ipam.VLAN, _ town) { v.DHCP = true }), `vlan "seven": dhcp_on needs a primary rack`},
		{"DHCP without a range", change(func(v *ipam.VLAN, _ town) { v.DHCP, v.PrimaryRack = true, "rack1" }), "dhcp_on needs a dynamic range"},
		{"rack that is not there", change(func(v *ipam.VLAN, _ town) { v.PrimaryRack = "rack9" }), "vlan seven: primary_rack: inventory: rack rack9 does not exist"},
		{"one rack twice", change(func(v *ipam.VLAN, _ town) { v.PrimaryRack, v.SecondaryRack = "rack1", "rack1" }), "secondary_rack is the primary rack too"},
		{"relay to itself", change(func(v *ipam.VLAN, _ town) { v.RelayVLANID = v.ID }), "relay_vlan is the VLAN itself"},
		{"relay to nowhere", change(func(v *ipam.VLAN, _ town) { v.RelayVLANID = 999 }), "vlan 999 does not exist"},
		{"space that is not there", change(func(v *ipam.VLAN, _ town) { v.SpaceID = 999 }), "space 999 does not exist"},
		{"vid taken", change(func(v *ipam.VLAN, _ town) { v.VID = 0 }), "there is already a vlan with VID 0 in its fabric"},
		{"default VLAN moves", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.vlan.FabricID = w.second.ID
			return errOf(inv.VLANs.Update(ctx, w.vlan))
		}, `vlan "untagged": fabric and vid of a fabric's default VLAN cannot be changed`},
	}
}

func nameAttempts() []attempt {
	return []attempt{
		{"fabric's name again", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Fabrics.Create(ctx, ipam.Fabric{Name: "dc2"}))
		}, "there is already a fabric with name dc2"},
		{"generated fabric name", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Fabrics.Create(ctx, ipam.Fabric{Name: "fabric-77"}))
		}, `fabric "fabric-77": name is kept for generated names`},
		{"fabric takes a name", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.fabric.Name = "dc2"
			return errOf(inv.Fabrics.Update(ctx, w.fabric))
		}, "there is already a fabric with name dc2"},
		{"space's name again", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Spaces.Create(ctx, ipam.Space{Name: "dmz"}))
		}, "there is already a space with name dmz"},
		{"space undefined", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Spaces.Create(ctx, ipam.Space{Name: "undefined"}))
		}, `space "undefined": name is kept for "no space"`},
		{"zone's name again", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "east"}))
		}, "there is already a zone with name east"},
		{"pool's name again", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Pools.Create(ctx, inventory.ResourcePool{Name: "big"}))
		}, "there is already a pool with name big"},
		{"domain's name again", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Domains.Create(ctx, inventory.Domain{Name: "LAB."}))
		}, "there is already a domain with name lab"},
		{"bad domain", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Domains.Create(ctx, inventory.Domain{Name: "a..b"}))
		}, `domain "a..b": name has the label ""`},
		{"record again", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Records.Create(ctx, inventory.DNSRecord{Name: "www", Type: "CNAME", Data: "node1"}))
		}, `record "www": rrtype can have one CNAME only`},
		{"record of the wrong family", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Records.Create(ctx, inventory.DNSRecord{Name: "x", Type: "A", Data: "fd00::1"}))
		}, `record "x": rrdata must be an IPv4 address`},
		{"hostname again", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", DomainID: w.lab.ID, Interfaces: []inventory.Interface{nic(9)}}))
		}, "there is already a machine with hostname node1 in its domain"},
		{"MAC again", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Machines.Create(ctx, inventory.Machine{Hostname: "fresh", Interfaces: []inventory.Interface{nic(1)}}))
		}, "MAC 52:54:00:00:00:01"},
		{"zone that is not there", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.node1.ZoneID = 999
			return errOf(inv.Machines.Update(ctx, w.node1))
		}, "zone 999 does not exist"},
		{"pool that is not there", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.node1.PoolID = 999
			return errOf(inv.Machines.Update(ctx, w.node1))
		}, "pool 999 does not exist"},
		{"domain that is not there", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.device.DomainID = 999
			return errOf(inv.Devices.Update(ctx, w.device))
		}, "domain 999 does not exist"},
		{"parent that is not there", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			w.device.ParentID = 999
			return errOf(inv.Devices.Update(ctx, w.device))
		}, "machine 999 does not exist"},
		{"interface on a VLAN that is not there", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Interfaces.Create(ctx, ipam.Interface{NodeID: w.node2.ID, Name: "eth9", MAC: mac(9), VLANID: 999}))
		}, "vlan 999 does not exist"},
		{"rack without a name", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.RegisterRack(ctx, inventory.Rack{Name: " "}))
		}, "name is missing"},
		{"rack takes a name", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			r := must2(inv.Racks.Find(ctx, "rack2"))
			r.Name = "rack1"
			return errOf(inv.Racks.Update(ctx, r))
		}, `there is already a rack with name rack1`},
		{"bad hostname", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a_b", Interfaces: []inventory.Interface{nic(9)}}))
		}, `machine "a_b": hostname must be 1 to 63 letters`},
		{"bad profile", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Profiles.Set(ctx, inventory.BootTarget{MachineID: w.node1.ID}, &pxe.Profile{})
		}, `boot-profile "machine node1": profile cannot be booted: pxe: profile "": kernel is empty`},
		{"profile of a subnet that is not there", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return inv.Profiles.Set(ctx, inventory.BootTarget{SubnetID: 999}, &pxe.Profile{Kind: pxe.Local})
		}, "subnet 999 does not exist"},
		{"profile of two", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Profiles.Set(ctx, inventory.BootTarget{MachineID: w.node1.ID, SubnetID: w.s.ID}, &pxe.Profile{Kind: pxe.Local})
		}, "is for one of machine, tag and subnet"},
		{"interface's name again", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Interfaces.Create(ctx, ipam.Interface{NodeID: w.node1.ID, Name: "eth0", MAC: mac(9)}))
		}, "name eth0 on its machine"},
		{"MAC of another machine", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			i := w.node2.Interfaces[0].Interface
			i.MAC = mac(1)
			i.Version = must2(inv.Interface(ctx, i.ID)).Version
			return errOf(inv.Interfaces.Update(ctx, i))
		}, "there is already an interface with MAC 52:54:00:00:00:01 (of node1)"},
		{"bridge of bridges", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.Interfaces.Create(ctx, ipam.Interface{NodeID: w.node2.ID, Name: "br0", Kind: ipam.Bridge, Parents: []int64{w.bond.ID}}))
		}, `interface "br0": parents bond0 belongs to another machine`},
	}
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func addressAttempts() []attempt {
	link := func(r inventory.LinkRequest) func(context.Context, *inventory.Inventory, town) error {
		return func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return errOf(inv.LinkInterface(ctx, w.node1.Interfaces[0].ID, r))
		}
	}
	keep := func(a string, n int) func(context.Context, *inventory.Inventory, town) error {
		return func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr(a), MAC: mac(n)}))
		}
	}
	return []attempt{
		{"address that is held", link(inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.50")}), "address 10.0.0.50: is in use (sticky address 10.0.0.50 of node2 eth0)"},
		{"address of DHCP", link(inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.210")}), "belongs to the DHCP server (dynamic range 10.0.0.200-10.0.0.220)"},
		{"address kept for another", link(inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.70")}), "is kept for another link address (reserved IP 10.0.0.70"},
		{"network address", link(inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.0.0")}), "names the network"},
		{"address of another subnet", link(inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.1.0.5"), SubnetID: 1}), "address 10.1.0.5: is not in subnet 10.0.0.0/24"},
		{"address of no subnet", link(inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("172.16.0.1")}), "subnet for 172.16.0.1 does not exist"},
		{"address of the wrong family", link(inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("fd00::1:0:0:1"), SubnetID: 1}), "is not in subnet 10.0.0.0/24"},
		{"address with an automatic link", link(inventory.LinkRequest{Mode: ipam.LinkAuto, Addr: addr("10.0.0.51")}), "ip_address is for static links only"},
		{"link to nothing", link(inventory.LinkRequest{Mode: ipam.LinkAuto}), "subnet is missing"},
		{"reservation in a reserved range", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.ReserveAddress(ctx, inventory.Reservation{Addr: addr("10.0.0.210"), Owner: "ada"}))
		}, "belongs to the DHCP server"},
		{"reservation of nothing", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return errOf(inv.ReserveAddress(ctx, inventory.Reservation{Owner: "ada"}))
		}, "subnet or ip is needed"},
		{"releasing somebody else's", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return inv.ReleaseAddress(ctx, addr("10.1.0.9"), "bob", false)
		}, `reserved address "10.1.0.9": owner is ada; only they, or force, can release it`},
		{"reserved IP in a dynamic range", keep("10.0.0.210", 9), "reserved IP 10.0.0.210 for 52:54:00:00:00:09: belongs to the DHCP server"},
		{"reserved IP of another machine", keep("10.0.0.50", 9), "is in use (sticky address 10.0.0.50 of node2 eth0)"},
		{"reserved IP twice", keep("10.0.0.70", 9), "is in use (reserved IP 10.0.0.70 for 52:54:00:00:00:07)"},
		{"MAC with two reserved IPs", keep("10.0.0.71", 7), "overlaps another (reserved IP 10.0.0.70 for 52:54:00:00:00:07)"},
		{"reserved network address", keep("10.0.0.0", 9), "names the network"},
		{"reserved broadcast address", keep("10.0.0.255", 9), "broadcast address"},
		{"reserved IP of no subnet", keep("172.16.0.1", 9), "subnet for 172.16.0.1 does not exist"},
	}
}

func deleteAttempts() []attempt {
	return []attempt{
		{"default fabric", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Fabrics.Delete(ctx, w.fabric.ID)
		}, "fabric fabric-1 cannot be deleted; it is the default fabric"},
		{"fabric in use", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Fabrics.Delete(ctx, w.second.ID)
		}, "fabric dc2 cannot be deleted: in the way are subnet 10.1.0.0/24, interface bond0 of node1"},
		{"default VLAN", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.VLANs.Delete(ctx, w.vlan.ID)
		}, "vlan untagged cannot be deleted; it is its fabric's default VLAN"},
		{"subnet of DHCP", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.ForceDeleteSubnet(ctx, w.s.ID)
		}, "in the way are dynamic range 10.0.0.200-10.0.0.220"},
		{"subnet in use", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Subnets.Delete(ctx, w.far.ID)
		}, "subnet far cannot be deleted: in the way are user-reserved address 10.1.0.9 of user ada; release them, or use force"},
		{"default zone", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Zones.Delete(ctx, w.defaultZone)
		}, "it is the default zone"},
		{"default pool", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Pools.Delete(ctx, w.defaultPool)
		}, "it is the default pool"},
		{"pool in use", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Pools.Delete(ctx, w.pool.ID)
		}, "pool big cannot be deleted: in the way are machine node1"},
		{"default domain", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Domains.Delete(ctx, w.maas.ID)
		}, "it is the default domain"},
		{"domain in use", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Domains.Delete(ctx, w.lab.ID)
		}, "domain lab cannot be deleted: in the way are machine node1"},
		{"rack in use", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return inv.Racks.Delete(ctx, must2(inv.Racks.Find(ctx, "rack1")).ID)
		}, "rack rack1 cannot be deleted: in the way are vlan untagged"},
		{"interface in a bond", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Interfaces.Delete(ctx, w.node1.Interfaces[0].ID)
		}, "interface eth0 cannot be deleted: in the way are bond bond0"},
		{"what is not there", func(ctx context.Context, inv *inventory.Inventory, _ town) error {
			return inv.Machines.Delete(ctx, 999)
		}, "machine 999 does not exist"},
		{"device as machine", func(ctx context.Context, inv *inventory.Inventory, w town) error {
			return inv.Machines.Delete(ctx, w.device.ID)
		}, "machine 3 does not exist"},
	}
}

// Whatever is refused names the object, and leaves nothing behind, alone or
// at the end of a transaction that did something else first.
func TestRefusalsLeaveNothingBehind(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.DB, inv *inventory.Inventory) {
		w := build(t, inv)
		before := dumpOf(t, db)
		var all []attempt
		for _, group := range [][]attempt{subnetAttempts(), rangeAttempts(), vlanAttempts(), nameAttempts(), addressAttempts(), deleteAttempts()} {
			all = append(all, group...)
		}
		for _, a := range all {
			t.Run(a.name, func(t *testing.T) {
				refused(t, a.do(t.Context(), inv, w), a.want)
				err := inv.Atomically(t.Context(), func(ctx context.Context) error {
					if _, err := inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "first"}); err != nil {
						return err
					}
					if _, err := inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: w.s.ID}); err != nil {
						return err
					}
					return a.do(ctx, inv, w)
				})
				refused(t, err, a.want)
				if after := dumpOf(t, db); after != before {
					t.Fatalf("the database is\n%s\nand was\n%s", after, before)
				}
			})
		}
		t.Logf("%d requests refused", len(all))
	})
}
