package netconfig

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/ipam"
)

// ifupdown writes /etc/network/interfaces. Interfaces are known by their names there: a physical
// one that the kernel calls otherwise needs a link unit of systemd.
func (r *renderer) ifupdown() error {
	var b strings.Builder
	b.WriteString("auto lo\niface lo inet loopback\n")
	for n, i := range r.ordered() {
		fmt.Fprintf(&b, "\nauto %s\n", i.Name)
		stanzas := []bool{}
		for _, is4 := range []bool{true, false} {
			if len(i.addresses(is4)) > 0 || len(i.routes(is4)) > 0 || is4 && i.DHCP4 || !is4 && (i.DHCP6 || i.AcceptRA) {
				stanzas = append(stanzas, is4)
			}
		}
		if len(stanzas) == 0 {
			fmt.Fprintf(&b, "iface %s inet manual\n", i.Name)
			r.linkOptions(&b, i)
		}
		for k, is4 := range stanzas {
			r.stanza(&b, i, is4, k == 0)
		}
		if i.Kind == ipam.Physical {
			r.file(fmt.Sprintf("%s%02d-%s.link", networkdDir, 10+n, i.Name), 0o644, linkUnit(i))
		}
	}
	r.file("/etc/network/interfaces", 0o644, b.String())
	return nil
}

// stanza writes one family of an interface; the first has the options of the link.
func (r *renderer) stanza(b *strings.Builder, i Interface, is4, first bool) {
	family, addresses := "inet", i.addresses(is4)
	if !is4 {
		family = "inet6"
	}
	method := "manual"
	switch {
	case is4 && i.DHCP4, !is4 && i.DHCP6:
		method = "dhcp"
	case !is4 && i.AcceptRA:
		method = "auto"
	case len(addresses) > 0:
		method = "static"
	}
	fmt.Fprintf(b, "iface %s %s %s\n", i.Name, family, method)
	option := func(format string, args ...any) { fmt.Fprintf(b, "    "+format+"\n", args...) }
	if !is4 {
		option("accept_ra %d", map[bool]int{true: 2, false: 0}[i.AcceptRA])
		option("autoconf %d", map[bool]int{true: 1, false: 0}[i.AcceptRA])
	}
	rest := addresses
	if method == "static" {
		option("address %s", addresses[0])
		rest = addresses[1:]
	}
	if first {
		r.linkOptions(b, i)
	}
	for _, a := range rest {
		option("up ip addr add %s dev %s", a, i.Name)
	}
	for _, route := range i.routes(is4) {
		option("up %s", routeCommand(i, route))
	}
	for _, rule := range i.Rules {
		if rule.From.Addr().Is4() == is4 {
			option("up ip %srule add from %s table %d", sixFlag(is4), rule.From.Masked(), rule.Table)
		}
	}
	if first && i.Name == r.resolverInterface() {
		if len(r.DNS) > 0 {
			option("dns-nameservers %s", spaced(r.DNS))
		}
		if len(r.Search) > 0 {
			option("dns-search %s", strings.Join(r.Search, " "))
		}
	}
}

func sixFlag(is4 bool) string {
	if is4 {
		return ""
	}
	return "-6 "
}

// routeCommand returns the command of iproute2 that adds a route.
func routeCommand(i Interface, route Route) string {
	out := fmt.Sprintf("ip %sroute add %s", sixFlag(route.To.Addr().Is4()), route.destination())
	if route.Via.IsValid() {
		out += " via " + route.Via.String()
	}
	out += " dev " + i.Name
	if i.onLink(route.Via) {
		out += " onlink"
	}
	if route.Metric != 0 {
		out += fmt.Sprintf(" metric %d", route.Metric)
	}
	if route.Table != 0 {
		out += fmt.Sprintf(" table %d", route.Table)
	}
	return out
}

func (r *renderer) linkOptions(b *strings.Builder, i Interface) {
	option := func(format string, args ...any) { fmt.Fprintf(b, "    "+format+"\n", args...) }
	if i.MTU != 0 {
		option("mtu %d", i.MTU)
	}
	if i.Kind != ipam.Physical && len(i.MAC) > 0 {
		option("hwaddress %s", i.MAC)
	}
	if of, ok := r.memberOf(i.Name); ok && of.Kind == ipam.Bond {
		option("bond-master %s", of.Name)
	}
	switch i.Kind {
	case ipam.VLANInterface:
		option("vlan-raw-device %s", i.Parents[0])
		option("vlan-id %d", i.VID)
	case ipam.Bridge:
		option("bridge_ports %s", strings.Join(i.Parents, " "))
		option("bridge_stp %s", map[bool]string{true: "on", false: "off"}[i.Bridge.STP])
		if i.Bridge.ForwardDelay != 0 {
			option("bridge_fd %d", i.Bridge.ForwardDelay)
		}
	case ipam.Bond:
		option("bond-slaves %s", strings.Join(i.Parents, " "))
		for _, p := range parameters1(i.Bond) {
			option("bond-%s %v", p.key, p.value)
		}
	}
}

// parameters1 returns the parameters of a bond by the kernel's names.
func parameters1(b Bond) (m mapping) {
	m.add("mode", b.Mode)
	m.add("miimon", b.MIIMonitor)
	m.add("updelay", b.UpDelay)
	m.add("downdelay", b.DownDelay)
	m.add("lacp_rate", b.LACPRate)
	m.add("xmit_hash_policy", b.TransmitPolicy)
	return m
}

// bracketed returns an address as arguments of the kernel have it.
func bracketed(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Is4():
		return a.String()
	}
	return "[" + a.String() + "]"
}
