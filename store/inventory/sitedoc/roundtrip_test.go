package sitedoc_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// whole has an object of every kind, with generated names that fit no ID of a new site.
const whole = `
settings: {ntp_servers: "192.0.2.123", upstream_dns: "192.0.2.53, 192.0.2.54", router_advertisements: all, dhcp_takeover: "900"}
zones: [{name: default}, {name: north}]
pools: [{name: default}, {name: gpu, description: few}]
domains:
  - {name: lab.example, default: true, ttl: 60}
  - {name: maas}
  - {name: corp.example, external: true, forward: ["192.0.2.99:53"]}
spaces: [{name: space-7}, {name: dmz}]
fabrics: [{name: fabric-1}, {name: fabric-9, description: found by a rack}, {name: fabric-3}]
vlans:
  - {fabric: fabric-1, vid: 0, name: untagged, dhcp: true, dhcp_mode: auto, primary_rack: rack, secondary_rack: rack2}
  - {fabric: fabric-9, vid: 0, name: untagged, space: space-7, relay_vlan: fabric-1/0}
  - {fabric: fabric-9, vid: 40, name: front, mtu: 9000, space: dmz}
  - {fabric: fabric-3, vid: 0, name: untagged}
subnets:
  - {cidr: 10.0.0.0/24, vlan: fabric-1/0, gateway_ip: 10.0.0.1, dns_servers: [10.0.0.5, 10.0.0.6], disabled_boot_architectures: [uefi-arm64-pxe]}
  - {cidr: 10.9.0.0/24, vlan: fabric-9/40, name: front, deny_dns: true, active_discovery: true, rdns: disabled, relays: [10.255.0.9, 192.0.2.254]}
  - {cidr: "fd77::/64", vlan: fabric-1/0, dns_servers: ["fd77::1"], delegated_prefixes: ["fd78::/48-56", "fd79::/56-60"]}
dhcp_classes:
  - {name: phones, description: on desks, vendor_class: Phone, user_class: voice, arch: [7, 16], mac_prefix: "02:00:5e", circuit_id: "0x00ff", options: "option 66 \"x\";"}
  - {name: printers, sequence: 7, circuit_id: port 7, ignore: true}
ranges: [{type: dynamic, start_ip: 10.0.0.100, end_ip: 10.0.0.199}, {type: dynamic, start_ip: 10.0.0.210, end_ip: 10.0.0.219, dhcp_class: phones}, {type: reserved, start_ip: 10.9.0.2, end_ip: 10.9.0.9, comment: switches}]
routes: [{source: 10.0.0.0/24, destination: 10.9.0.0/24, gateway_ip: 10.0.0.2, metric: 5}]
reserved_ips: [{ip: 10.0.0.30, mac_address: "02:00:00:00:00:30", comment: printer}]
records: [{domain: lab.example, name: www, type: CNAME, data: web-1.lab.example.}]
machines:
  - hostname: web-1
    zone: north
    pool: gpu
    description: first
    power: {type: manual}
    interfaces:
      - {name: eth0, mac_address: "02:00:00:00:00:01", vlan: fabric-1/0, tags: [uplink, leaf]}
      - {name: eth1, mac_address: "02:00:00:00:00:02", vlan: fabric-1/0}
      - {name: bond0, type: bond, mac_address: "02:00:00:00:00:01", parents: [eth0, eth1], vlan: fabric-1/0, params: {bond_mode: 802.3ad}, links: [{mode: static, ip_address: 10.0.0.50}]}
      - {name: bond0.40, type: vlan, parents: [bond0], vlan: fabric-9/40, links: [{mode: dhcp, subnet: 10.9.0.0/24}]}
devices:
  - {hostname: printer, description: in the hall, owner: admin, interfaces: [{name: eth0, mac_address: "02:00:00:00:00:42", links: [{mode: static, ip_address: 10.0.0.42}]}]}
  - {hostname: lxd, domain: maas, zone: north, parent: web-1.lab.example, interfaces: [{name: eth0, mac_address: "02:00:00:00:00:43"}]}
addresses: [{ip: 10.0.0.60, owner: admin, hostname: vip, comment: keepalived}, {ip: 10.9.0.60, owner: olga}, {ip: "fd77::60"}]
tags: [{name: gpu, kernel_opts: quiet, machines: [web-1.lab.example], devices: [printer.lab.example], subnets: [10.9.0.0/24]}]
snippets:
  - {name: site, value: "option time-offset 3600;", description: for all}
  - {name: of the machine, value: "option ntp-servers 10.0.0.3;", machine: web-1.lab.example, disabled: true}
  - {name: of the device, value: "option ntp-servers 10.0.0.3;", device: printer.lab.example}
  - {name: of the subnet, value: "option ntp-servers 10.0.0.3;", subnet: 10.0.0.0/24}
  - {name: of the range, value: "option ntp-servers 10.0.0.3;", range: 10.0.0.100-10.0.0.199}
boot_profiles: [{profile: {name: site, kernel: vmlinuz}}, {tag: gpu, profile: {kind: local}},
  {subnet: 10.9.0.0/24, profile: {name: lab, kind: menu, title: Lab, timeout: 10s, default: b, entries: [{profile: a, title: A}, {profile: b}],
    profiles: [{name: a, kind: wait, delay: 20s}, {name: b, kind: menu, timeout: 5s, entries: [{profile: a}]}]}}]
`

