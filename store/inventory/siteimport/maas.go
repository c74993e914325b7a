package siteimport

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// maasModels are the lists of MAAS' API that are read, by their names there.
var maasModels = []string{
	"zones", "resourcepools", "spaces", "fabrics", "subnets", "ipranges", "static_routes", "domains", "dnsresources", "dnsresourcerecords",
	"reservedips", "ipaddresses", "tags", "machines", "devices", "dhcp_snippets",
}

// maas translates the objects of MAAS' API 2.0, which have the shape of a site document: names take
// the place of numbers.
type maas struct {
	*dump
	tagged map[string]*members
}

// members are the full names of what has a tag. MAAS writes them at the machines and devices.
type members struct{ machines, devices []string }

func readMAAS(b *builder, src *source, files []string) error {
	d, err := readDump(b, src, files, maasModels)
	if err != nil {
		return err
	}
	m := maas{d, map[string]*members{}}
	m.findMembers()
	each := map[string]func(n *node){
		"zones": m.zone, "resourcepools": m.pool, "spaces": m.space, "fabrics": m.fabric, "subnets": m.subnet, "ipranges": m.ipRange,
		"static_routes": m.route, "domains": m.domain, "dnsresources": m.names, "dnsresourcerecords": m.record, "reservedips": m.reserved, "ipaddresses": m.userAddress,
		"tags": m.tag, "machines": m.machine, "devices": m.device, "dhcp_snippets": m.snippet,
	}
	for _, model := range maasModels {
		for _, n := range d.objects[model] {
			each[model](n)
			m.noteLost(n, maasLost[model])
		}
	}
	// Machines may name tags whose list is not among the files.
	for _, name := range slices.Sorted(maps.Keys(m.tagged)) {
		if !slices.ContainsFunc(b.out.Document.Tags, func(t sitedoc.Tag) bool { return t.Name == name }) {
			b.out.Document.Tags = append(b.out.Document.Tags, sitedoc.Tag{Name: name, Machines: m.tagged[name].machines, Devices: m.tagged[name].devices})
		}
	}
	return nil
}

func (m maas) took(n *node, what string) { m.put(n.place(), Taken, "%s", what) }

func (m maas) zone(n *node) {
	m.out.Document.Zones = append(m.out.Document.Zones, sitedoc.Group{Name: n.str("name"), Description: n.str("description")})
	m.took(n, "zone")
}

func (m maas) pool(n *node) {
	m.out.Document.Pools = append(m.out.Document.Pools, sitedoc.Group{Name: n.str("name"), Description: n.str("description")})
	m.took(n, "pool")
}

// space translates a space. MAAS lists one named undefined, which stands for none.
func (m maas) space(n *node) {
	if n.str("name") == "undefined" || n.str("id") == "-1" {
		m.took(n, "stands for no space")
		return
	}
	m.out.Document.Spaces = append(m.out.Document.Spaces, sitedoc.Group{Name: n.str("name"), Description: n.str("description")})
	m.took(n, "space")
}

// number returns a member that is a number; 0 = there is none.
func (n *node) number(key string) int {
	i, _ := strconv.Atoi(n.str(key))
	return i
}

// spaceOf is the name of a VLAN's space.
func spaceOf(v *node) string {
	// MAAS writes undefined for VLANs in no space.
	if s := v.str("space"); s != "undefined" {
		return s
	}
	return ""
}

// fabric translates a fabric with its VLANs. DHCP of these is off, so that racks answer no client
// beside the other region.
func (m maas) fabric(n *node) {
	name, served := n.str("name"), false
	m.out.Document.Fabrics = append(m.out.Document.Fabrics, sitedoc.Fabric{Name: name, Description: n.str("description"), ClassType: n.str("class_type")})
	vlans := n.get("vlans")
	if vlans == nil {
		m.took(n, "fabric")
		return
	}
	for _, v := range vlans.kids {
		doc := sitedoc.VLAN{Fabric: name, VID: v.number("vid"), Name: v.str("name"), Description: v.str("description"), MTU: v.number("mtu"), Space: spaceOf(v)}
		if r := v.get("relay_vlan"); r != nil && r.kind == '{' {
			doc.Relay = vlanRef(r)
		}
		served = served || v.str("dhcp_on") == "true"
		m.out.Document.VLANs = append(m.out.Document.VLANs, doc)
	}
	if m.took(n, "fabric with its VLANs"); served {
		m.put(n.place(), Changed, "fabric with its VLANs, on which DHCP is off: switch it on, with its racks, when the other region is off")
	}
}

