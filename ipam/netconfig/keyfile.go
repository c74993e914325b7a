package netconfig

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/gomaas/maas/ipam"
)

const keyfileDir = "/etc/NetworkManager/system-connections/"

// keyfiles writes connections of NetworkManager, which ignores files that others can read.
func (r *renderer) keyfiles() error {
	for _, i := range r.ordered() {
		r.file(keyfileDir+i.Name+".nmconnection", 0o600, r.keyfile(i))
	}
	return nil
}

func (r *renderer) keyfile(i Interface) string {
	var t ini
	t.section("connection")
	t.set("id", i.Name)
	t.set("uuid", connectionID(i.Name))
	t.set("type", map[ipam.InterfaceKind]string{ipam.Physical: "ethernet", ipam.Bond: "bond", ipam.Bridge: "bridge", ipam.VLANInterface: "vlan"}[i.Kind])
	if i.Kind != ipam.Physical { // which is found by its MAC, whatever its name is
		t.set("interface-name", i.Name)
	}
	of, member := r.memberOf(i.Name)
	if member {
		t.set("master", connectionID(of.Name))
		t.set("slave-type", of.Kind.String())
	}
	r.linkSections(&t, i)
	if member {
		return t.String() // which takes no addresses
	}
	for _, is4 := range []bool{true, false} {
		r.familySection(&t, i, is4)
	}
	return t.String()
}

func (r *renderer) linkSections(t *ini, i Interface) {
	if i.Kind == ipam.Physical || i.MTU != 0 || len(i.MAC) > 0 {
		t.section("ethernet")
		if i.Kind == ipam.Physical {
			t.set("mac-address", strings.ToUpper(i.MAC.String()))
		} else {
			t.set("cloned-mac-address", strings.ToUpper(i.MAC.String()))
		}
		t.set("mtu", i.MTU)
	}
	switch i.Kind {
	case ipam.Bond:
		t.section("bond")
		t.set("mode", i.Bond.Mode)
		t.set("miimon", i.Bond.MIIMonitor)
		t.set("updelay", i.Bond.UpDelay)
		t.set("downdelay", i.Bond.DownDelay)
		t.set("lacp_rate", i.Bond.LACPRate)
		t.set("xmit_hash_policy", i.Bond.TransmitPolicy)
	case ipam.Bridge:
		t.section("bridge")
		t.set("stp", fmt.Sprint(i.Bridge.STP))
		t.set("forward-delay", i.Bridge.ForwardDelay)
	case ipam.VLANInterface:
		t.section("vlan")
		t.set("id", i.VID)
		t.set("parent", i.Parents[0])
	}
}

// familySection writes [ipv4] or [ipv6].
func (r *renderer) familySection(t *ini, i Interface, is4 bool) {
	addresses, routes := i.addresses(is4), i.routes(is4)
	t.section(map[bool]string{true: "ipv4", false: "ipv6"}[is4])
	t.set("method", keyfileMethod(i, is4, len(addresses) > 0))
	for n, a := range addresses {
		t.set(fmt.Sprintf("address%d", n+1), a.String())
	}
	for n, route := range routes {
		parts := []string{route.To.Masked().String()}
		if route.Via.IsValid() || route.Metric != 0 {
			via := route.Via.String()
			if !route.Via.IsValid() {
				via = map[bool]string{true: "0.0.0.0", false: "::"}[is4]
			}
			parts = append(parts, via)
		}
		if route.Metric != 0 {
			parts = append(parts, fmt.Sprint(route.Metric))
		}
		t.set(fmt.Sprintf("route%d", n+1), strings.Join(parts, ","))
		var options []string
		if i.onLink(route.Via) {
			options = append(options, "onlink=true")
		}
		if route.Table != 0 {
			options = append(options, fmt.Sprintf("table=%d", route.Table))
		}
		t.set(fmt.Sprintf("route%d_options", n+1), strings.Join(options, ","))
	}
	number := 0
	for _, rule := range i.Rules {
		if rule.From.Addr().Is4() == is4 {
			number++
			t.set(fmt.Sprintf("routing-rule%d", number), fmt.Sprintf("priority 32700 from %s table %d", rule.From.Masked(), rule.Table))
		}
	}
	if i.Name == r.resolverInterface() {
		var servers []string
		for _, d := range r.DNS {
			if d.Is4() == is4 {
				servers = append(servers, d.String())
			}
		}
		t.set("dns", listOf(servers))
		t.set("dns-search", listOf(r.Search))
	}
}

// keyfileMethod returns the method of a family. IPv6 without addresses stays link-local, so that no
// router advertisement is taken.
func keyfileMethod(i Interface, is4, static bool) string {
	switch {
	case is4 && i.DHCP4, !is4 && i.AcceptRA:
		return "auto"
	case !is4 && i.DHCP6:
		return "dhcp"
	case static:
		return "manual"
	case is4:
		return "disabled"
	}
	return "link-local"
}

// listOf writes a list as keyfiles have it.
func listOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, ";") + ";"
}

// connectionID returns the UUID of a connection, which follows from its name: another rendering
// replaces the connection instead of adding one.
func connectionID(name string) string {
	b := sha256.Sum256([]byte("netconfig " + name))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8, RFC 9562 section 5.8
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
