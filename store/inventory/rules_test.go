package inventory_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// A record has data of its type, and fits the other records of its name.
func TestRecordData(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	for kind, lists := range map[string]struct {
		good []string
		bad  map[string]string
	}{
		"A":     {[]string{"192.0.2.1"}, map[string]string{"2001:db8::1": "must be an IPv4 address", "": "must be an IPv4 address", "192.0.2": "must be an IPv4 address"}},
		"AAAA":  {[]string{"2001:db8::1"}, map[string]string{"192.0.2.1": "must be an IPv6 address", "fe80::1%eth0": "must be an IPv6 address"}},
		"MX":    {[]string{"10 mail.example"}, map[string]string{"mail.example": "must be <preference 0-65535> <mail server>", "70000 mail.example": "must be <preference"}},
		"SRV":   {[]string{"0 5 5060 sip.example"}, map[string]string{"0 5 sip.example": "must be <priority> <weight> <port> <server>", "0 5 99999 sip.example": "must be <priority>"}},
		"SSHFP": {[]string{"4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"}, map[string]string{"4 2": "must be <algorithm>", "4 2 xyz": "must be <algorithm>"}},
		"NS":    {[]string{"ns2.example"}, map[string]string{"ns2 ns3": "must be the name of a server"}},
		"TXT":   {[]string{`"v=spf1 -all"`}, map[string]string{"": "is missing", `"open`: "is not valid data of TXT"}},
		"CAA":   {[]string{`0 issue "ca.example"`}, map[string]string{"issue": "is not valid data of CAA"}},
		"BOGUS": {nil, map[string]string{"x": `is of type "BOGUS", which is not one of A, AAAA, CNAME`}},
	} {
		for _, data := range lists.good {
			if _, err := inv.Records.Create(ctx, inventory.DNSRecord{Name: "rr-" + strings.ToLower(kind), Type: strings.ToLower(kind), Data: data}); err != nil {
				t.Errorf("%s %s: %v", kind, data, err)
			}
		}
		for data, want := range lists.bad {
			_, err := inv.Records.Create(ctx, inventory.DNSRecord{Name: "bad", Type: kind, Data: data})
			refused(t, err, want)
		}
	}
	must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{Name: "alias", Type: "CNAME", Data: "www.example"}))
	for _, test := range []struct {
		record inventory.DNSRecord
		want   string
	}{
		{inventory.DNSRecord{Name: "alias", Type: "CNAME", Data: "other.example"}, "can have one CNAME only; it is www.example"},
		{inventory.DNSRecord{Name: "alias", Type: "A", Data: "192.0.2.1"}, "is a CNAME: it has no other records"},
		{inventory.DNSRecord{Name: "rr-a", Type: "CNAME", Data: "www.example"}, "is a CNAME: it has no other records"},
		{inventory.DNSRecord{Name: "rr-a", Type: "A", Data: "192.0.2.2", TTL: 60}, "must be 0, as of the other A records of the name"},
		{inventory.DNSRecord{Name: "@", Type: "CNAME", Data: "www.example"}, "cannot be CNAME at the domain itself"},
		{inventory.DNSRecord{Name: "x", Type: "A", Data: "192.0.2.1", TTL: -1}, "must be 0 to 2147483647 seconds"},
	} {
		_, err := inv.Records.Create(ctx, test.record)
		refused(t, err, test.want)
	}
}

