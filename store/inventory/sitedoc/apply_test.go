package sitedoc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

func newSite(t testing.TB) *inventory.Inventory {
	t.Helper()
	db, err := store.Open(t.Context(), "memory:", schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	inv, err := inventory.Open(t.Context(), db, inventory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inv.RegisterRack(t.Context(), inventory.Rack{Name: "rack1"}); err != nil {
		t.Fatal(err)
	}
	return inv
}

const lab = `
zones: [{name: default}, {name: north, description: upper room}]
domains: [{name: lab.example, ttl: 60}]
spaces: [{name: dmz}]
fabrics: [{name: leaf, class_type: 10g}]
vlans:
  - {fabric: leaf, vid: 0, space: dmz, dhcp: true, primary_rack: rack1}
  - {fabric: leaf, vid: 20, name: relayed, mtu: 9000, relay_vlan: leaf/0}
subnets:
  - {cidr: 10.0.0.0/24, vlan: leaf/0, gateway_ip: 10.0.0.1, dns_servers: [10.0.0.53]}
  - {cidr: 10.0.20.0/24, vlan: leaf/20}
ranges: [{type: dynamic, start_ip: 10.0.0.100, end_ip: 10.0.0.199}, {type: reserved, start_ip: 10.0.0.2, end_ip: 10.0.0.9, comment: switches}]
routes: [{source: 10.0.0.0/24, destination: 10.0.20.0/24, gateway_ip: 10.0.0.1}]
reserved_ips: [{ip: 10.0.0.30, mac_address: "02:00:00:00:00:30"}]
records: [{domain: lab.example, name: www, type: A, data: 10.0.0.40}, {domain: lab.example, name: www, type: aaaa, data: "2001:DB8:0::40"}]
machines:
  - hostname: node1
    domain: lab.example
    zone: north
    interfaces:
      - {name: eth0, mac_address: "02:00:00:00:00:01", vlan: leaf/0}
      - {name: eth1, mac_address: "02:00:00:00:00:02", vlan: leaf/0}
      - {name: bond0, type: bond, mac_address: "02:00:00:00:00:01", parents: [eth0, eth1], vlan: leaf/0, links: [{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.0.50}]}
tags: [{name: rescue, kernel_opts: console=ttyS0, machines: [node1.lab.example, node1.lab.example], subnets: [10.0.20.0/24, 10.0.0.0/24]}]
boot_profiles:
  - {profile: {name: site, kernel: vmlinuz, initrd: [initrd], cmdline: quiet}}
  - {tag: rescue, profile: {kind: local}}
  - {subnet: 10.0.0.0/24, profile: {kind: poweroff}}
  - {machine: node1.lab.example, profile: {kind: wait, delay: 20s}}
`

func parse(t testing.TB, text string) (doc sitedoc.Document) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(text), &doc, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return doc
}

// names returns the changes in short.
func names(changes []sitedoc.Change) string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Op+" "+c.Kind+" "+c.Name)
	}
	return strings.Join(out, ", ")
}

func TestApply(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	before, err := inv.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dry, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if after, err := inv.Revision(ctx); err != nil || after != before {
		t.Errorf("a dry run changed the site: %d to %d, %v", before, after, err)
	}
	wet, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(names(dry), names(wet)); diff != "" {
		t.Errorf("the dry run told something else:\n%s", diff)
	}
	again, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{Prune: false})
	if err != nil || len(again) > 0 {
		t.Errorf("applied twice: %s %v", names(again), err)
	}
	isFixed(t, inv)
	doc, err := sitedoc.Export(ctx, inv)
	if err != nil {
		t.Fatal(err)
	}
	doc.Subnets[0].Gateway, doc.VLANs[2].Relay, doc.Machines[0].Zone = "", "", "default"
	doc.Ranges, doc.Machines[0].Interfaces = doc.Ranges[:1], doc.Machines[0].Interfaces[:2]
	doc.Tags[0].Subnets, doc.BootProfiles = []string{"10.0.20.0/24"}, doc.BootProfiles[1:]
	doc.BootProfiles[1].Profile.Kind = "local"
	changed, err := sitedoc.Apply(ctx, inv, doc, sitedoc.Options{Prune: true})
	want := "update vlan leaf/20, update subnet 10.0.0.0/24, update machine node1.lab.example, delete interface node1.lab.example/bond0, " +
		"update tag rescue, update boot profile of subnet 10.0.0.0/24, delete boot profile of the site, delete range 10.0.0.2-10.0.0.9"
	if err != nil || names(changed) != want {
		t.Errorf("changed %s, %v\nwant %s", names(changed), err, want)
	}
	isFixed(t, inv)
}

