package inventory_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

func TestFindBySpecifier(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	lab := must[ipam.Fabric](t)(inv.CreateFabric(ctx, ipam.Fabric{Name: "lab"}))
	dmz := must[ipam.Space](t)(inv.CreateSpace(ctx, ipam.Space{Name: "dmz"}))
	v := must[ipam.VLAN](t)(inv.CreateVLAN(ctx, ipam.VLAN{VID: 100, FabricID: lab.ID, SpaceID: dmz.ID}))
	a := must[ipam.Subnet](t)(inv.CreateSubnet(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24"), VLANID: v.ID}))
	b := must[ipam.Subnet](t)(inv.CreateSubnet(ctx, ipam.Subnet{Prefix: prefix("fd00::/64"), VLANID: v.ID, Name: "six"}))
	for _, text := range []string{"10.0.0.99", "fabric:lab,!six", "id:1", "space:dmz,&cidr:10.0.0.0/24"} {
		if got := must[ipam.Subnet](t)(inv.FindSubnet(ctx, text)); got.ID != a.ID {
			t.Errorf("%q is %s", text, got)
		}
	}
	if got := must[[]ipam.Subnet](t)(inv.FindSubnets(ctx, "vid:100")); len(got) != 2 || got[1].ID != b.ID {
		t.Errorf("vid:100 is %v", got)
	}
	if got := must[ipam.VLAN](t)(inv.FindVLAN(ctx, "subnet:six")); got.ID != v.ID {
		t.Errorf("VLAN %v", got)
	}
	if got := must[ipam.Fabric](t)(inv.FindFabric(ctx, "vlan:100")); got.ID != lab.ID {
		t.Errorf("fabric %v", got)
	}
	if got := must[ipam.Space](t)(inv.FindSpace(ctx, "subnet:10.0.0.0/24")); got.ID != dmz.ID {
		t.Errorf("space %v", got)
	}
	_, err := inv.FindSubnet(ctx, "fabric:lab")
	var several *inventory.AmbiguousError
	if !errors.As(err, &several) {
		t.Errorf("err = %v", err)
	}
	refused(t, err, `"fabric:lab" means several of kind subnet: 10.0.0.0/24 (id 1), six (id 2); name one by its id`)
	if _, err = inv.FindSubnet(ctx, "10.9.9.9"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
	_, err = inv.FindVLANs(ctx, "vid:4095")
	refused(t, err, "needs 0 to 4094")
}
