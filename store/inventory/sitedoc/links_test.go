package sitedoc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

func apply(t *testing.T, inv *inventory.Inventory, text string) []sitedoc.Change {
	t.Helper()
	changes, err := sitedoc.Apply(t.Context(), inv, parse(t, text), sitedoc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

const linked = `
machines:
  - hostname: node1
    interfaces:
      - {name: eth0, mac_address: "02:00:00:00:00:01", links: %s}
`

// linksOf returns the links of node1's first interface, as "ID type address".
func linksOf(t *testing.T, inv *inventory.Inventory) (out []string) {
	t.Helper()
	m, err := inv.Machines.Find(t.Context(), "node1")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Interfaces[0].Links {
		text := l.Type.String()
		if l.Addr.IsValid() {
			text += " " + l.Addr.String()
		}
		out = append(out, fmt.Sprintf("%d %s", l.ID, text))
	}
	return out
}

// A link that the document has stays, in whatever form it is written: default gateways refer to it
// by ID, and the machine by its address.
func TestLinksStay(t *testing.T) {
	for name, test := range map[string]struct {
		before, after string
		stays         bool
	}{
		"the same":               {`[{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.0.5}]`, `[{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.0.5}]`, true},
		"without its subnet":     {`[{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.0.5}]`, `[{mode: static, ip_address: 10.0.0.5}]`, true},
		"without its address":    {`[{mode: static, subnet: 10.0.0.0/24}]`, `[{mode: static, subnet: 10.0.0.0/24}]`, true},
		"an address of a subnet": {`[{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.0.5}]`, `[{mode: STATIC, subnet: 10.0.0.77/24, ip_address: 10.0.0.5}]`, true},
		"automatic":              {`[{mode: auto, subnet: 10.0.0.0/24}]`, `[{mode: auto, subnet: 10.0.0.0/24}]`, true},
		"by DHCP":                {`[{mode: dhcp, subnet: 10.0.0.0/24}]`, `[{mode: dhcp, subnet: 10.0.0.0/24}]`, true},
		"another address":        {`[{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.0.5}]`, `[{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.0.6}]`, false},
		"another mode":           {`[{mode: auto, subnet: 10.0.0.0/24}]`, `[{mode: dhcp, subnet: 10.0.0.0/24}]`, false},
		"none":                   {`[{mode: auto, subnet: 10.0.0.0/24}]`, `[]`, false},
	} {
		t.Run(name, func(t *testing.T) {
			inv := newSite(t)
			apply(t, inv, "subnets: [{cidr: 10.0.0.0/24, vlan: fabric-1/0}]")
			apply(t, inv, fmt.Sprintf(linked, test.before))
			before := linksOf(t, inv)
			changes := apply(t, inv, fmt.Sprintf(linked, test.after))
			if after := linksOf(t, inv); slices.Equal(before, after) != test.stays {
				t.Errorf("links %v became %v", before, after)
			}
			if (len(changes) == 0) != test.stays {
				t.Errorf("changes %v", names(changes))
			}
		})
	}
}

// An automatic link of a machine that is deployed keeps the address that it was assigned.
func TestAssignedAddressesStay(t *testing.T) {
	inv := newSite(t)
	apply(t, inv, "subnets: [{cidr: 10.0.0.0/24, vlan: fabric-1/0}]")
	text := fmt.Sprintf(linked, `[{mode: auto, subnet: 10.0.0.0/24}]`)
	apply(t, inv, text)
	m, err := inv.Machines.Find(t.Context(), "node1")
	if err != nil {
		t.Fatal(err)
	}
	if err := inv.ClaimAuto(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	before := linksOf(t, inv)
	if len(before) != 1 || !strings.Contains(before[0], "10.0.0.") {
		t.Fatalf("assigned %v", before)
	}
	if changes := apply(t, inv, text); len(changes) != 0 || !slices.Equal(linksOf(t, inv), before) {
		t.Errorf("changes %v, links %v", names(changes), linksOf(t, inv))
	}
	doc, err := sitedoc.Export(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	if l := doc.Machines[0].Interfaces[0].Links[0]; l.IP != "" {
		t.Errorf("the document of a site pins the address %s, which another site need not have", l.IP)
	}
}

// A bond and its members are removed together, the bond first.
func TestInterfacesAreRemovedInOrder(t *testing.T) {
	inv := newSite(t)
	apply(t, inv, lab)
	changes := apply(t, inv, `
machines:
  - hostname: node1
    domain: lab.example
    zone: north
    interfaces: [{name: eth0, mac_address: "02:00:00:00:00:01", vlan: leaf/0}]
`)
	if got := names(changes); !strings.Contains(got, "delete interface node1.lab.example/bond0") || strings.Index(got, "bond0") > strings.Index(got, "eth1") {
		t.Errorf("changes %s", got)
	}
	m, err := inv.Machines.Find(t.Context(), "node1")
	if err != nil || len(m.Interfaces) != 1 {
		t.Errorf("interfaces %+v, %v", m.Interfaces, err)
	}
	all, err := inv.Allocations(t.Context(), 0)
	if err != nil || slices.ContainsFunc(all, func(a ipam.Allocation) bool { return a.Addr.String() == "10.0.0.50" }) {
		t.Errorf("the bond's address is held: %+v, %v", all, err)
	}
}

// A dry run meets the same rules, tells the same changes, and makes none.
func TestDryRun(t *testing.T) {
	inv := newSite(t)
	before, err := inv.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told, err := sitedoc.Apply(t.Context(), inv, parse(t, lab), sitedoc.Options{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if now, err := inv.Revision(t.Context()); err != nil || now != before {
		t.Errorf("revision %d after %d, %v", now, before, err)
	}
	if made := apply(t, inv, lab); names(made) != names(told) {
		t.Errorf("told\n%s\nmade\n%s", names(told), names(made))
	}
	var at *sitedoc.Error
	if _, err := sitedoc.Apply(t.Context(), inv, parse(t, `zones: [{name: ""}]`), sitedoc.Options{DryRun: true}); !errors.As(err, &at) {
		t.Errorf("a mistake in a dry run: %v", err)
	}
}

// What a document leaves out is left alone: an absent list, and an empty one without Prune.
func TestAbsentListsChangeNothing(t *testing.T) {
	inv := newSite(t)
	apply(t, inv, lab)
	for _, text := range []string{"{}", "zones: []", "machines: []", "{subnets: [], tags: []}", "machines: [{hostname: node1, domain: lab.example, zone: north}]"} {
		if changes := apply(t, inv, text); len(changes) != 0 {
			t.Errorf("%s: %s", text, names(changes))
		}
	}
	changes, err := sitedoc.Apply(t.Context(), inv, parse(t, "{}"), sitedoc.Options{Prune: true})
	if err != nil || len(changes) != 0 {
		t.Errorf("an empty document prunes %s, %v", names(changes), err)
	}
}

// Documents that are applied at once are applied one after the other: none sees half of another.
func TestApplyAtOnce(t *testing.T) {
	inv := newSite(t)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			var doc sitedoc.Document
			for k := range 5 {
				doc.Zones = append(doc.Zones, sitedoc.Group{Name: fmt.Sprint("zone", k), Description: fmt.Sprint("writer ", i)})
			}
			if _, err := sitedoc.Apply(context.WithoutCancel(t.Context()), inv, doc, sitedoc.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	doc, err := sitedoc.Export(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range doc.Zones[1:] {
		if len(doc.Zones) != 6 || z.Description != doc.Zones[1].Description {
			t.Errorf("zones of several writers: %+v", doc.Zones)
			break
		}
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	inv := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v", err)
	}
	if _, err := sitedoc.Export(ctx, inv); !errors.Is(err, context.Canceled) {
		t.Errorf("export: %v", err)
	}
}
