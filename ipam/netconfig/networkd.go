package netconfig

import (
	"fmt"
	"strings"

	"github.com/gomaas/maas/ipam"
)

const networkdDir = "/etc/systemd/network/"

// networkd writes units of systemd-networkd. Their order is that of the names, so that netdevs that
// are made of others follow these.
func (r *renderer) networkd() error {
	for n, i := range r.ordered() {
		path := fmt.Sprintf("%s%02d-%s", networkdDir, 10+n, i.Name)
		if i.Kind == ipam.Physical {
			r.file(path+".link", 0o644, linkUnit(i))
		} else {
			r.file(path+".netdev", 0o644, netdevUnit(i))
		}
		r.file(path+".network", 0o644, r.networkUnit(i))
	}
	return nil
}

func linkUnit(i Interface) string {
	var t ini
	t.section("Match")
	t.set("PermanentMACAddress", i.MAC.String())
	t.section("Link")
	t.set("Name", i.Name)
	t.set("MTUBytes", i.MTU)
	return t.String()
}

func netdevUnit(i Interface) string {
	var t ini
	t.section("NetDev")
	t.set("Name", i.Name)
	t.set("Kind", i.Kind.String())
	t.set("MACAddress", i.MAC.String())
	t.set("MTUBytes", i.MTU)
	switch i.Kind {
	case ipam.VLANInterface:
		t.section("VLAN")
		t.set("Id", i.VID)
	case ipam.Bond:
		t.section("Bond")
		t.set("Mode", i.Bond.Mode)
		t.set("MIIMonitorSec", millis(i.Bond.MIIMonitor))
		t.set("UpDelaySec", millis(i.Bond.UpDelay))
		t.set("DownDelaySec", millis(i.Bond.DownDelay))
		t.set("LACPTransmitRate", i.Bond.LACPRate)
		t.set("TransmitHashPolicy", i.Bond.TransmitPolicy)
	case ipam.Bridge:
		t.section("Bridge")
		t.set("STP", yes(i.Bridge.STP))
		t.set("ForwardDelaySec", i.Bridge.ForwardDelay)
	}
	return t.String()
}

func millis(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%dms", n)
}

func (r *renderer) networkUnit(i Interface) string {
	var t ini
	t.section("Match")
	t.set("Name", i.Name)
	t.section("Network")
	if of, ok := r.memberOf(i.Name); ok {
		t.set(map[ipam.InterfaceKind]string{ipam.Bond: "Bond", ipam.Bridge: "Bridge"}[of.Kind], of.Name)
	}
	for _, v := range r.vlansOn(i.Name) {
		t.set("VLAN", v)
	}
	t.set("DHCP", map[[2]bool]string{{true, true}: "yes", {true, false}: "ipv4", {false, true}: "ipv6", {}: "no"}[[2]bool{i.DHCP4, i.DHCP6}])
	t.set("IPv6AcceptRA", yes(i.AcceptRA))
	if i.Name == r.resolverInterface() {
		for _, d := range r.DNS {
			t.set("DNS", d.String())
		}
		t.set("Domains", strings.Join(r.Search, " "))
	}
	for _, a := range i.Addresses {
		t.section("Address")
		t.set("Address", a.String())
	}
	for _, route := range i.Routes {
		t.section("Route")
		t.set("Destination", route.To.Masked().String())
		if route.Via.IsValid() {
			t.set("Gateway", route.Via.String())
		} else {
			t.set("Scope", "link")
		}
		if i.onLink(route.Via) {
			t.set("GatewayOnLink", "yes")
		}
		t.set("Metric", route.Metric)
		t.set("Table", route.Table)
	}
	for _, rule := range i.Rules {
		t.section("RoutingPolicyRule")
		t.set("From", rule.From.Masked().String())
		t.set("Table", rule.Table)
	}
	return t.String()
}