func TestDomainsThatContradictThemselves(t *testing.T) {
	inv := openInventory(t, "memory:") // without a key of secrets
	server := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}
	for name, test := range map[string]struct {
		domain inventory.Domain
		want   string
	}{
		"no name":             {inventory.Domain{}, "must be 1 to 253 characters"},
		"a label too long":    {inventory.Domain{Name: strings.Repeat("a", 64) + ".example"}, "a label is 1 to 63 letters"},
		"a hyphen in front":   {inventory.Domain{Name: "-a.example"}, "a label is 1 to 63 letters"},
		"negative TTL":        {inventory.Domain{Name: "a.example", TTL: -1}, "must be from 0 to 2147483647 seconds"},
		"signed elsewhere":    {inventory.Domain{Name: "a.example", Signed: true, External: true}, "is for domains that are authoritative"},
		"signed, no key":      {inventory.Domain{Name: "a.example", Signed: true}, "takes a key of secrets"},
		"forward of own":      {inventory.Domain{Name: "a.example", Forward: server}, "are for domains that are not authoritative"},
		"forward to nowhere":  {inventory.Domain{Name: "a.example", External: true, Forward: []netip.AddrPort{{}}}, "is not the address and port of a server"},
		"transfer of others":  {inventory.Domain{Name: "a.example", External: true, AllowTransfer: []string{"192.0.2.0/24"}}, "is for domains that are authoritative"},
		"unknown key":         {inventory.Domain{Name: "a.example", AllowTransfer: []string{"nokey"}}, "make the key first"},
		"notify any address":  {inventory.Domain{Name: "a.example", Notify: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}}, "is not the address and port of a server"},
		"update, unknown key": {inventory.Domain{Name: "a.example", AllowUpdate: []inventory.UpdateGrant{{Key: "nokey", Name: "@"}}}, "make the key first"},
	} {
		_, err := inv.Domains.Create(t.Context(), test.domain)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if err := inv.Domains.Delete(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "it is the default domain") {
		t.Errorf("the default domain: %v", err)
	}
}

// What is deleted hands its members to the default of its kind.
func TestMembersMoveToTheDefault(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	z := must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "east"}))
	p := must[inventory.ResourcePool](t)(inv.Pools.Create(ctx, inventory.ResourcePool{Name: "gpu"}))
	v := must[ipam.VLAN](t)(inv.VLANs.Create(ctx, ipam.VLAN{VID: 9}))
	s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24"), VLANID: v.ID}))
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", ZoneID: z.ID, PoolID: p.ID, Interfaces: []inventory.Interface{nic(1)}}))
	i := m.Interfaces[0].Interface
	i.VLANID = v.ID
	i = must[ipam.Interface](t)(inv.Interfaces.Update(ctx, i))
	must[ipam.Interface](t)(inv.Interfaces.Create(ctx, ipam.Interface{NodeID: m.ID, Kind: ipam.VLANInterface, Parents: []int64{i.ID}, VLANID: v.ID}))
	must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "rack", ZoneID: z.ID}))

	ok(t, inv.Zones.Delete(ctx, z.ID))
	ok(t, inv.VLANs.Delete(ctx, v.ID))
	def := must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
	m = must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID))
	if m.ZoneID != 1 || len(m.Interfaces) != 1 || m.Interfaces[0].VLANID != def.ID {
		t.Errorf("the machine: zone %d, interfaces %+v", m.ZoneID, m.Interfaces)
	}
	if r := must[inventory.Rack](t)(inv.Racks.Find(ctx, "rack")); r.ZoneID != 1 {
		t.Errorf("the rack is in zone %d", r.ZoneID)
	}
	if s = must[ipam.Subnet](t)(inv.Subnets.Get(ctx, s.ID)); s.VLANID != def.ID {
		t.Errorf("the subnet is on VLAN %d", s.VLANID)
	}
	for kind, err := range map[string]error{
		"zone": inv.Zones.Delete(ctx, 1), "VLAN": inv.VLANs.Delete(ctx, def.ID), "pool": inv.Pools.Delete(ctx, 1),
	} {
		var inUse *inventory.InUseError
		if !errors.As(err, &inUse) || !strings.Contains(err.Error(), "default") {
			t.Errorf("the default %s: %v", kind, err)
		}
	}
}

