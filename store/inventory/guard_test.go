package inventory_test

import (
	"errors"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

func TestDeleteGuards(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		s := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24")}))
		v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID))
		fabric := must[[]ipam.Fabric](t)(inv.Fabrics.List(ctx))[0]
		zone := must[[]inventory.AvailabilityZone](t)(inv.Zones.List(ctx))[0]
		pool := must[[]inventory.ResourcePool](t)(inv.Pools.List(ctx))[0]
		domain := must[[]inventory.Domain](t)(inv.Domains.List(ctx))[0]
		refused(t, inv.Fabrics.Delete(ctx, fabric.ID), "fabric fabric-1 cannot be deleted; it is the default fabric")
		refused(t, inv.VLANs.Delete(ctx, v.ID), "vlan untagged cannot be deleted; it is its fabric's default VLAN")
		refused(t, inv.Zones.Delete(ctx, zone.ID), "zone default cannot be deleted; it is the default zone")
		refused(t, inv.Pools.Delete(ctx, pool.ID), "pool default cannot be deleted; it is the default pool")
		refused(t, inv.Domains.Delete(ctx, domain.ID), "domain maas cannot be deleted; it is the default domain")
		refused(t, inv.Racks.Delete(ctx, must[inventory.Rack](t)(inv.Racks.Find(ctx, "rack1")).ID), "rack rack1 cannot be deleted: in the way are vlan untagged (id 1); give these VLANs another rack first")
		refused(t, inv.ForceDeleteSubnet(ctx, s.ID), "in the way are dynamic range 10.0.0.191-10.0.0.254; delete the dynamic range, or turn DHCP off on VLAN untagged")

		v.DHCP = false
		ok(t, errOf(inv.VLANs.Update(ctx, v)))
		refused(t, inv.Subnets.Delete(ctx, s.ID), "in the way are sticky address 10.0.0.2 of rack rack1; release them, or use force")

		other := must[inventory.ResourcePool](t)(inv.Pools.Create(ctx, inventory.ResourcePool{Name: "big"}))
		lab := must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "lab"}))
		away := must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "away"}))
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", PoolID: other.ID, DomainID: lab.ID, ZoneID: away.ID, Interfaces: []inventory.Interface{nic(1)}}))
		refused(t, inv.Pools.Delete(ctx, other.ID), "in the way are machine node1; move them to another pool first")
		refused(t, inv.Domains.Delete(ctx, lab.ID), "in the way are machine node1; move them to another domain first")
		ok(t, inv.Zones.Delete(ctx, away.ID))
		if m = must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID)); m.ZoneID != zone.ID {
			t.Errorf("zone = %d, want the default one", m.ZoneID)
		}

		second := must[ipam.Fabric](t)(inv.Fabrics.Create(ctx, ipam.Fabric{Name: "dc2"}))
		v2 := must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, second.ID))
		must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.2.0.0/24"), VLANID: v2.ID}))
		i := m.Interfaces[0].Interface
		i.VLANID = v2.ID
		ok(t, errOf(inv.Interfaces.Update(ctx, i)))
		err := inv.Fabrics.Delete(ctx, second.ID)
		var use *inventory.InUseError
		if !errors.As(err, &use) || len(use.By) != 2 {
			t.Errorf("err = %v, want a subnet and an interface in the way", err)
		}
		refused(t, err, "subnet 10.2.0.0/24, interface eth0 of node1")
		ok(t, inv.ForceDeleteSubnet(ctx, s.ID))
	})
}

