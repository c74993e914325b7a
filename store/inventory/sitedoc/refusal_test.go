package sitedoc_test

import (
	"errors"
	"testing"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// A document with a mistake is refused whole, with the object and the mistake, and changes nothing.
func TestRefusals(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	if _, err := sitedoc.Apply(ctx, inv, parse(t, lab), sitedoc.Options{}); err != nil {
		t.Fatal(err)
	}
	before, err := inv.Revision(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ doc, want string }{
		{`zones: [{name: ""}]`, `zone : name is missing`},
		{`zones: [{name: a}, {name: a}]`, `zone a: is in the document twice`},
		{`pools: [{name: ""}]`, `pool : name is missing`},
		{`domains: [{name: "a b"}]`, `domain a b: inventory: domain "a b": name has the label "a b": a label is 1 to 63 letters, digits and inner hyphens`},
		{`domains: [{name: corp, external: true, forward: [nowhere]}]`, `domain corp: forward: "nowhere" is not an address and port like 192.0.2.1:53`},
		{`domains: [{name: corp, forward: ["192.0.2.1:53"]}]`, `domain corp: inventory: domain "corp": forward_dns_servers are for domains that are not authoritative`},
		{`domains: [{name: corp, notify: [192.0.2.1]}]`, `domain corp: notify: "192.0.2.1" is not an address and port like 192.0.2.1:53`},
		{`domains: [{name: corp, allow_transfer: [nokey]}]`, `domain corp: inventory: domain "corp": allow_transfer names "nokey", which is neither a network nor a TSIG key; make the key first`},
		{`domains: [{name: corp, allow_update: ["nokey:www"]}]`, `domain corp: inventory: domain "corp": allow_update names "nokey", which is neither a network nor a TSIG key; make the key first`},
		{`domains: [{name: corp, dnssec: true}]`, `domain corp: inventory: domain "corp": dnssec takes a key of secrets, from which those of zones are made`},
		{`domains: [{name: corp, ttl: -1}]`, `domain corp: inventory: domain "corp": ttl must be from 0 to 2147483647 seconds`},
		{`vlans: [{fabric: trunk, vid: 0}]`, `vlan trunk/0: there is no fabric "trunk"`},
		{`vlans: [{fabric: leaf, vid: 5000}]`, `vlan leaf/5000: ipam: vlan "5000": vid must be 0 to 4094`},
		{`vlans: [{fabric: leaf, vid: 30, space: moon}]`, `vlan leaf/30: there is no space "moon"`},
		{`vlans: [{fabric: leaf, vid: 30, relay_vlan: leaf}]`, `vlan leaf/30: vlan "leaf" is not written as fabric/vid, such as fabric-1/0`},
		{`vlans: [{fabric: leaf, vid: 30, relay_vlan: leaf/77}]`, `vlan leaf/30: inventory: vlan with VID 77 in fabric 2 does not exist`},
		{`vlans: [{fabric: leaf, vid: 30, dhcp: true, primary_rack: rack1}]`, `vlan leaf/30: inventory: vlan "30": dhcp_on needs a dynamic range on one of the VLAN's subnets; add one first`},
		{`subnets: [{cidr: 10.0.0.0/33, vlan: leaf/0}]`, `subnet 10.0.0.0/33: cidr: "10.0.0.0/33" is not a network like 192.0.2.0/24`},
		{`subnets: [{cidr: 10.9.0.0/24, vlan: leaf/77}]`, `subnet 10.9.0.0/24: inventory: vlan with VID 77 in fabric 2 does not exist`},
		{`subnets: [{cidr: 10.0.0.0/16, vlan: leaf/0}]`, `subnet 10.0.0.0/16: ipam: subnet 10.0.0.0/16: overlaps another (subnet 10.0.0.0/24)`},
		{`subnets: [{cidr: 10.9.0.0/24, vlan: leaf/0, gateway_ip: 10.8.0.1}]`, `subnet 10.9.0.0/24: ipam: gateway 10.8.0.1: is not in subnet 10.9.0.0/24`},
		{`subnets: [{cidr: 10.9.0.0/24, vlan: leaf/0, gateway_ip: first}]`, `subnet 10.9.0.0/24: gateway_ip: "first" is not an address`},
		{`subnets: [{cidr: 10.9.0.0/24, vlan: leaf/0, dns_servers: [ns]}]`, `subnet 10.9.0.0/24: dns_servers: "ns" is not an address`},
		{`subnets: [{cidr: 10.9.0.0/24, vlan: leaf/0, rdns: perhaps}]`, `subnet 10.9.0.0/24: rdns: "perhaps" is none of [rfc2317 enabled disabled]`},
		{`ranges: [{type: static, start_ip: 10.0.0.10, end_ip: 10.0.0.20}]`, `range 10.0.0.10-10.0.0.20: ipam: range type "static": must be reserved or dynamic`},
		{`ranges: [{type: reserved, start_ip: 10.0.0.20, end_ip: 10.0.0.10}]`, `range 10.0.0.20-10.0.0.10: ipam: reserved range 10.0.0.20-10.0.0.10: ends before it starts`},
		{`ranges: [{type: reserved, start_ip: 10.99.0.1, end_ip: 10.99.0.9}]`, `range 10.99.0.1-10.99.0.9: inventory: subnet for 10.99.0.1 does not exist`},
		{`ranges: [{type: dynamic, start_ip: 10.0.0.150, end_ip: 10.0.0.210}]`, `range 10.0.0.150-10.0.0.210: ipam: dynamic range 10.0.0.150-10.0.0.210: overlaps another (dynamic range 10.0.0.100-10.0.0.199)`},
		{`routes: [{source: 10.0.0.0/24, destination: 10.99.0.0/24, gateway_ip: 10.0.0.1}]`, `route 10.0.0.0/24 to 10.99.0.0/24 via 10.0.0.1: there is no subnet "10.99.0.0/24"`},
		{`routes: [{source: 10.0.0.0/24, destination: 10.0.20.0/24, gateway_ip: 10.0.20.1}]`, `route 10.0.0.0/24 to 10.0.20.0/24 via 10.0.20.1: ipam: gateway 10.0.20.1 of a static route: is not in subnet 10.0.0.0/24`},
		{`reserved_ips: [{ip: 10.0.0.31, mac_address: nic}]`, `reserved IP 10.0.0.31: mac_address: "nic" is not a MAC address`},
		{`reserved_ips: [{ip: 10.99.0.31, mac_address: "02:00:00:00:00:31"}]`, `reserved IP 10.99.0.31: inventory: subnet for 10.99.0.31 does not exist`},
		{`reserved_ips: [{ip: 10.0.0.50, mac_address: "02:00:00:00:00:31"}]`, `reserved IP 10.0.0.50: ipam: reserved IP 10.0.0.50 for 02:00:00:00:00:31: is in use (sticky address 10.0.0.50 of node1 bond0)`},
		{`records: [{domain: nowhere, name: www, type: A, data: 10.0.0.40}]`, `record www nowhere A 10.0.0.40: there is no domain "nowhere"`},
		{`records: [{domain: lab.example, name: www, type: A, data: x}]`, `record www lab.example A x: inventory: record "www": rrdata must be an IPv4 address`},
		{`records: [{domain: lab.example, name: www, type: CNAME, data: x.lab.example}]`, `record www lab.example CNAME x.lab.example: inventory: record "www": rrtype is a CNAME: it has no other records`},
		{`machines: [{hostname: "a_b"}]`, `machine a_b.maas: inventory: machine "a_b": hostname must be 1 to 63 letters, digits and inner hyphens`},
		{`machines: [{hostname: node2, zone: south}]`, `machine node2.maas: there is no zone "south"`},
		{`machines: [{hostname: node2, pool: deep}]`, `machine node2.maas: there is no resource pool "deep"`},
		{`machines: [{hostname: node2, domain: moon.example}]`, `machine node2.moon.example: there is no domain "moon.example"`},
		{`machines: [{hostname: node2, interfaces: [{name: eth0, mac_address: "02:00:00:00:00:01"}]}]`, `machine node2.maas: interface eth0: inventory: there is already an interface with MAC 02:00:00:00:00:01 (of node1)`},
		{`machines: [{hostname: node2, interfaces: [{name: eth0, type: tube, mac_address: "02:00:00:00:00:11"}]}]`, `machine node2.maas: interface eth0: ipam: interface type "tube": must be one of [physical bond bridge vlan unknown]`},
		{`machines: [{hostname: node2, interfaces: [{name: eth0, mac_address: "02:00:00:00:00:11"}, {name: b, type: bond, parents: [eth7]}]}]`, `machine node2.maas: interface b: there is no interface eth7 for a parent; parents stand before those that rest on them`},
		{`machines: [{hostname: node2, interfaces: [{name: eth0, mac_address: "02:00:00:00:00:11", vlan: leaf/0, links: [{mode: magic}]}]}]`, `machine node2.maas: interface eth0: ipam: link mode "magic": must be one of [auto dhcp static link_up]`},
		{`machines: [{hostname: node2, interfaces: [{name: eth0, mac_address: "02:00:00:00:00:11", links: [{mode: static, subnet: 10.99.0.0/24}]}]}]`, `machine node2.maas: interface eth0: there is no subnet "10.99.0.0/24"`},
		{`machines: [{hostname: node2, interfaces: [{name: eth0, mac_address: "02:00:00:00:00:11", links: [{mode: static, subnet: 10.0.0.0/24, ip_address: 10.0.20.9}]}]}]`, `machine node2.maas: interface eth0: ipam: address 10.0.20.9: is not in subnet 10.0.0.0/24`},
		{`machines: [{hostname: node2, power: {type: steam}}]`, `machine node2.maas: power: settings: there is no power type "steam"; there are []`},
		{`tags: [{name: "a tag"}]`, `tag a tag: inventory: tag "a tag": name must be 1 to 256 letters, digits, _ and -`},
		{`tags: [{name: t, machines: [node7]}]`, `tag t: inventory: machine node7 does not exist`},
		{`tags: [{name: t, subnets: [10.99.0.0/24]}]`, `tag t: there is no subnet "10.99.0.0/24"`},
		{`boot_profiles: [{tag: none, profile: {kind: local}}]`, `boot profile of tag none: inventory: tag none does not exist`},
		{`boot_profiles: [{tag: rescue, subnet: 10.0.0.0/24, profile: {kind: local}}]`, `boot profile of tag rescue: inventory: boot-profile "": __all__ is for one of machine, tag and subnet, or for the site`},
		{`boot_profiles: [{profile: {kind: dance}}]`, `boot profile of the site: inventory: boot-profile "site": profile cannot be booted: pxe: profile "": kind "dance" is none of linux, local, chain, script, wait, poweroff, menu, iso, windows, esxi, multiboot`},
		{`boot_profiles: [{profile: {name: lab, kind: menu, entries: [{profile: a}], profiles: [{name: a, kind: menu, entries: [{profile: a}]}]}}]`, `boot profile of the site: inventory: boot-profile "site": profile cannot be booted: pxe: profile "lab": menu "a": entries[0] leads back to menu "a", so that the menu names itself; remove the entry`},
		{`boot_profiles: [{tag: rescue, profile: {name: lab, kind: menu, entries: [{profile: b}], profiles: [{name: a, kind: local}]}}]`, `boot profile of tag rescue: inventory: boot-profile "tag rescue": profile cannot be booted: pxe: profile "lab": entries[0]: there is no profile "b"; the menu's profiles are a`},
	} {
		_, err := sitedoc.Apply(ctx, inv, parse(t, tt.doc), sitedoc.Options{})
		var at *sitedoc.Error
		if !errors.As(err, &at) || err.Error() != tt.want {
			t.Errorf("%s:\n	%v\nwant\n	%s", tt.doc, err, tt.want)
		}
	}
	if after, err := inv.Revision(ctx); err != nil || after != before {
		t.Errorf("refused documents changed the site: revision %d to %d, %v", before, after, err)
	}
}
