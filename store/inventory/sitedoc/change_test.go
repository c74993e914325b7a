package sitedoc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// at returns the first object of a list for which is holds; without one the test fails.
func at[T any](t *testing.T, list []T, is func(T) bool) *T {
	t.Helper()
	for i := range list {
		if is(list[i]) {
			return &list[i]
		}
	}
	t.Fatalf("no such object among %d", len(list))
	return nil
}

// Each field of a document reaches the site: the change is one of its object, applying it again is
// none, and the export has it.
func TestFieldsAreApplied(t *testing.T) {
	vlan := func(doc *sitedoc.Document, t *testing.T) *sitedoc.VLAN {
		return at(t, doc.VLANs, func(v sitedoc.VLAN) bool { return v.Fabric == "leaf" && v.VID == 20 })
	}
	subnet := func(doc *sitedoc.Document, t *testing.T) *sitedoc.Subnet {
		return at(t, doc.Subnets, func(s sitedoc.Subnet) bool { return s.CIDR == "10.0.20.0/24" })
	}
	node := func(doc *sitedoc.Document, t *testing.T) *sitedoc.Machine {
		return at(t, doc.Machines, func(m sitedoc.Machine) bool { return m.Hostname == "node1" })
	}
	for _, tt := range []struct {
		name string
		edit func(t *testing.T, doc *sitedoc.Document)
		want string
	}{
		{"a zone's description", func(t *testing.T, doc *sitedoc.Document) { doc.Zones[1].Description = "cellar" }, "update zone north"},
		{"a pool", func(t *testing.T, doc *sitedoc.Document) {
			doc.Pools = append(doc.Pools, sitedoc.Group{Name: "gpu", Description: "cards"})
		}, "create pool gpu"},
		{"a space's description", func(t *testing.T, doc *sitedoc.Document) { doc.Spaces[0].Description = "front" }, "update space dmz"},
		{"a domain's TTL", func(t *testing.T, doc *sitedoc.Document) { doc.Domains[1].TTL = 90 }, "update domain lab.example"},
		{"an external domain", func(t *testing.T, doc *sitedoc.Document) {
			doc.Domains = append(doc.Domains, sitedoc.Domain{Name: "corp.example", External: true, Forward: []string{"192.0.2.53:53"}})
		}, "create domain corp.example"},
		{"a fabric's class", func(t *testing.T, doc *sitedoc.Document) {
			at(t, doc.Fabrics, func(f sitedoc.Fabric) bool { return f.Name == "leaf" }).ClassType = "25g"
		}, "update fabric leaf"},
		{"a VLAN's name", func(t *testing.T, doc *sitedoc.Document) { vlan(doc, t).Name = "blue" }, "update vlan leaf/20"},
		{"a VLAN's MTU", func(t *testing.T, doc *sitedoc.Document) { vlan(doc, t).MTU = 1400 }, "update vlan leaf/20"},
		{"a VLAN's space", func(t *testing.T, doc *sitedoc.Document) { vlan(doc, t).Space = "dmz" }, "update vlan leaf/20"},
		{"a VLAN's relay", func(t *testing.T, doc *sitedoc.Document) { vlan(doc, t).Relay = "" }, "update vlan leaf/20"},
		{"DHCP off", func(t *testing.T, doc *sitedoc.Document) {
			v := at(t, doc.VLANs, func(v sitedoc.VLAN) bool { return v.Fabric == "leaf" && v.VID == 0 })
			v.DHCP, v.Primary = false, ""
		}, "update vlan leaf/0"},
		{"a subnet's name", func(t *testing.T, doc *sitedoc.Document) { subnet(doc, t).Name = "lab" }, "update subnet 10.0.20.0/24"},
		{"a subnet's gateway", func(t *testing.T, doc *sitedoc.Document) { subnet(doc, t).Gateway = "10.0.20.1" }, "update subnet 10.0.20.0/24"},
		{"a subnet's DNS servers", func(t *testing.T, doc *sitedoc.Document) { subnet(doc, t).DNSServers = []string{"10.0.20.53"} }, "update subnet 10.0.20.0/24"},
		{"a subnet's reverse records", func(t *testing.T, doc *sitedoc.Document) { subnet(doc, t).RDNS = "disabled" }, "update subnet 10.0.20.0/24"},
		{"a subnet's flags", func(t *testing.T, doc *sitedoc.Document) {
			s := subnet(doc, t)
			s.Unmanaged, s.DenyDNS, s.DenyProxy, s.Scan = true, true, true, true
		}, "update subnet 10.0.20.0/24"},
		{"a subnet's VLAN", func(t *testing.T, doc *sitedoc.Document) { subnet(doc, t).VLAN = "leaf/0" }, "update subnet 10.0.20.0/24"},
		{"a range's comment", func(t *testing.T, doc *sitedoc.Document) {
			at(t, doc.Ranges, func(r sitedoc.Range) bool { return r.Type == "reserved" }).Comment = "routers"
		}, "update range 10.0.0.2-10.0.0.9"},
		{"a further range", func(t *testing.T, doc *sitedoc.Document) {
			doc.Ranges = append(doc.Ranges, sitedoc.Range{Type: "dynamic", Start: "10.0.20.10", End: "10.0.20.20"})
		}, "create range 10.0.20.10-10.0.20.20"},
		{"a route's metric", func(t *testing.T, doc *sitedoc.Document) { doc.Routes[0].Metric = 7 }, "update route 10.0.0.0/24 to 10.0.20.0/24 via 10.0.0.1"},
		{"a reserved IP's comment", func(t *testing.T, doc *sitedoc.Document) { doc.Reserved[0].Comment = "printer" }, "update reserved IP 10.0.0.30"},
		{"a reserved IP's MAC", func(t *testing.T, doc *sitedoc.Document) { doc.Reserved[0].MAC = "02:00:00:00:00:31" }, "update reserved IP 10.0.0.30"},
		{"a record's TTL", func(t *testing.T, doc *sitedoc.Document) {
			at(t, doc.Records, func(r sitedoc.Record) bool { return r.Type == "A" }).TTL = 5
		}, "update record www lab.example A 10.0.0.40"},
		{"a further record", func(t *testing.T, doc *sitedoc.Document) {
			doc.Records = append(doc.Records, sitedoc.Record{Domain: "lab.example", Name: "@", Type: "TXT", Data: `"hello"`})
		}, `create record @ lab.example TXT "hello"`},
		{"a machine's fields", func(t *testing.T, doc *sitedoc.Document) {
			m := node(doc, t)
			m.Description, m.Architecture, m.Zone = "first", "arm64/generic", "default"
		}, "update machine node1.lab.example"},
		{"an interface that is off", func(t *testing.T, doc *sitedoc.Document) { node(doc, t).Interfaces[1].Disabled = true }, "update interface node1.lab.example/eth1"},
		{"an interface's VLAN", func(t *testing.T, doc *sitedoc.Document) { node(doc, t).Interfaces[1].VLAN = "leaf/20" }, "update interface node1.lab.example/eth1"},
		{"a further interface", func(t *testing.T, doc *sitedoc.Document) {
			m := node(doc, t)
			m.Interfaces = append(m.Interfaces, sitedoc.Interface{Name: "eth7", MAC: "02:00:00:00:00:07", VLAN: "leaf/20", Links: []sitedoc.Link{{Mode: "dhcp", Subnet: "10.0.20.0/24"}}})
		}, "create interface node1.lab.example/eth7"},
		{"a link's address", func(t *testing.T, doc *sitedoc.Document) { node(doc, t).Interfaces[2].Links[0].IP = "10.0.0.51" }, "update interface node1.lab.example/bond0"},
		{"a link taken away", func(t *testing.T, doc *sitedoc.Document) { node(doc, t).Interfaces[2].Links = nil }, "update interface node1.lab.example/bond0"},
		{"a further machine", func(t *testing.T, doc *sitedoc.Document) {
			doc.Machines = append(doc.Machines, sitedoc.Machine{Hostname: "node2", Interfaces: []sitedoc.Interface{{Name: "eth0", MAC: "02:00:00:00:00:22"}}})
		}, "create machine node2.maas"},
		{"a tag's options", func(t *testing.T, doc *sitedoc.Document) { doc.Tags[0].KernelOpts = "quiet" }, "update tag rescue"},
		{"a tag's machines", func(t *testing.T, doc *sitedoc.Document) { doc.Tags[0].Machines = []string{} }, "update tag rescue"},
		{"the site's profile", func(t *testing.T, doc *sitedoc.Document) {
			at(t, doc.BootProfiles, func(p sitedoc.BootProfile) bool { return p.Machine+p.Tag+p.Subnet == "" }).Profile.Cmdline = "debug"
		}, "update boot profile of the site"},
		{"a machine's profile", func(t *testing.T, doc *sitedoc.Document) {
			at(t, doc.BootProfiles, func(p sitedoc.BootProfile) bool { return p.Machine != "" }).Profile.Delay = "30s"
		}, "update boot profile of machine node1.lab.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inv, ctx := newSite(t), t.Context()
			if _, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{}); err != nil {
				t.Fatal(err)
			}
			doc, err := sitedoc.Export(ctx, inv)
			if err != nil {
				t.Fatal(err)
			}
			tt.edit(t, &doc)
			changes, err := sitedoc.Apply(ctx, inv, doc, sitedoc.Options{})
			if err != nil || !strings.Contains(names(changes), tt.want) || len(changes) > 2 {
				t.Errorf("changed %q, %v; want %q", names(changes), err, tt.want)
			}
			if again, err := sitedoc.Apply(ctx, inv, doc, sitedoc.Options{}); err != nil || len(again) > 0 {
				t.Errorf("applied again: %s, %v", names(again), err)
			}
			isFixed(t, inv)
		})
	}
}