// text returns the export of a site.
func exported(t *testing.T, inv *inventory.Inventory) string {
	t.Helper()
	doc, err := sitedoc.Export(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// enroll adds the racks that the document names.
func enroll(t *testing.T, inv *inventory.Inventory) {
	t.Helper()
	for _, name := range []string{"rack", "rack2"} {
		link := inventory.RackLink{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
		if name == "rack2" {
			link.Addrs[0] = netip.MustParsePrefix("10.0.0.2/24")
		}
		if _, err := inv.RegisterRack(t.Context(), inventory.Rack{Name: name, Links: []inventory.RackLink{link}}); err != nil {
			t.Fatal(err)
		}
	}
}

// What a site with everything exports makes the same site of a new one.
func TestExportMakesTheSameSite(t *testing.T) {
	opts := sitedoc.Options{Kinds: power.NewRegistry(power.Manual())}
	first := newSite(t)
	enroll(t, first)
	if _, err := sitedoc.Apply(t.Context(), first, parse(t, whole), opts); err != nil {
		t.Fatal(err)
	}
	text := exported(t, first)
	for _, field := range []string{"settings", "zones", "pools", "domains", "spaces", "fabrics", "vlans", "subnets", "ranges", "routes", "reserved_ips", "records",
		"machines", "addresses", "devices", "snippets", "tags", "boot_profiles", "dhcp_mode", "disabled_boot_architectures", "params", "default"} {
		if !strings.Contains(text, `"`+field+`"`) {
			t.Errorf("the export has no %s", field)
		}
	}
	var doc sitedoc.Document
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}

	second := newSite(t)
	var warnings []string
	opts.Warn = func(text string) { warnings = append(warnings, text) }
	apply := func() []sitedoc.Change {
		t.Helper()
		warnings = nil
		changes, err := sitedoc.Apply(t.Context(), second, doc, opts)
		if err != nil {
			t.Fatal(err)
		}
		return changes
	}
	apply()
	if got := strings.Join(warnings, "\n"); !strings.Contains(got, "rack rack is not enrolled yet") || !strings.Contains(got, "rack rack2") || !strings.Contains(got, "DHCP stays off") {
		t.Errorf("warnings without racks:\n%s", got)
	}
	enroll(t, second)
	changes := apply()
	if len(changes) != 1 || changes[0].Kind != "vlan" || len(warnings) > 0 {
		t.Errorf("with racks: %+v, warnings %q", changes, warnings)
	}
	if diff := cmp.Diff(text, exported(t, second)); diff != "" {
		t.Errorf("the second site differs (-first +second):\n%s", diff)
	}
	if changes := apply(); len(changes) > 0 {
		t.Errorf("a third application changes %+v", changes)
	}
	// With prune an export changes nothing either, also on the site that it is of.
	opts.Prune = true
	for _, inv := range []*inventory.Inventory{first, second} {
		if changes, err := sitedoc.Apply(t.Context(), inv, doc, opts); err != nil || len(changes) > 0 {
			t.Errorf("with prune: %+v, %v", changes, err)
		}
	}
	// A name that was generated elsewhere does not stop the site from generating its own.
	for range 8 {
		f, err := second.Fabrics.Create(t.Context(), ipam.Fabric{})
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == "fabric-9" || f.Name == "fabric-3" {
			t.Errorf("%s is there twice", f.Name)
		}
	}
}

// Secrets of BMCs are in no document, and an application says which machines lack them.
func TestApplyWarnsOfMissingSecrets(t *testing.T) {
	kinds := power.NewRegistry(power.Kind{Name: "bmc", Params: []power.Param{{Name: "power_address"}, {Name: "power_pass", Secret: true}}})
	inv := newSite(t)
	var warnings []string
	opts := sitedoc.Options{Kinds: kinds, Warn: func(text string) { warnings = append(warnings, text) }}
	doc := parse(t, `machines: [{hostname: web-1, power: {type: bmc, parameters: {power_address: 192.0.2.9}}}, {hostname: web-2, power: {type: bmc, parameters: {power_pass: x}}}, {hostname: web-3}]`)
	if _, err := sitedoc.Apply(t.Context(), inv, doc, opts); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(warnings, []string{"machine web-1.maas: no power_pass; documents hold no secrets, so set it on this site"}) {
		t.Errorf("warnings %q", warnings)
	}
}