// vlanRef writes a VLAN as documents refer to it; "" = there is none.
func vlanRef(v *node) string {
	if v.str("fabric") == "" {
		return ""
	}
	return v.str("fabric") + "/" + strconv.Itoa(v.number("vid"))
}

func (n *node) strings(key string) (out []string) {
	if list := n.get(key); list != nil {
		for _, kid := range list.kids {
			if kid.kind == '"' {
				out = append(out, kid.text)
			}
		}
	}
	return out
}

// needVLAN adds the VLAN of a subnet where the files have no list of fabrics.
func (m maas) needVLAN(v *node) {
	fabric := v.str("fabric")
	if fabric == "" || len(m.objects["fabrics"]) > 0 {
		return
	}
	doc := &m.out.Document
	if !slices.ContainsFunc(doc.Fabrics, func(f sitedoc.Fabric) bool { return f.Name == fabric }) {
		doc.Fabrics = append(doc.Fabrics, sitedoc.Fabric{Name: fabric})
	}
	if !slices.ContainsFunc(doc.VLANs, func(x sitedoc.VLAN) bool { return x.Fabric == fabric && x.VID == v.number("vid") }) {
		doc.VLANs = append(doc.VLANs, sitedoc.VLAN{Fabric: fabric, VID: v.number("vid"), Name: v.str("name"), MTU: v.number("mtu"), Space: spaceOf(v)})
	}
}

func (m maas) subnet(n *node) {
	m.needVLAN(n.get("vlan"))
	m.out.Document.Subnets = append(m.out.Document.Subnets, sitedoc.Subnet{
		CIDR: n.str("cidr"), Name: n.str("name"), Description: n.str("description"), VLAN: vlanRef(n.get("vlan")), Gateway: n.str("gateway_ip"),
		DNSServers: n.strings("dns_servers"), Unmanaged: n.str("managed") == "false", DenyDNS: n.str("allow_dns") == "false", DenyProxy: n.str("allow_proxy") == "false",
		Scan: n.str("active_discovery") == "true", RDNS: map[string]string{"0": "disabled", "1": "enabled"}[n.str("rdns_mode")],
		DisabledBootMethods: n.strings("disabled_boot_architectures"),
	})
	m.took(n, "subnet")
}

func (m maas) ipRange(n *node) {
	m.out.Document.Ranges = append(m.out.Document.Ranges, sitedoc.Range{Type: n.str("type"), Start: n.str("start_ip"), End: n.str("end_ip"), Comment: n.str("comment")})
	m.took(n, n.str("type")+" range")
}

func (m maas) route(n *node) {
	for _, end := range []string{"source", "destination"} {
		cidr := n.get(end).str("cidr")
		if !slices.ContainsFunc(m.out.Document.Subnets, func(s sitedoc.Subnet) bool { return s.CIDR == cidr }) {
			m.put(n.place(), LeftOut, "its %s %s is no subnet of the files", end, clip(cidr))
			return
		}
	}
	m.out.Document.Routes = append(m.out.Document.Routes, sitedoc.Route{
		Source: n.get("source").str("cidr"), Destination: n.get("destination").str("cidr"), Gateway: n.str("gateway_ip"), Metric: n.number("metric"),
	})
	m.took(n, "static route")
}

func (m maas) domain(n *node) {
	name := n.str("name")
	m.out.Document.Domains = append(m.out.Document.Domains, sitedoc.Domain{
		Name: name, TTL: n.number("ttl"), Default: n.str("is_default") == "true", External: n.str("authoritative") == "false",
	})
	m.builder.names.domains[name] = true
	m.took(n, "domain")
}