// isFixed sees to it that applying what was exported changes nothing.
func isFixed(t interface {
	Helper()
	Errorf(string, ...any)
}, inv *inventory.Inventory) {
	t.Helper()
	ctx := testingContext
	doc, err := sitedoc.Export(ctx, inv)
	if err != nil {
		t.Errorf("export: %v", err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Errorf("%v", err)
	}
	var read sitedoc.Document
	if err := yaml.UnmarshalWithOptions(text, &read, yaml.Strict()); err != nil {
		t.Errorf("%v", err)
	}
	if text, err := yaml.Marshal(doc); err != nil || yaml.UnmarshalWithOptions(text, &read, yaml.Strict()) != nil {
		t.Errorf("as YAML: %v\n%s", err, text)
	}
	changes, err := sitedoc.Apply(ctx, inv, read, sitedoc.Options{Prune: true})
	if err != nil || len(changes) > 0 {
		t.Errorf("applying the export: %s %v\n%s", names(changes), err, text)
	}
}

func TestPruneRefuses(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	if _, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{}); err != nil {
		t.Fatal(err)
	}
	m, err := inv.Machines.Find(ctx, "node1.lab.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ doc, want string }{
		{"subnets: []", "address 10.0.0.50"},
		{"vlans: []", "subnet 10.0.20.0/24"},
		{"zones: []", "machine node1.lab.example"},
		{"subnets: [{cidr: 10.0.0.0/24, vlan: nowhere/0}]", `there is no fabric "nowhere"`},
		{"subnets: [{cidr: 10.9.0.0/24, vlan: leaf/0}, {cidr: 10.9.0.1/24, vlan: leaf/0}]", "twice"},
		{"machines: [{hostname: node2, zone: moon}]", `there is no zone "moon"`},
		{"machines: [{hostname: node2, pool: deep}]", `there is no resource pool "deep"`},
		{"vlans: [{fabric: leaf, vid: 30, space: deep}]", `there is no space "deep"`},
		{"spaces: [{description: deep}]", "space : name is missing"},
		{"boot_profiles: [{tag: none, profile: {kind: local}}]", "tag none does not exist"},
		{"boot_profiles: [{tag: rescue, profile: {kind: local, loader: lilo}}]", `loader "lilo" is none of ipxe, grub, uki; leave it out`},
		{"boot_profiles: [{subnet: 10.0.0.0/24, profile: {kernel: ../x}}]", `"../x" is not a path inside the files served`},
	} {
		before, _ := inv.Revision(ctx)
		_, err := sitedoc.Apply(ctx, inv, parse(t, c.doc), sitedoc.Options{Prune: true})
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, new(*sitedoc.Error)) {
			t.Errorf("%s: %v, want %s", c.doc, err, c.want)
		}
		if after, _ := inv.Revision(ctx); after != before {
			t.Errorf("%s: something changed", c.doc)
		}
	}
	m.Owner, m.Status = "ada", inventory.StatusAllocated
	if _, err := inv.Machines.Update(ctx, m); err != nil {
		t.Fatal(err)
	}
	_, err = sitedoc.Apply(ctx, inv, parse(t, "machines: []"), sitedoc.Options{Prune: true})
	if err == nil || !strings.Contains(err.Error(), "belongs to ada; release it first") {
		t.Errorf("pruning a machine of somebody: %v", err)
	}
}

