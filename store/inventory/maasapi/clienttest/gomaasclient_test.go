package clienttest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/canonical/gomaasclient/client"
	"github.com/canonical/gomaasclient/entity"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// bmcs does as it is told.
type bmcs struct{ state power.State }

func (b *bmcs) Power(_ context.Context, _ inventory.Machine, action power.Action, _ maasapi.PowerOptions) (power.Result, error) {
	switch action {
	case power.ActionOn, power.ActionCycle:
		b.state = power.On
	case power.ActionOff, power.ActionSoftOff:
		b.state = power.Off
	}
	return power.Result{State: b.state}, nil
}

func (b *bmcs) Kinds() power.Registry { return power.NewRegistry(ipmi.Kind(), power.Manual()) }

// newAPI is the API of a site that is empty.
func newAPI(t *testing.T) (*maasapi.API, *inventory.Inventory) {
	t.Helper()
	db, err := store.Open(t.Context(), "memory:", schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	inv, err := inventory.Open(t.Context(), db, inventory.Config{Key: make([]byte, 32), PasswordCost: 10})
	if err != nil {
		t.Fatal(err)
	}
	api, err := maasapi.New(maasapi.Config{Inventory: inv, Power: &bmcs{power.Off}})
	if err != nil {
		t.Fatal(err)
	}
	return api, inv
}

// open serves a site over HTTP and returns a client with a key of it.
func open(t *testing.T) (*client.Client, *inventory.Inventory) {
	t.Helper()
	api, inv := newAPI(t)
	w := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/api/v1/keys", strings.NewReader("username=admin"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	api.Local().ServeHTTP(w, request)
	var key struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &key); err != nil || key.Key == "" {
		t.Fatalf("key: %d %s", w.Code, w.Body)
	}
	server := httptest.NewServer(api.Handler())
	t.Cleanup(server.Close)
	c, err := client.GetClient(server.URL+"/MAAS", key.Key, "2.0")
	if err != nil {
		t.Fatal(err)
	}
	return c, inv
}

// must ends the test unless a call succeeded.
func must[T any](t *testing.T, what string) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

func check(t *testing.T, what string, ok bool, got any) {
	t.Helper()
	if !ok {
		t.Errorf("%s: %+v", what, got)
	}
}