// names translates the addresses of a name. Names of machines follow from their interfaces, and are
// no records.
func (m maas) names(n *node) {
	list := n.get("ip_addresses")
	if list == nil || len(list.kids) == 0 {
		m.took(n, "its records follow")
		return
	}
	m.took(n, "addresses of the name")
	for _, a := range list.kids {
		part := place{file: a.file, line: a.line}
		addr := firstOf(a.str("ip"), a.text)
		kind := "A"
		if strings.Contains(addr, ":") {
			kind = "AAAA"
		}
		m.addRecord(part.part(n.str("fqdn")+" "+addr), n.str("fqdn"), kind, addr, n.number("address_ttl"))
	}
}

func (m maas) record(n *node) {
	m.addRecord(n.place(), n.str("fqdn"), n.str("rrtype"), n.str("rrdata"), n.number("ttl"))
}

func (m maas) reserved(n *node) {
	m.out.Document.Reserved = append(m.out.Document.Reserved, sitedoc.ReservedIP{IP: n.str("ip"), MAC: n.str("mac_address"), Comment: n.str("comment")})
	m.took(n, "reserved IP")
}

// userAddress translates an address that a user reserved. The list has all addresses for an
// administrator: what machines and devices hold follows from their interfaces.
func (m maas) userAddress(n *node) {
	// Type 4 is USER_RESERVED; names are since MAAS 2.
	if kind := firstOf(n.str("alloc_type_name"), n.str("alloc_type")); kind != "User reserved" && kind != "4" && kind != "" {
		m.took(n, "follows from the interface that has it")
		return
	}
	addr, err := netip.ParseAddr(n.str("ip"))
	if err != nil {
		m.put(n.place(), LeftOut, "is not an address; correct it")
		return
	}
	// Users of the other region are not users of this one, so that the administrator has it.
	m.out.Document.Addresses = append(m.out.Document.Addresses, sitedoc.Address{IP: addr.String(), Comment: firstOf(n.str("hostname"), n.get("owner").str("username"))})
	if m.took(n, "address of the administrator"); n.get("owner").str("username") != "" {
		m.put(n.place(), Changed, "address of the administrator, with its owner as comment: accounts are not imported")
	}
}

// findMembers collects who has which tag.
func (m maas) findMembers() {
	for model, of := range map[string]func(*members) *[]string{
		"machines": func(x *members) *[]string { return &x.machines }, "devices": func(x *members) *[]string { return &x.devices },
	} {
		for _, n := range m.objects[model] {
			name := n.str("hostname")
			if domain := n.get("domain").str("name"); domain != "" {
				name += "." + domain
			}
			for _, tag := range n.strings("tag_names") {
				if m.tagged[tag] == nil {
					m.tagged[tag] = &members{}
				}
				list := of(m.tagged[tag])
				*list = append(*list, name)
			}
		}
	}
}

// tag translates a tag with its members. Tags that an expression gives to machines keep the
// machines that have them now.
func (m maas) tag(n *node) {
	doc := sitedoc.Tag{Name: n.str("name"), Comment: n.str("comment"), KernelOpts: n.str("kernel_opts")}
	if with := m.tagged[doc.Name]; with != nil {
		doc.Machines, doc.Devices = with.machines, with.devices
	}
	m.out.Document.Tags = append(m.out.Document.Tags, doc)
	if m.took(n, fmt.Sprintf("tag, members: %d", len(doc.Machines)+len(doc.Devices))); n.str("definition") != "" {
		m.put(n.place(), Changed, "tag, members: %d; the expression that gives it to new machines has no counterpart", len(doc.Machines)+len(doc.Devices))
	}
	if m.objects["machines"] == nil && m.objects["devices"] == nil {
		m.note(n.item-1, "its machines are not in the files: add machines.json and devices.json")
	}
}

// maasLost are fields that people set and that a document does not have, or not from this API. What
// is not listed is found by the region itself: hardware, states, addresses of objects.
var maasLost = map[string][]string{
	"subnets":       {"active_discovery_interval", "tags", "tag_names"},
	"ipranges":      {"user"},
	"domains":       {"forward_dns_servers"},
	"dnsresources":  {"tags"},
	"reservedips":   {"user"},
	"machines":      {"owner", "owner_data", "hwe_kernel", "min_hwe_kernel", "swap_size", "locked", "disable_ipv4", "workload_annotations", "enable_hw_sync", "parent", "pod"},
	"devices":       {"owner", "owner_data", "parent"},
	"dhcp_snippets": {"iprange"},
}

