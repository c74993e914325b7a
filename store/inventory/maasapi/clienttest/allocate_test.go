package clienttest

import (
	"slices"
	"testing"

	"github.com/canonical/gomaasclient/entity"
	"github.com/juju/gomaasapi/v2"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// Juju chooses machines by space, and reads which interfaces met its constraints.
func TestJujuChoosesBySpace(t *testing.T) {
	c, inv := openJuju(t)
	ctx := t.Context()
	f := must[[]ipam.Fabric](t, "fabrics")(inv.Fabrics.List(ctx))[0]
	for i, name := range []string{"dmz", "lab"} {
		sp := must[ipam.Space](t, "space")(inv.Spaces.Create(ctx, ipam.Space{Name: name}))
		v := must[ipam.VLAN](t, "VLAN")(inv.VLANs.Create(ctx, ipam.VLAN{FabricID: f.ID, VID: 100 + i, SpaceID: sp.ID}))
		for _, prefix := range [][]string{{"10.0.0.0/24", "10.0.1.0/24"}, {"10.1.0.0/24", "10.1.1.0/24"}}[i] {
			must[ipam.Subnet](t, "subnet")(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netPrefix(prefix), VLANID: v.ID}))
		}
		must[inventory.Machine](t, "machine")(inv.Machines.Create(ctx, inventory.Machine{
			Hostname: "in-" + name, Architecture: "amd64/generic", Status: inventory.StatusReady,
			Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: []byte{2, 0, 0, 0, 0, byte(i)}, Kind: ipam.Physical, VLANID: v.ID, Enabled: true}}},
		}))
	}
	args := gomaasapi.AllocateMachineArgs{Interfaces: []gomaasapi.InterfaceSpec{{Label: "0", Space: "2"}}, AgentName: "model-1", Comment: "unit 0"}
	m, met, err := c.AllocateMachine(args)
	if err != nil || m.Hostname() != "in-lab" || len(met.Interfaces["0"]) != 1 {
		t.Fatalf("a machine with an interface in the second space: %v, %+v, %v", m, met, err)
	}
	if m, _, err = c.AllocateMachine(args); err == nil {
		t.Errorf("a second one: %s", m.Hostname())
	}
	if err := c.ReleaseMachines(gomaasapi.ReleaseMachinesArgs{SystemIDs: []string{"nothing"}, Comment: "done"}); err == nil {
		t.Error("a machine that does not exist was released")
	}
}

// A tag of an interface that was given is shown; else each later plan of Terraform would differ.
func TestTagsOfInterfaces(t *testing.T) {
	c, _ := open(t)
	m := must[*entity.Machine](t, "machine")(c.Machines.Create(&entity.MachineParams{
		Hostname: "vm1", Architecture: "amd64/generic", PowerType: "manual", MACAddresses: []string{"02:00:00:00:00:01"}, Commission: true,
	}, map[string]any{}))
	made := must[*entity.NetworkInterface](t, "physical")(c.NetworkInterfaces.CreatePhysical(m.SystemID, &entity.NetworkInterfacePhysicalParams{Name: "eth1", MACAddress: "02:00:00:00:00:02", Tags: "uplink,leaf"}))
	boot := m.BootInterface.ID
	must[*entity.NetworkInterface](t, "tags")(c.NetworkInterface.Update(m.SystemID, boot, &entity.NetworkInterfaceUpdateParams{Tags: "pair"}))
	must[*entity.NetworkInterface](t, "tag")(c.NetworkInterface.AddTag(m.SystemID, boot, "fast"))
	must[*entity.NetworkInterface](t, "tag")(c.NetworkInterface.RemoveTag(m.SystemID, boot, "pair"))
	for id, want := range map[int][]string{made.ID: {"uplink", "leaf"}, boot: {"fast"}} {
		if got := must[*entity.NetworkInterface](t, "read")(c.NetworkInterface.Get(m.SystemID, id)).Tags; !slices.Equal(got, want) {
			t.Errorf("interface %d has tags %q, want %q", id, got, want)
		}
	}
}