func fails(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func TestNetworks(t *testing.T) {
	c, inv := open(t)
	if _, err := inv.RegisterRack(t.Context(), inventory.Rack{Name: "rack"}); err != nil {
		t.Fatal(err)
	}
	f := must[*entity.Fabric](t, "create fabric")(c.Fabrics.Create(&entity.FabricParams{Name: "lab", ClassType: "10g"}))
	check(t, "fabric", f.Name == "lab" && f.ClassType == "10g" && len(f.VLANs) == 1, f)
	f = must[*entity.Fabric](t, "update fabric")(c.Fabric.Update(f.ID, &entity.FabricParams{Name: "lab2"}))
	check(t, "fabric renamed, the rest kept", f.Name == "lab2" && f.ClassType == "10g", f)
	check(t, "fabrics", len(must[[]entity.Fabric](t, "list")(c.Fabrics.Get())) == 2, nil)

	s := must[*entity.Space](t, "create space")(c.Spaces.Create("dmz"))
	s = must[*entity.Space](t, "update space")(c.Space.Update(s.ID, "storage"))
	check(t, "space", s.Name == "storage", s)

	v := must[*entity.VLAN](t, "create VLAN")(c.VLANs.Create(f.ID, &entity.VLANParams{VID: 100, Name: "boot", MTU: 9000, Space: "storage"}))
	check(t, "VLAN", v.VID == 100 && v.MTU == 9000 && v.Space == "storage" && v.FabricID == f.ID && v.Fabric == "lab2", v)
	check(t, "VLANs", len(must[[]entity.VLAN](t, "list")(c.VLANs.Get(f.ID))) == 2, nil)

	sub := must[*entity.Subnet](t, "create subnet")(c.Subnets.Create(&entity.SubnetParams{
		CIDR: "10.1.0.0/24", Name: "boot", VLAN: ref(v.ID), GatewayIP: "10.1.0.1", DNSServers: []string{"10.1.0.2", "10.1.0.3"},
		RDNSMode: 2, AllowDNS: true, AllowProxy: true, Managed: true,
	}))
	check(t, "subnet", sub.CIDR == "10.1.0.0/24" && sub.VLAN.ID == v.ID && sub.GatewayIP.String() == "10.1.0.1" && len(sub.DNSServers) == 2 &&
		sub.Managed && sub.AllowDNS && sub.RDNSMode == 2 && sub.Space == "storage", sub)
	r := must[*entity.IPRange](t, "create range")(c.IPRanges.Create(&entity.IPRangeParams{
		Type: "dynamic", Subnet: ref(sub.ID), StartIP: "10.1.0.100", EndIP: "10.1.0.199", Comment: "leases",
	}))
	check(t, "range", r.StartIP.String() == "10.1.0.100" && r.Subnet.ID == sub.ID && r.Type == "dynamic", r)
	rack := "rack"
	v = must[*entity.VLAN](t, "switch DHCP on")(c.VLAN.Update(f.ID, 100, &entity.VLANParams{VID: 100, DHCPOn: true, PrimaryRack: &rack}))
	check(t, "DHCP", v.DHCPOn && v.PrimaryRack == "rack" && v.Name == "boot", v)
	r = must[*entity.IPRange](t, "update range")(c.IPRange.Update(r.ID, &entity.IPRangeParams{Type: "dynamic", Subnet: ref(sub.ID), StartIP: "10.1.0.100", EndIP: "10.1.0.209"}))
	check(t, "range grown", r.EndIP.String() == "10.1.0.209", r)
	_, err := c.IPRanges.Create(&entity.IPRangeParams{Type: "reserved", Subnet: ref(sub.ID), StartIP: "10.1.0.150", EndIP: "10.1.0.160"})
	fails(t, "overlapping range", err, "10.1.0")
	_, err = c.Subnets.Create(&entity.SubnetParams{CIDR: "10.1.0.0/25", Managed: true})
	fails(t, "overlapping subnet", err, "10.1.0.0/24")
	_, err = c.VLANs.Create(f.ID, &entity.VLANParams{VID: 4095})
	fails(t, "VID 4095", err, "vid")

	stats := must[any](t, "statistics")(anyOf(c.Subnet.GetStatistics(sub.ID)))
	check(t, "statistics", stats != nil, stats)
	must[any](t, "reserved ranges")(anyOf(c.Subnet.GetReservedIPRanges(sub.ID)))
	free := must[any](t, "unreserved ranges")(anyOf(c.Subnet.GetUnreservedIPRanges(sub.ID)))
	check(t, "unreserved ranges", free != nil, free)
	must[any](t, "addresses of the subnet")(anyOf(c.Subnet.GetIPAddresses(sub.ID)))

	other := must[*entity.Subnet](t, "second subnet")(c.Subnets.Create(&entity.SubnetParams{CIDR: "2001:db8:1::/64", Managed: true}))
	third := must[*entity.Subnet](t, "third subnet")(c.Subnets.Create(&entity.SubnetParams{CIDR: "10.2.0.0/24", Managed: true}))
	route := must[*entity.StaticRoute](t, "create route")(c.StaticRoutes.Create(&entity.StaticRouteParams{Source: ref(sub.ID), Destination: ref(third.ID), GatewayIP: "10.1.0.254", Metric: 5}))
	check(t, "route", route.Source.ID == sub.ID && route.Destination.ID == third.ID && route.Metric == 5, route)
	route = must[*entity.StaticRoute](t, "update route")(c.StaticRoute.Update(route.ID, &entity.StaticRouteParams{Metric: 7}))
	check(t, "route changed, the rest kept", route.Metric == 7 && route.GatewayIP == "10.1.0.254", route)

	ip := must[*entity.IPAddress](t, "reserve")(c.IPAddresses.Reserve(&entity.IPAddressesParams{IP: "10.1.0.50"}))
	check(t, "reserved", ip.IP.String() == "10.1.0.50" && ip.Subnet.ID == sub.ID && ip.AllocTypeName == "User reserved", ip)
	any1 := must[*entity.IPAddress](t, "reserve any")(c.IPAddresses.Reserve(&entity.IPAddressesParams{Subnet: "10.1.0.0/24"}))
	check(t, "reserved any", any1.IP != nil && any1.IP.String() != "10.1.0.50", any1)
	check(t, "addresses", len(must[[]entity.IPAddress](t, "list")(c.IPAddresses.Get(&entity.IPAddressesParams{}))) == 2, nil)
	_, err = c.IPAddresses.Reserve(&entity.IPAddressesParams{IP: "10.1.0.50"})
	fails(t, "reserved twice", err, "10.1.0.50")
	if err := c.IPAddresses.Release(&entity.IPAddressesParams{IP: "10.1.0.50"}); err != nil {
		t.Error(err)
	}

	for what, remove := range map[string]func() error{"route": func() error { return c.StaticRoute.Delete(route.ID) }} {
		if err := remove(); err != nil {
			t.Errorf("delete %s: %v", what, err)
		}
	}
	off := must[*entity.VLAN](t, "switch DHCP off")(c.VLAN.Update(f.ID, 100, &entity.VLANParams{VID: 100}))
	check(t, "DHCP off", !off.DHCPOn, off)
	if err := c.IPRange.Delete(r.ID); err != nil {
		t.Error(err)
	}
	if err := c.Subnet.Delete(other.ID); err != nil {
		t.Error(err)
	}
	_, err = c.Subnet.Get(other.ID)
	fails(t, "a subnet that is gone", err, "404")
	fails(t, "a fabric in use", c.Fabric.Delete(f.ID), "409")
	if err := c.IPAddresses.Release(&entity.IPAddressesParams{IP: any1.IP.String()}); err != nil {
		t.Error(err)
	}
	for _, remove := range []func() error{
		func() error { return c.Subnet.Delete(sub.ID) }, func() error { return c.VLAN.Delete(f.ID, 100) }, func() error { return c.Fabric.Delete(f.ID) },
		func() error { return c.Space.Delete(s.ID) },
	} {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}
}

func TestNames(t *testing.T) {
	c, _ := open(t)
	must[*entity.Zone](t, "create zone")(c.Zones.Create(&entity.ZoneParams{Name: "north", Description: "hall 1"}))
	z := must[*entity.Zone](t, "update zone")(c.Zone.Update("north", &entity.ZoneParams{Name: "south"}))
	check(t, "zone", z.Name == "south" && z.Description == "hall 1", z)
	check(t, "zone by name", must[*entity.Zone](t, "get")(c.Zone.Get("south")).ID == z.ID, z)
	p := must[*entity.ResourcePool](t, "create pool")(c.ResourcePools.Create(&entity.ResourcePoolParams{Name: "ci"}))
	p = must[*entity.ResourcePool](t, "update pool")(c.ResourcePool.Update(p.ID, &entity.ResourcePoolParams{Name: "ci", Description: "tests"}))
	check(t, "pool", p.Description == "tests", p)

	d := must[*entity.Domain](t, "create domain")(c.Domains.Create(&entity.DomainParams{Name: "lab.example", TTL: 120, Authoritative: true}))
	check(t, "domain", d.Name == "lab.example" && d.TTL == 120 && d.Authoritative && !d.IsDefault, d)
	res := must[*entity.DNSResource](t, "create DNS resource")(c.DNSResources.Create(&entity.DNSResourceParams{FQDN: "web.lab.example", IPAddresses: "192.0.2.7 192.0.2.8"}))
	check(t, "resource", res.FQDN == "web.lab.example" && len(res.IPAddresses) == 2, res)
	res2 := must[*entity.DNSResource](t, "update DNS resource")(c.DNSResource.Update(res.ID, &entity.DNSResourceParams{FQDN: "web.lab.example", IPAddresses: "192.0.2.9", AddressTTL: 60}))
	check(t, "resource changed", res2.ID == res.ID && len(res2.IPAddresses) == 1 && res2.IPAddresses[0].IP.String() == "192.0.2.9" && res2.AddressTTL == 60, res2)
	rec := must[*entity.DNSResourceRecord](t, "create record")(c.DNSResourceRecords.Create(&entity.DNSResourceRecordParams{FQDN: "lab.example", RRType: "MX", RRData: "10 mail.lab.example."}))
	check(t, "record", rec.RRType == "MX" && rec.FQDN == "lab.example", rec)
	rec = must[*entity.DNSResourceRecord](t, "update record")(c.DNSResourceRecord.Update(rec.ID, &entity.DNSResourceRecordParams{RRData: "20 mail.lab.example.", TTL: 30}))
	check(t, "record changed", rec.RRData == "20 mail.lab.example." && rec.TTL == 30 && rec.FQDN == "lab.example", rec)
	_, err := c.DNSResourceRecords.Create(&entity.DNSResourceRecordParams{FQDN: "web.lab.example", RRType: "A", RRData: "nonsense"})
	fails(t, "bad data", err, "rrdata")
	list := must[[]entity.DNSResourceRecord](t, "records")(c.DNSResourceRecords.Get(&entity.DNSResourceRecordsParams{RRType: "MX"}))
	check(t, "records by type", len(list) == 1, list)
	resources := must[[]entity.DNSResource](t, "resources")(c.DNSResources.Get(&entity.DNSResourcesParams{FQDN: "web.lab.example"}))
	check(t, "resources by name", len(resources) == 1, resources)
	for _, remove := range []func() error{
		func() error { return c.DNSResource.Delete(res.ID) }, func() error { return c.DNSResourceRecord.Delete(rec.ID) }, func() error { return c.Domain.Delete(d.ID) },
		func() error { return c.Zone.Delete("south") }, func() error { return c.ResourcePool.Delete(p.ID) },
	} {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}
	fails(t, "the default zone", c.Zone.Delete("default"), "default")
}

func TestNodes(t *testing.T) {
	c, inv := open(t)
	z := must[*entity.Zone](t, "zone")(c.Zones.Create(&entity.ZoneParams{Name: "north"}))
	sub := must[*entity.Subnet](t, "subnet")(c.Subnets.Create(&entity.SubnetParams{CIDR: "10.3.0.0/24", Managed: true, GatewayIP: "10.3.0.1"}))
	dev := must[*entity.Device](t, "create device")(c.Devices.Create(&entity.DeviceCreateParams{Hostname: "printer", MacAddresses: []string{"02:00:00:00:01:01"}}))
	check(t, "device", dev.FQDN == "printer.maas" && len(dev.InterfaceSet) == 1, dev)
	dev = must[*entity.Device](t, "update device")(c.Device.Update(dev.SystemID, &entity.DeviceUpdateParams{Description: "ground floor", Zone: "north"}))
	check(t, "device changed", dev.Description == "ground floor" && dev.Zone.ID == z.ID && dev.Hostname == "printer", dev)

	m := must[*entity.Machine](t, "create machine")(c.Machines.Create(&entity.MachineParams{
		Hostname: "node1", Architecture: "amd64/generic", MACAddresses: []string{"02:00:00:00:00:01"}, PowerType: "ipmi", Zone: "north",
	}, map[string]any{"power_parameters_power_address": "192.0.2.9", "power_parameters_power_user": "admin", "power_parameters_power_pass": "hunter2"}))
	check(t, "machine", m.FQDN == "node1.maas" && m.PowerType == "ipmi" && m.Zone.Name == "north" && m.BootInterface.MACAddress == "02:00:00:00:00:01", m)
	m = must[*entity.Machine](t, "update machine")(c.Machine.Update(m.SystemID, &entity.MachineParams{Description: "rack 7"}, map[string]any{"power_parameters_power_user": "root"}))
	check(t, "machine changed", m.Description == "rack 7" && m.Hostname == "node1", m)
	params := must[map[string]any](t, "power parameters")(c.Machine.GetPowerParameters(m.SystemID))
	check(t, "power parameters", params["power_user"] == "root" && params["power_pass"] == nil, params)
	stored, err := inv.Machines.Find(t.Context(), "node1")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := inv.PowerParams(t.Context(), stored.ID); err != nil || p["power_pass"] != "hunter2" {
		t.Errorf("the password that was not sent again: %v, %v", p["power_pass"] == "", err)
	}
	on := must[*entity.Machine](t, "power on")(c.Machine.PowerOn(m.SystemID, &entity.MachinePowerOnParams{}))
	check(t, "power on", on.PowerState == "on", on.PowerState)
	off := must[*entity.Machine](t, "power off")(c.Machine.PowerOff(m.SystemID, &entity.MachinePowerOffParams{}))
	check(t, "power off", off.PowerState == "off", off.PowerState)
	state := must[*entity.MachinePowerState](t, "power state")(c.Machine.GetPowerState(m.SystemID))
	check(t, "power state", state.State == "off", state)

	_, err = c.Machines.Allocate(&entity.MachineAllocateParams{NotInZone: []string{"north"}})
	fails(t, "nothing to allocate", err, "409")
	got := must[*entity.Machine](t, "allocate")(c.Machines.Allocate(&entity.MachineAllocateParams{Zone: "north", Arch: "amd64"}))
	check(t, "allocated", got.SystemID == m.SystemID && got.StatusName == "Allocated" && got.Owner != "", got)
	must[*entity.Machine](t, "release")(c.Machine.Release(m.SystemID, &entity.MachineReleaseParams{}))

	nic := must[[]entity.NetworkInterface](t, "interfaces")(c.NetworkInterfaces.Get(m.SystemID))[0]
	linked := must[*entity.NetworkInterface](t, "link")(c.NetworkInterface.LinkSubnet(m.SystemID, nic.ID, &entity.NetworkInterfaceLinkParams{Mode: "STATIC", Subnet: sub.ID, IPAddress: "10.3.0.20"}))
	check(t, "linked", len(linked.Links) == 1 && linked.Links[0].IPAddress == "10.3.0.20" && linked.Links[0].Mode == "static", linked)
	_, err = c.NetworkInterface.LinkSubnet(m.SystemID, nic.ID, &entity.NetworkInterfaceLinkParams{Mode: "STATIC", Subnet: sub.ID, IPAddress: "10.3.0.20"})
	fails(t, "an address twice", err, "10.3.0.20")
	second := must[*entity.NetworkInterface](t, "second interface")(c.NetworkInterfaces.CreatePhysical(m.SystemID, &entity.NetworkInterfacePhysicalParams{Name: "eth1", MACAddress: "02:00:00:00:00:02", VLAN: sub.VLAN.ID}))
	bond := must[*entity.NetworkInterface](t, "bond")(c.NetworkInterfaces.CreateBond(m.SystemID, &entity.NetworkInterfaceBondParams{Name: "bond0", Parents: []int{second.ID}, BondMode: "802.3ad", VLAN: sub.VLAN.ID}))
	check(t, "bond", bond.Type == "bond" && len(bond.Parents) == 1 && bond.Parents[0] == "eth1", bond)
	unlinked := must[*entity.NetworkInterface](t, "unlink")(c.NetworkInterface.UnlinkSubnet(m.SystemID, nic.ID, linked.Links[0].ID))
	check(t, "unlinked", len(unlinked.Links) == 0 || unlinked.Links[0].IPAddress == "", unlinked)
	nic2 := must[*entity.NetworkInterface](t, "update interface")(c.NetworkInterface.Update(m.SystemID, nic.ID, &entity.NetworkInterfaceUpdateParams{Name: "ens3", Enabled: true}))
	check(t, "renamed", nic2.Name == "ens3", nic2)
	must[*entity.NetworkInterface](t, "disconnect")(c.NetworkInterface.Disconnect(m.SystemID, nic.ID))
	if err := c.NetworkInterface.Delete(m.SystemID, bond.ID); err != nil {
		t.Error(err)
	}
	for _, remove := range []func() error{func() error { return c.Device.Delete(dev.SystemID) }, func() error { return c.Machine.Delete(m.SystemID) }} {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}
	_, err = c.Machine.Get(m.SystemID)
	fails(t, "a machine that is gone", err, "404")
}
