package siteimport

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// netboxModels are the models that are read, in the order of translation.
var netboxModels = []string{"vlans", "prefixes", "ip_ranges", "devices", "virtual_machines", "mac_addresses", "interfaces", "vm_interfaces", "ip_addresses"}

// netbox translates the objects of NetBox's REST API.
type netbox struct {
	*dump
	devices map[string]*netboxDevice // by machine or device
	macs    map[string]string        // of interfaces, by these
	fabrics map[string]string        // by site or group
}

// netboxDevice is a device with the interfaces that have a MAC address.
type netboxDevice struct {
	n          *node
	interfaces []sitedoc.Interface
}

func readNetBox(b *builder, src *source, files []string) error {
	d, err := readDump(b, src, files, netboxModels)
	if err != nil {
		return err
	}
	x := netbox{dump: d, devices: map[string]*netboxDevice{}, macs: map[string]string{}, fabrics: map[string]string{}}
	for _, n := range d.objects["prefixes"] {
		x.prefix(n)
	}
	for _, n := range d.objects["vlans"] {
		x.vlan(n)
	}
	for _, n := range d.objects["ip_ranges"] {
		x.ipRange(n)
	}
	for _, m := range netboxMachines {
		for _, n := range d.objects[m.model] {
			x.devices[m.key(n.str("id"))] = &netboxDevice{n: n}
		}
	}
	for _, n := range d.objects["mac_addresses"] {
		x.mac(n)
	}
	for _, m := range netboxMachines {
		for _, n := range d.objects[m.interfaces] {
			x.iface(m, n)
		}
	}
	x.finishDevices()
	for _, n := range d.objects["ip_addresses"] {
		x.address(n)
	}
	for model, kept := range netboxKept {
		for _, n := range d.objects[model] {
			if model == "ip_addresses" && n.str("dns_name") == "" {
				kept = append(slices.Clip(kept), "description") // it is the comment, in the place of the name
			}
			x.noteRest(n, kept, netboxComputed, ifActive(n))
		}
	}
	return nil
}

// netboxMachine is a model of what has interfaces. IDs are of a model.
type netboxMachine struct {
	model, interfaces string
	owner             string // member of an interface
	assigned          string // type of the interface, where an object names it
}

var netboxMachines = []netboxMachine{
	{"devices", "interfaces", "device", "dcim.interface"},
	{"virtual_machines", "vm_interfaces", "virtual_machine", "virtualization.vminterface"},
}

func (m netboxMachine) key(id string) string { return m.model + " " + id }

// assignedTo returns the key of the interface that an object belongs to; "" = it belongs to none.
func assignedTo(n *node) string {
	for _, m := range netboxMachines {
		if n.str("assigned_object_type") == m.assigned {
			return m.key(n.str("assigned_object_id"))
		}
	}
	return ""
}

// netboxKept are the fields of each model that the translation reads.
var netboxKept = map[string][]string{
	"vlans":            {"vid", "name", "site", "group", "scope"},
	"prefixes":         {"prefix", "vlan", "vrf", "description"},
	"ip_ranges":        {"start_address", "end_address", "role", "status", "vrf"},
	"devices":          {"name", "description", "primary_ip", "primary_ip4", "primary_ip6"},
	"mac_addresses":    {"mac_address", "assigned_object_type", "assigned_object_id", "assigned_object"},
	"interfaces":       {"device", "name", "type", "enabled", "mac_address", "primary_mac_address", "mac_addresses"},
	"virtual_machines": {"name", "description", "primary_ip", "primary_ip4", "primary_ip6", "interface_count"},
	"vm_interfaces":    {"virtual_machine", "name", "enabled", "mac_address", "primary_mac_address", "mac_addresses"},
	"ip_addresses":     {"address", "status", "vrf", "dns_name", "assigned_object_type", "assigned_object_id", "assigned_object"},
}

// netboxComputed are fields that say nothing of their own: NetBox makes them, or another object has
// what they refer to.
var netboxComputed = []string{"id", "url", "display", "display_url", "created", "last_updated", "family", "children", "_depth", "size", "config_context",
	"link_peers", "link_peers_type", "connected_endpoints", "connected_endpoints_type", "connected_endpoints_reachable", "cable", "cable_end", "_occupied",
	"scope_type", "scope_id"}

// ifActive returns "status" where it is the usual one, which a document need not have.
func ifActive(n *node) []string {
	if n.choice("status") == "active" {
		return []string{"status"}
	}
	return nil
}

