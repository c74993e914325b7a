package clienttest

import (
	"net/http/httptest"
	"testing"

	"github.com/juju/gomaasapi/v2"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// openJuju is open for the client of juju.
func openJuju(t *testing.T) (gomaasapi.Controller, *inventory.Inventory) {
	t.Helper()
	api, inv := newAPI(t)
	server := httptest.NewServer(api.Handler())
	t.Cleanup(server.Close)
	key, err := api.CreateKey(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	c, err := gomaasapi.NewController(gomaasapi.ControllerArgs{BaseURL: gomaasapi.AddAPIVersionToURL(server.URL+"/MAAS/", "2.0"), APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return c, inv
}

func TestJuju(t *testing.T) {
	c, inv := openJuju(t)
	check(t, "capabilities", c.Capabilities().Contains(gomaasapi.NetworksManagement), c.Capabilities())
	ctx := t.Context()
	f := must[[]ipam.Fabric](t, "fabrics")(inv.Fabrics.List(ctx))[0]
	v := must[ipam.VLAN](t, "VLAN")(inv.DefaultVLAN(ctx, f.ID))
	sp := must[ipam.Space](t, "space")(inv.Spaces.Create(ctx, ipam.Space{Name: "dmz"}))
	v.SpaceID = sp.ID
	if _, err := inv.VLANs.Update(ctx, v); err != nil {
		t.Fatal(err)
	}
	prefix := must[ipam.Subnet](t, "subnet")(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netPrefix("10.0.0.0/24"), VLANID: v.ID, Gateway: netAddr("10.0.0.1")}))
	must[inventory.Machine](t, "machine")(inv.Machines.Create(ctx, inventory.Machine{
		Hostname: "node1", Architecture: "amd64/generic", Status: inventory.StatusReady,
		Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: []byte{2, 0, 0, 0, 0, 1}, Kind: ipam.Physical, VLANID: v.ID, Enabled: true}}},
	}))
	tag := must[inventory.Tag](t, "tag")(inv.Tags.Create(ctx, inventory.Tag{Name: "gpu"}))
	if _, _, err := inv.Tags.MarkNodes(ctx, tag.ID, []int64{1}, nil); err != nil {
		t.Fatal(err)
	}

	fabrics := must[[]gomaasapi.Fabric](t, "fabrics")(c.Fabrics())
	check(t, "fabrics", len(fabrics) == 1 && fabrics[0].VLANs()[0].MTU() == 1500, fabrics)
	spaces := must[[]gomaasapi.Space](t, "spaces")(c.Spaces())
	check(t, "spaces", len(spaces) == 1 && spaces[0].Subnets()[0].CIDR() == prefix.Prefix.String() && spaces[0].Subnets()[0].Gateway() == "10.0.0.1", spaces)
	must[[]gomaasapi.StaticRoute](t, "static routes")(c.StaticRoutes())
	zones := must[[]gomaasapi.Zone](t, "zones")(c.Zones())
	check(t, "zones", len(zones) == 1 && zones[0].Name() == "default", zones)
	check(t, "pools", len(must[[]gomaasapi.Pool](t, "pools")(c.Pools())) == 1, nil)
	check(t, "domains", len(must[[]gomaasapi.Domain](t, "domains")(c.Domains())) == 1, nil)
	must[[]gomaasapi.Tag](t, "tags")(c.Tags())
	machines := must[[]gomaasapi.Machine](t, "machines")(c.Machines(gomaasapi.MachinesArgs{Hostnames: []string{"node1"}}))
	check(t, "machines", len(machines) == 1 && machines[0].InterfaceSet()[0].VLAN().ID() == int(v.ID) && machines[0].Tags()[0] == "gpu", machines)

	m, _, err := c.AllocateMachine(gomaasapi.AllocateMachineArgs{Tags: []string{"gpu"}, Zone: "default"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.AllocateMachine(gomaasapi.AllocateMachineArgs{NotTags: []string{"gpu"}})
	check(t, "nothing fits", gomaasapi.IsNoMatchError(err), err)
	nic := m.InterfaceSet()[0]
	if err := nic.LinkSubnet(gomaasapi.LinkSubnetArgs{Mode: gomaasapi.LinkModeStatic, Subnet: spaces[0].Subnets()[0], IPAddress: "10.0.0.50", DefaultGateway: true}); err != nil {
		t.Fatal(err)
	}
	check(t, "linked", len(nic.Links()) == 1 && nic.Links()[0].IPAddress() == "10.0.0.50", nic.Links())
	if err := nic.UnlinkSubnet(spaces[0].Subnets()[0]); err != nil {
		t.Error(err)
	}
	d := must[gomaasapi.Device](t, "device")(m.CreateDevice(gomaasapi.CreateMachineDeviceArgs{Hostname: "box", InterfaceName: "eth0", MACAddress: "02:00:00:00:00:99", VLAN: nic.VLAN()}))
	check(t, "device", d.Parent() == m.SystemID(), d.Parent())
	check(t, "devices", len(must[[]gomaasapi.Device](t, "devices")(c.Devices(gomaasapi.DevicesArgs{}))) == 1, nil)
	if err := d.Delete(); err != nil {
		t.Error(err)
	}
	if err := c.ReleaseMachines(gomaasapi.ReleaseMachinesArgs{SystemIDs: []string{m.SystemID()}, Comment: "done"}); err != nil {
		t.Error(err)
	}
	err = c.ReleaseMachines(gomaasapi.ReleaseMachinesArgs{SystemIDs: []string{"nobody"}})
	check(t, "releasing nobody", gomaasapi.IsBadRequestError(err), err)
}