// Whatever is applied, the export of it applies to nothing.
func TestExportIsAFixedPoint(t *testing.T) {
	inv := newSite(t)
	rapid.Check(t, func(t *rapid.T) {
		var doc sitedoc.Document
		name := rapid.SampledFrom([]string{"a", "b", "c"})
		for _, n := range rapid.SliceOfNDistinct(name, 0, 3, rapid.ID).Draw(t, "fabrics") {
			doc.Fabrics = append(doc.Fabrics, sitedoc.Fabric{Name: n, ClassType: name.Draw(t, "class")})
		}
		used := map[string]bool{}
		for i, f := range doc.Fabrics {
			vid := rapid.IntRange(0, 3).Draw(t, "vid")
			doc.VLANs = append(doc.VLANs, sitedoc.VLAN{Fabric: f.Name, VID: vid, MTU: rapid.SampledFrom([]int{0, 1500, 9000}).Draw(t, "mtu")})
			cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 3).Draw(t, "net")), 0, 0}), 24).String()
			if used[cidr] {
				continue
			}
			used[cidr] = true
			doc.Subnets = append(doc.Subnets, sitedoc.Subnet{CIDR: cidr, VLAN: fmt.Sprintf("%s/%d", f.Name, vid), Unmanaged: rapid.Bool().Draw(t, "unmanaged")})
			doc.Machines = append(doc.Machines, sitedoc.Machine{Hostname: fmt.Sprint("n", i), Description: name.Draw(t, "text"), Interfaces: []sitedoc.Interface{{
				Name: "eth0", MAC: fmt.Sprintf("02:00:00:00:00:%02x", i), VLAN: fmt.Sprintf("%s/%d", f.Name, vid),
				Links: []sitedoc.Link{{Mode: rapid.SampledFrom([]string{"auto", "dhcp", "static", "link_up"}).Draw(t, "mode"), Subnet: cidr}},
			}}})
		}
		_, err := sitedoc.Apply(testingContext, inv, doc, sitedoc.Options{Prune: rapid.Bool().Draw(t, "prune")})
		if err != nil && !errors.As(err, new(*sitedoc.Error)) {
			t.Errorf("%v", err)
		}
		isFixed(t, inv)
	})
}

func ExampleApply() {
	db, _ := store.Open(testingContext, "memory:", schema.FS)
	defer db.Close()
	inv, _ := inventory.Open(testingContext, db, inventory.Config{})
	doc := sitedoc.Document{
		Fabrics: []sitedoc.Fabric{{Name: "leaf"}},
		Subnets: []sitedoc.Subnet{{CIDR: "192.0.2.0/24", VLAN: "leaf/0"}},
	}
	for range 2 {
		changes, err := sitedoc.Apply(testingContext, inv, doc, sitedoc.Options{})
		fmt.Println(names(changes), err)
	}
	// Output:
	// create fabric leaf, create subnet 192.0.2.0/24 <nil>
	//  <nil>
}

// What a document does not say about a domain's zone stays, and what it says in another form than it is stored is no change.
func TestDomainsStayAsTheyAre(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	if _, err := inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "sec"}); err != nil {
		t.Fatal(err)
	}
	apply := func(text string) string {
		t.Helper()
		changes, err := sitedoc.Apply(ctx, inv, parse(t, text), sitedoc.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return names(changes)
	}
	const whole = `domains: [{name: lab.example, allow_transfer: [192.0.2.1, SEC.], notify: ["192.0.2.1:53"], allow_update: ["SEC:dyn"]}]`
	apply(whole)
	for _, same := range []string{whole, `domains: [{name: lab.example}]`} {
		if got := apply(same); got != "" {
			t.Errorf("%s changes %s", same, got)
		}
	}
	if got := apply(`domains: [{name: lab.example, notify: [], allow_update: []}]`); got != "update domain lab.example" {
		t.Errorf("emptied: %s", got)
	}
	all, err := inv.Domains.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if d := all[len(all)-1]; len(d.Notify)+len(d.AllowUpdate) != 0 || !slices.Equal(d.AllowTransfer, []string{"sec", "192.0.2.1/32"}) {
		t.Errorf("got %+v", d)
	}
}