// fabric returns the fabric of a site or group of VLANs: NetBox has no broadcast domains beside
// these.
func (x *netbox) fabric(n *node) string {
	name := firstOf(n.choice("group"), n.choice("site"), n.choice("scope"), "netbox")
	if x.fabrics[name] == "" {
		x.fabrics[name] = x.link(name)
	}
	return x.fabrics[name]
}

func (x *netbox) vlan(n *node) {
	vid, err := strconv.Atoi(n.str("vid"))
	if err != nil || vid < 1 || vid > 4094 {
		x.put(n.place(), LeftOut, "is not the number of a VLAN; correct it")
		return
	}
	fabric := x.fabric(n)
	x.addVLAN(fabric, vid, n.str("name"))
	x.put(n.place(), Taken, "VLAN %s/%d", fabric, vid)
}

// addVLAN adds a VLAN, or names the one that a subnet has made.
func (b *builder) addVLAN(fabric string, vid int, name string) {
	vlans := b.out.Document.VLANs
	if at := slices.IndexFunc(vlans, func(v sitedoc.VLAN) bool { return v.Fabric == fabric && v.VID == vid }); at >= 0 {
		if vlans[at].Name == "" {
			vlans[at].Name = name
		}
		return
	}
	b.out.Document.VLANs = append(vlans, sitedoc.VLAN{Fabric: fabric, VID: vid, Name: name})
}

func (x *netbox) prefix(n *node) {
	p, err := netip.ParsePrefix(n.str("prefix"))
	switch {
	case err != nil:
		x.put(n.place(), LeftOut, "is not a network; correct it")
		return
	// A container groups prefixes, and has none of its addresses on a link.
	case n.choice("status") == "container" || n.choice("status") == "deprecated":
		x.put(n.place(), LeftOut, "a %s has no hosts", n.choice("status"))
		return
	case n.get("vrf") != nil && n.get("vrf").kind == '{':
		x.put(n.place(), LeftOut, "a site has one routing table; import each VRF into a site of its own")
		return
	}
	vlan, in := n.get("vlan"), x.site
	if vlan != nil && vlan.kind == '{' {
		in = &scope{parent: x.site, kind: "shared-network", name: x.fabric(firstNode(x.vlanByID(vlan.str("id")), vlan))}
	}
	at, why := x.addSubnet(p, in)
	if why != "" {
		x.put(n.place(), LeftOut, "%s", why)
		return
	}
	at.subnet.doc.Description = n.str("description")
	if vid, err := strconv.Atoi(vlan.str("vid")); err == nil && vid > 0 {
		x.setVLAN(at.subnet, vid)
	}
	x.put(n.place(), Taken, "subnet %s on VLAN %s", p, at.subnet.doc.VLAN)
}

// vlanByID returns the whole object of a VLAN that another object refers to; nil = it was not read.
func (x *netbox) vlanByID(id string) *node {
	at := slices.IndexFunc(x.objects["vlans"], func(n *node) bool { return n.str("id") == id })
	if at < 0 {
		return nil
	}
	return x.objects["vlans"][at]
}

func firstNode(nodes ...*node) *node {
	for _, n := range nodes {
		if n != nil {
			return n
		}
	}
	return nil
}

// ipRange translates a range. One with a role or status that names DHCP is dynamic; others are kept
// free of leases.
func (x *netbox) ipRange(n *node) {
	first, _ := netip.ParsePrefix(n.str("start_address"))
	last, _ := netip.ParsePrefix(n.str("end_address"))
	if n.get("vrf") != nil && n.get("vrf").kind == '{' {
		x.put(n.place(), LeftOut, "a site has one routing table; import each VRF into a site of its own")
		return
	}
	pool := &scope{parent: x.site, kind: "pool"}
	if kind := strings.ToLower(n.choice("role") + " " + n.choice("status")); !strings.Contains(kind, "dhcp") {
		pool.closed = "no role dhcp"
	}
	x.addRange(n.place(), netipx.IPRangeFrom(first.Addr(), last.Addr()), pool)
}

// mac learns the MAC address of an interface: since NetBox 4.2 it is an object.
func (x *netbox) mac(n *node) {
	of := assignedTo(n)
	if of == "" || x.macs[of] != "" {
		x.put(n.place(), LeftOut, "belongs to no interface, or to one that has another MAC address")
		return
	}
	x.macs[of] = n.str("mac_address")
	x.put(n.place(), Taken, "MAC address of its interface")
}