// scalars returns the members that have one value; nil = there are none.
func (n *node) scalars() (out map[string]string) {
	if n == nil || n.kind != '{' {
		return nil
	}
	for _, key := range n.keys {
		if text := n.str(key); text != "" {
			if out == nil {
				out = map[string]string{}
			}
			out[key] = text
		}
	}
	return out
}

// interfaces translates the interfaces of a machine or device.
func (n *node) interfaces(device bool) (out []sitedoc.Interface) {
	set := n.get("interface_set")
	if set == nil {
		return nil
	}
	for _, i := range set.kids {
		doc := sitedoc.Interface{Name: i.str("name"), MAC: i.str("mac_address"), VLAN: vlanRef(i.get("vlan")), Disabled: i.str("enabled") == "false", Tags: i.strings("tags")}
		if kind := i.str("type"); kind != "physical" && !device {
			doc.Type, doc.Parents, doc.Params = kind, i.strings("parents"), i.get("params").scalars()
		}
		links := i.get("links")
		for k := 0; links != nil && k < len(links.kids); k++ {
			l := links.kids[k]
			link := sitedoc.Link{Mode: l.str("mode"), Subnet: l.get("subnet").str("cidr")}
			if link.Mode == "static" {
				link.IP = l.str("ip_address")
			}
			doc.Links = append(doc.Links, link)
		}
		out = append(out, doc)
	}
	return out
}

func (m maas) machine(n *node) {
	doc := sitedoc.Machine{
		Hostname: n.str("hostname"), Domain: n.get("domain").str("name"), Description: n.str("description"), Zone: n.get("zone").str("name"),
		Pool: n.get("pool").str("name"), Architecture: n.str("architecture"), Interfaces: n.interfaces(false),
	}
	m.out.Document.Machines = append(m.out.Document.Machines, doc)
	m.took(n, "machine")
	if kind := n.str("power_type"); kind != "" && kind != "manual" {
		m.put(n.place(), Changed, "machine, without its power parameters: secrets are not read; set power of type %s", clip(kind))
	}
}

func (m maas) device(n *node) {
	m.out.Document.Devices = append(m.out.Document.Devices, sitedoc.Device{
		Hostname: n.str("hostname"), Domain: n.get("domain").str("name"), Description: n.str("description"), Zone: n.get("zone").str("name"), Interfaces: n.interfaces(true),
	})
	m.took(n, "device")
}

// leaseBounds matches the bounds of what clients may ask for.
var leaseBounds = regexp.MustCompile(`(?m)^\s*(max|min)-lease-time\s+\d+\s*;[ \t]*\n?`)

// snippet translates a DHCP snippet of the site or of a subnet. Snippets of MAAS may have any
// statement of dhcpd, and ours options and default-lease-time alone.
func (m maas) snippet(n *node) {
	doc := sitedoc.Snippet{Name: n.str("name"), Description: n.str("description"), Value: n.str("value"), Disabled: n.str("enabled") == "false", Subnet: n.get("subnet").str("cidr")}
	if node := n.get("node"); node != nil && node.kind == '{' {
		m.put(n.place(), LeftOut, "snippets of a machine are left out: add it to machine %s", clip(node.str("hostname")))
		return
	}
	value := leaseBounds.ReplaceAllString(doc.Value, "")
	if bounds := value != doc.Value; bounds && badSnippet(value) == "" {
		doc.Value = value
		m.out.Document.Snippets = append(m.out.Document.Snippets, doc)
		m.put(n.place(), Changed, "DHCP snippet; clients get leases of default-lease-time, or shorter ones")
		return
	}
	if why := badSnippet(doc.Value); why != "" {
		m.put(n.place(), LeftOut, "%s", why)
		return
	}
	m.out.Document.Snippets = append(m.out.Document.Snippets, doc)
	m.took(n, "DHCP snippet")
}