func TestVLANRules(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		_, err := inv.VLANs.Create(ctx, ipam.VLAN{VID: 4095})
		refused(t, err, "vid must be 0 to 4094")
		v := must[ipam.VLAN](t)(inv.VLANs.Create(ctx, ipam.VLAN{VID: 100}))
		if v.MTU != 1500 {
			t.Errorf("mtu = %d", v.MTU)
		}
		_, err = inv.VLANs.Create(ctx, ipam.VLAN{VID: 100})
		refused(t, err, "there is already a vlan with VID 100 in its fabric")
		v.PrimaryRack = "nowhere"
		refused(t, errOf(inv.VLANs.Update(ctx, v)), "primary_rack: inventory: rack nowhere does not exist")
		for _, name := range []string{"r1", "r2"} {
			must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: name}))
		}
		v.PrimaryRack, v.DHCP = "r1", true
		refused(t, errOf(inv.VLANs.Update(ctx, v)), "dhcp_on needs a dynamic range on one of the VLAN's subnets")
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24"), VLANID: v.ID}))
		must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{Type: ipam.RangeDynamic, Start: addr("10.0.0.10"), End: addr("10.0.0.99")}))
		v.SecondaryRack = "r2"
		ok(t, errOf(inv.VLANs.Update(ctx, v)))
		v = must[ipam.VLAN](t)(inv.VLANs.Get(ctx, v.ID))
		v.PrimaryRack = "" // the secondary rack moves up
		ok(t, errOf(inv.VLANs.Update(ctx, v)))
		if v = must[ipam.VLAN](t)(inv.VLANs.Get(ctx, v.ID)); v.PrimaryRack != "r2" || v.SecondaryRack != "" {
			t.Errorf("racks = %q, %q; want r2 alone", v.PrimaryRack, v.SecondaryRack)
		}
		relayed := must[ipam.VLAN](t)(inv.VLANs.Create(ctx, ipam.VLAN{VID: 101, RelayVLANID: v.ID}))
		_, err = inv.VLANs.Create(ctx, ipam.VLAN{VID: 102, RelayVLANID: relayed.ID})
		refused(t, err, "relay_vlan is itself relayed")
		ok(t, inv.VLANs.Delete(ctx, v.ID))
		def := must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
		if s = must[ipam.Subnet](t)(inv.Subnets.Get(ctx, s.ID)); s.VLANID != def.ID {
			t.Errorf("subnet is on VLAN %d, want the default %d", s.VLANID, def.ID)
		}
	})
}

func TestSubnetRules(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.77/24"), Name: "net 10.0.0.0/24"}))
		if s.Prefix != prefix("10.0.0.0/24") {
			t.Errorf("host bits were kept: %s", s.Prefix)
		}
		_, err := inv.Ranges.Create(ctx, ipam.Range{Type: ipam.RangeDynamic, Start: addr("10.9.0.10"), End: addr("10.9.0.99")})
		refused(t, err, "subnet for 10.9.0.10 does not exist")
		must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{Type: ipam.RangeDynamic, Start: addr("10.0.0.10"), End: addr("10.0.0.99")}))
		_, err = inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.0.0.20"), MAC: mac(1)})
		refused(t, err, "belongs to the DHCP server (dynamic range 10.0.0.10-10.0.0.99)")
		s.Prefix = prefix("10.0.0.0/26")
		refused(t, errOf(inv.Subnets.Update(ctx, s)), "cidr leaves out dynamic range 10.0.0.10-10.0.0.99")
		s.Prefix = prefix("10.0.0.0/23")
		ok(t, errOf(inv.Subnets.Update(ctx, s)))
		if s = must[ipam.Subnet](t)(inv.Subnets.Get(ctx, s.ID)); s.Name != "net 10.0.0.0/23" {
			t.Errorf("name = %q; the prefix in it was not replaced", s.Name)
		}
		must[ipam.ReservedIP](t)(inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.0.1.1"), MAC: mac(1)}))
		_, err = inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.0.1.2"), MAC: mac(1)})
		refused(t, err, "reserved IP 10.0.1.1 for 52:54:00:00:00:01")

		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Interfaces: []inventory.Interface{nic(1), nic(2)}}))
		a := must[ipam.Allocation](t)(inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: s.ID}))
		if a.Addr != addr("10.0.1.1") {
			t.Errorf("the MAC with a reserved IP got %s", a.Addr)
		}
		_, err = inv.LinkInterface(ctx, m.Interfaces[1].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("10.0.1.1")})
		refused(t, err, "is in use (sticky address 10.0.1.1 of "+m.Hostname+" eth0)")
		e := must[ipam.Explanation](t)(inv.Explain(ctx, addr("10.0.1.1")))
		if e.Purpose != ipam.PurposeAssigned|ipam.PurposeReservedIP {
			t.Errorf("explained as %s", e.Purpose)
		}
		must[ipam.Allocation](t)(inv.LinkInterface(ctx, m.Interfaces[1].ID, inventory.LinkRequest{Mode: ipam.LinkAuto, SubnetID: s.ID}))
		ok(t, inv.ClaimAuto(ctx, m.ID))
		i := must[inventory.Interface](t)(inv.Interface(ctx, m.Interfaces[1].ID))
		if len(i.Links) != 1 || i.Links[0].Addr != addr("10.0.0.1") || i.VLANID != s.VLANID {
			t.Errorf("claimed %+v", i)
		}
		ok(t, inv.ReleaseAuto(ctx, m.ID))
		ok(t, inv.ClaimAuto(ctx, m.ID))
	})
}