func (x *netbox) iface(m netboxMachine, n *node) {
	id, mac := m.key(n.str("id")), n.str("mac_address")
	if mac == "" {
		mac = n.get("primary_mac_address").str("mac_address")
	}
	mac = firstOf(mac, x.macs[id])
	d := x.devices[m.key(n.get(m.owner).str("id"))]
	switch {
	case mac == "":
		x.put(n.place(), LeftOut, "has no MAC address; add one")
	case d == nil:
		x.put(n.place(), LeftOut, "its %s is not in the dump", strings.ReplaceAll(m.owner, "_", " "))
	// A bond or bridge repeats the MAC address of its first port.
	case slices.Contains([]string{"virtual", "bridge", "lag"}, n.choice("type")):
		x.macs[id] = mac
		x.put(n.place(), LeftOut, "devices have physical interfaces alone; its addresses are kept")
	default:
		x.macs[id] = mac
		d.interfaces = append(d.interfaces, sitedoc.Interface{Name: n.str("name"), MAC: strings.ToLower(mac), Disabled: n.str("enabled") == "false"})
		x.put(n.place(), Taken, "interface of its device")
	}
}

// finishDevices makes the devices that have an interface and a host name.
func (x *netbox) finishDevices() {
	names, macs := map[string]bool{}, map[string]bool{}
	for _, n := range slices.Concat(x.objects["devices"], x.objects["virtual_machines"]) {
		d := x.devices["devices "+n.str("id")]
		if d == nil || d.n != n {
			d = x.devices["virtual_machines "+n.str("id")]
		}
		label, _, _ := strings.Cut(n.str("name"), ".")
		name, err := inventory.HostName("device", strings.NewReplacer("_", "-", " ", "-").Replace(label))
		clash := slices.ContainsFunc(d.interfaces, func(i sitedoc.Interface) bool { return macs[i.MAC] })
		switch {
		case err != nil:
			x.put(n.place(), LeftOut, "its name is not a host name; rename it")
		case names[name] || clash:
			x.put(n.place(), LeftOut, "another device has its name or MAC address")
		case len(d.interfaces) == 0:
			x.put(n.place(), LeftOut, "has no interface with a MAC address")
		default:
			names[name] = true
			for _, i := range d.interfaces {
				macs[i.MAC] = true
			}
			x.put(n.place(), Taken, "device %s", name)
			x.out.Document.Devices = append(x.out.Document.Devices, sitedoc.Device{Hostname: name, Description: clip(n.str("description")), Interfaces: d.interfaces})
		}
	}
}

// address translates an address: of an interface with a MAC address it is reserved for it, others
// are kept from DHCP; its DNS name is a record.
func (x *netbox) address(n *node) {
	p, err := netip.ParsePrefix(n.str("address"))
	switch {
	case err != nil:
		x.put(n.place(), LeftOut, "is not an address; correct it")
		return
	case n.choice("status") == "dhcp" || n.choice("status") == "slaac" || n.choice("status") == "deprecated":
		x.put(n.place(), LeftOut, "status %s: nothing is reserved", n.choice("status"))
		return
	case n.get("vrf") != nil && n.get("vrf").kind == '{':
		x.put(n.place(), LeftOut, "a site has one routing table; import each VRF into a site of its own")
		return
	}
	addr, name := p.Addr(), n.str("dns_name")
	mac := x.macs[assignedTo(n)]
	at := n.place()
	part := place{file: at.file, line: at.line}
	switch {
	case mac != "":
		h := x.addHost(at, firstOf(name, n.str("description"), fmt.Sprint(addr)), x.site)
		x.setMAC(part.part(mac), h, mac)
		x.setAddrs(part.part(addr.String()), h, addr)
	case x.subnetOf(addr) == nil:
		x.put(at, LeftOut, "lies in no prefix of the dump")
	default:
		x.put(at, Taken, "address that DHCP does not give")
		x.hold(addr, firstOf(name, n.str("description")))
	}
	if strings.Contains(name, ".") {
		x.addAddress(part.part(name), name, addr, 0)
	}
}

// hold keeps an address from DHCP: as a reserved range, since its host has no MAC address.
func (b *builder) hold(addr netip.Addr, comment string) {
	s := b.subnetOf(addr)
	if slices.Contains(s.taken, addr) || slices.Contains(edges(s.prefix), addr) {
		return
	}
	if slices.ContainsFunc(s.ranges, func(r *rangeDecl) bool { return r.at.closedBy() != "" && r.Contains(addr) }) {
		return // a reserved range has it
	}
	s.taken = append(s.taken, addr)
	b.out.Document.Ranges = append(b.out.Document.Ranges, sitedoc.Range{Type: "reserved", Start: addr.String(), End: addr.String(), Comment: clip(comment)})
}