// What a list lacks is removed if that is asked for, in an order in which nothing is in the way.
func TestPruneRemoves(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	if _, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{}); err != nil {
		t.Fatal(err)
	}
	const empty = `{zones: [], pools: [], domains: [], spaces: [], fabrics: [], vlans: [], subnets: [], ranges: [], routes: [],
		reserved_ips: [], records: [], machines: [], tags: [], boot_profiles: []}`
	for _, opts := range []sitedoc.Options{{}, {DryRun: true}} {
		if changes, err := sitedoc.Apply(ctx, inv, parse(t, empty), opts); err != nil || len(changes) > 0 {
			t.Errorf("without being asked to: %s, %v", names(changes), err)
		}
	}
	_, err := sitedoc.Apply(ctx, inv, parse(t, empty), sitedoc.Options{Prune: true})
	var object *sitedoc.Error
	if err != nil && !errors.As(err, &object) {
		t.Fatal(err)
	}
	if err != nil { // DHCP is on: its VLAN's dynamic range is in the way
		off := `vlans: [{fabric: leaf, vid: 0}, {fabric: leaf, vid: 20}]`
		if _, err := sitedoc.Apply(ctx, inv, parse(t, off), sitedoc.Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := sitedoc.Apply(ctx, inv, parse(t, empty), sitedoc.Options{Prune: true}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := inv.Model(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.Subnets) + len(m.Ranges) + len(m.Routes) + len(m.Reserved) + len(m.Records) + len(m.Machines) + len(m.Tags) + len(m.Spaces) + len(m.Profiles); n > 0 {
		t.Errorf("%d objects are left", n)
	}
	if len(m.Zones) != 1 || len(m.Pools) != 1 || len(m.Domains) != 1 || len(m.Fabrics) != 1 || m.Zones[0].Name != inventory.DefaultZone {
		t.Errorf("the default objects: %d zones, %d pools, %d domains, %d fabrics", len(m.Zones), len(m.Pools), len(m.Domains), len(m.Fabrics))
	}
}

// A machine that is locked, or at work, is not removed.
func TestPruneKeepsMachines(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(m *inventory.Machine)
		want string
	}{
		{"locked", func(m *inventory.Machine) { m.Locked = true }, "locked"},
		{"deployed", func(m *inventory.Machine) { m.Status = inventory.StatusDeployed }, "Deployed"},
		{"owned", func(m *inventory.Machine) { m.Owner = "ada" }, "belongs to ada"},
	} {
		inv, ctx := newSite(t), t.Context()
		if _, err := sitedoc.Apply(ctx, inv, parse(t, `machines: [{hostname: n}]`), sitedoc.Options{}); err != nil {
			t.Fatal(err)
		}
		m, err := inv.Machines.Find(ctx, "n")
		if err != nil {
			t.Fatal(err)
		}
		tt.edit(&m)
		if _, err := inv.Machines.Update(ctx, m); err != nil {
			t.Fatal(err)
		}
		_, err = sitedoc.Apply(ctx, inv, parse(t, `machines: []`), sitedoc.Options{Prune: true})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
		if _, err := inv.Machines.Find(ctx, "n"); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
