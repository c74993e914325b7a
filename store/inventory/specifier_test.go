package inventory_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

func TestFindBySpecifier(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	lab := must[ipam.Fabric](t)(inv.Fabrics.Create(ctx, ipam.Fabric{Name: "lab"}))
	dmz := must[ipam.Space](t)(inv.Spaces.Create(ctx, ipam.Space{Name: "dmz"}))
	v := must[ipam.VLAN](t)(inv.VLANs.Create(ctx, ipam.VLAN{VID: 100, FabricID: lab.ID, SpaceID: dmz.ID}))
	a := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24"), VLANID: v.ID}))
	b := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("fd00::/64"), VLANID: v.ID, Name: "six"}))
	for _, text := range []string{"10.0.0.99", "fabric:lab,!six", "id:1", "space:dmz,&cidr:10.0.0.0/24"} {
		if got := must[ipam.Subnet](t)(inv.Subnets.Find(ctx, text)); got.ID != a.ID {
			t.Errorf("%q is %s", text, got)
		}
	}
	_, err := inv.Subnets.Find(ctx, "vid:100")
	refused(t, err, fmt.Sprintf("10.0.0.0/24 (id %d), six (id %d)", a.ID, b.ID))
	if got := must[ipam.VLAN](t)(inv.VLANs.Find(ctx, "subnet:six")); got.ID != v.ID {
		t.Errorf("VLAN %v", got)
	}
	if got := must[ipam.Fabric](t)(inv.Fabrics.Find(ctx, "vlan:100")); got.ID != lab.ID {
		t.Errorf("fabric %v", got)
	}
	if got := must[ipam.Space](t)(inv.Spaces.Find(ctx, "subnet:10.0.0.0/24")); got.ID != dmz.ID {
		t.Errorf("space %v", got)
	}
	_, err = inv.Subnets.Find(ctx, "fabric:lab")
	var several *inventory.AmbiguousError
	if !errors.As(err, &several) {
		t.Errorf("err = %v", err)
	}
	refused(t, err, `"fabric:lab" means several of kind subnet: 10.0.0.0/24 (id 1), six (id 2); name one by its id`)
	if _, err = inv.Subnets.Find(ctx, "10.9.9.9"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
	_, err = inv.VLANs.Find(ctx, "vid:4095")
	refused(t, err, "needs 0 to 4094")
}