func TestTagsMarkAndFind(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	for _, name := range []string{"", "a b", "ä", strings.Repeat("t", 257)} {
		_, err := inv.Tags.Create(ctx, inventory.Tag{Name: name})
		refused(t, err, "must be 1 to 256 letters, digits, _ and -")
	}
	_, err := inv.Tags.Create(ctx, inventory.Tag{Name: "x", KernelOpts: "a\nb"})
	refused(t, err, "kernel_opts")
	tag := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "gpu"}))
	a := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Interfaces: []inventory.Interface{nic(1)}}))
	d := must[inventory.Device](t)(inv.Devices.Create(ctx, inventory.Device{Hostname: "d", Interfaces: []inventory.Interface{nic(2)}}))
	s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24")}))

	added, removed, err := inv.Tags.MarkNodes(ctx, tag.ID, []int64{a.ID, d.ID, a.ID}, nil)
	if ok(t, err); added != 2 || removed != 0 {
		t.Errorf("added %d, removed %d", added, removed)
	}
	if _, _, err := inv.Tags.MarkNodes(ctx, tag.ID, []int64{99}, []int64{a.ID}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a machine that does not exist: %v", err)
	}
	if _, _, err := inv.Tags.MarkSubnets(ctx, 99, []int64{s.ID}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tag that does not exist: %v", err)
	}
	added, _, err = inv.Tags.MarkSubnets(ctx, tag.ID, []int64{s.ID}, nil)
	if ok(t, err); added != 1 {
		t.Errorf("added %d", added)
	}
	machines := must[[]inventory.Machine](t)(inv.Tags.Machines(ctx, "gpu"))
	devices := must[[]inventory.Device](t)(inv.Tags.Devices(ctx, "gpu"))
	if len(machines) != 1 || machines[0].ID != a.ID || len(devices) != 1 || devices[0].ID != d.ID {
		t.Errorf("machines %+v, devices %+v", machines, devices)
	}
	all := must[map[int64][]string](t)(inv.Tags.OfSubnets(ctx))
	if one := must[[]string](t)(inv.Tags.OfSubnet(ctx, s.ID)); !slices.Equal(one, []string{"gpu"}) || !slices.Equal(all[s.ID], one) {
		t.Errorf("tags of the subnet: %v of %v", one, all)
	}
	ok(t, inv.Tags.Delete(ctx, tag.ID))
	if m := must[inventory.Machine](t)(inv.Machines.Get(ctx, a.ID)); len(m.Tags) != 0 {
		t.Errorf("the machine has %v", m.Tags)
	}
}

func TestNodesAreFoundByFixedNames(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Interfaces: []inventory.Interface{nic(1)}}))
	d := must[inventory.Device](t)(inv.Devices.Create(ctx, inventory.Device{Hostname: "d", Interfaces: []inventory.Interface{nic(2)}}))
	if got := must[inventory.Machine](t)(inv.MachineBySystemID(ctx, m.SystemID)); got.ID != m.ID {
		t.Errorf("machine %d", got.ID)
	}
	if got := must[inventory.Device](t)(inv.DeviceBySystemID(ctx, d.SystemID)); got.ID != d.ID {
		t.Errorf("device %d", got.ID)
	}
	for name, err := range map[string]error{
		"a device as a machine": errOf(inv.MachineBySystemID(ctx, d.SystemID)), "a machine as a device": errOf(inv.DeviceBySystemID(ctx, m.SystemID)),
		"a device by MAC": errOf(inv.MachineByMAC(ctx, mac(2))), "no MAC": errOf(inv.MachineByMAC(ctx, nil)),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBootInterface(t *testing.T) {
	physical := func(mark bool, n int) inventory.Interface {
		i := nic(n)
		i.Kind, i.Boot = ipam.Physical, mark
		return i
	}
	bond := inventory.Interface{Interface: ipam.Interface{Kind: ipam.Bond, MAC: mac(9)}}
	for name, test := range map[string]struct {
		interfaces []inventory.Interface
		want       int // number of the MAC; 0 = none
	}{
		"none": {}, "a bond alone": {[]inventory.Interface{bond}, 0}, "the first physical": {[]inventory.Interface{bond, physical(false, 1), physical(false, 2)}, 1},
		"the marked one": {[]inventory.Interface{physical(false, 1), physical(true, 2)}, 2},
	} {
		m := inventory.Machine{Interfaces: test.interfaces}
		i, found := m.BootInterface()
		if found != (test.want != 0) || found && i.MAC.String() != mac(test.want).String() || m.BootMAC().String() != i.MAC.String() {
			t.Errorf("%s: %v, %+v", name, found, i)
		}
	}
}

// Settings of power control are split by what may be shown; a state that was seen makes no version
// stale.
func TestPowerOfAMachine(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	kind := power.Kind{Name: "lever", Title: "Lever", Params: []power.Param{
		{Name: "power_address", Required: true}, {Name: "power_pass", Secret: true}, {Name: "boot", Choices: []string{"auto", "efi"}, Default: "auto"},
	}}
	if _, err := inventory.NewPower(kind, power.Params{"power_pass": "x"}); err == nil || !strings.Contains(err.Error(), "power_address") {
		t.Errorf("without an address: %v", err)
	}
	p, err := inventory.NewPower(kind, power.Params{"power_address": "192.0.2.9", "power_pass": "hunter2"})
	ok(t, err)
	if p.Params["boot"] != "auto" || p.Params["power_pass"] != "" || p.Secrets["power_pass"] != "hunter2" {
		t.Errorf("%+v has %d secrets", p.Params, len(p.Secrets))
	}
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Power: p, Interfaces: []inventory.Interface{nic(1)}}))
	before := must[int64](t)(inv.Revision(ctx))
	ok(t, inv.SetPowerState(ctx, m.ID, "on"))
	after := must[int64](t)(inv.Revision(ctx))
	ok(t, inv.SetPowerState(ctx, m.ID, "on"))
	if again := must[int64](t)(inv.Revision(ctx)); after == before || again != after {
		t.Errorf("revisions %d, %d, %d", before, after, again)
	}
	m.Description = "changed since"
	m = must[inventory.Machine](t)(inv.Machines.Update(ctx, m))
	if params := must[map[string]string](t)(inv.PowerParams(ctx, m.ID)); params["power_pass"] != "hunter2" || params["power_address"] != "192.0.2.9" {
		t.Errorf("parameters %v", params)
	}
	if err := inv.SetPowerState(ctx, 99, "on"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no machine: %v", err)
	}
	m.Power.Secrets, m.Power.Params = inventory.Secrets{"power_pass": "a"}, map[string]string{"power_pass": "b"}
	_, err = inv.Machines.Update(ctx, m)
	refused(t, err, "is given both as a secret and in the open")
}

// A reader of boots sees each boot once, at its last step, and goes on from there.
func TestBootsSince(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	step := func(n int, stage pxe.Stage) {
		ok(t, inv.Boots.Record(ctx, pxe.Event{MAC: mac(n), Stage: stage, Path: "x"}))
	}
	step(1, pxe.StageOffer)
	from := must[int64](t)(inv.Boots.LastStep(ctx))
	step(2, pxe.StageOffer)
	step(3, pxe.StageOffer)
	step(2, pxe.StageConfig)
	boots, next, err := inv.Boots.Since(ctx, from, 1)
	ok(t, err)
	if len(boots) != 1 || boots[0].MAC.String() != mac(3).String() {
		t.Errorf("the first %+v", boots)
	}
	boots, next, err = inv.Boots.Since(ctx, next, 10)
	ok(t, err)
	if len(boots) != 1 || boots[0].MAC.String() != mac(2).String() || len(boots[0].Steps) != 2 {
		t.Errorf("then %+v", boots)
	}
	if boots, again, err := inv.Boots.Since(ctx, next, 10); err != nil || len(boots) != 0 || again != next {
		t.Errorf("at the end %+v, %d after %d, %v", boots, again, next, err)
	}
	ok(t, inv.Boots.Record(ctx, pxe.Event{Stage: pxe.StageOffer})) // of no machine
	if last := must[int64](t)(inv.Boots.LastStep(ctx)); last != next {
		t.Errorf("a step of no machine counts: %d after %d", last, next)
	}
}

// A transaction that fails leaves no trace, whatever was called in it.
func TestGroupsJoinTransactions(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	before := must[int64](t)(inv.Revision(ctx))
	err := inv.Atomically(ctx, func(ctx context.Context) error {
		ok(t, inv.Settings.Set(ctx, "x", "1"))
		ok(t, inv.Events.Add(ctx, inventory.Event{Kind: "test", Description: "d"}))
		ok(t, inv.Profiles.SetDefault(ctx, &pxe.Profile{Name: "p", Kernel: "k"}))
		_, _, err := inv.APIKeys.Create(ctx, 1, "k", time.Time{})
		ok(t, err)
		return errDropped
	})
	if !errors.Is(err, errDropped) {
		t.Fatal(err)
	}
	keys := must[[]inventory.APIKey](t)(inv.APIKeys.List(ctx, 1))
	log := must[[]inventory.Event](t)(inv.Events.Last(ctx, 0, 10))
	if now := must[int64](t)(inv.Revision(ctx)); now != before || len(keys)+len(log) != 0 {
		t.Errorf("revision %d after %d, keys %v, events %v", now, before, keys, log)
	}
}
