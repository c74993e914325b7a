package rack

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
)

// A Link is a network interface of the rack with its addresses, IPv4 first. It has at least one
// IPv4 address.
type Link struct {
	Name     string           `json:"name"`
	MAC      net.HardwareAddr `json:"mac,omitempty"`
	MTU      int              `json:"mtu,omitempty"`
	Prefixes []netip.Prefix   `json:"prefixes"` // each with the interface's own address and the length of its subnet
}

// FindLink returns an interface of this host. The error names the interfaces that exist, or what
// the interface lacks.
func FindLink(name string) (Link, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return Link{}, fmt.Errorf("interface %s: there is none of that name; this host has %s", name, interfaceNames())
	}
	link := Link{Name: name, MAC: ifi.HardwareAddr, MTU: ifi.MTU}
	if link.Prefixes, err = prefixes4(ifi); err != nil {
		return Link{}, fmt.Errorf("interface %s: %w", name, err)
	}
	if len(link.Prefixes) == 0 {
		return Link{}, fmt.Errorf("interface %s has no IPv4 address; give it one, such as: ip addr add 192.0.2.1/24 dev %s", name, name)
	}
	link.Prefixes = append(link.Prefixes, prefixes6(name)...)
	return link, nil
}

// prefixes4 returns the IPv4 addresses of an interface.
func prefixes4(ifi *net.Interface) (out []netip.Prefix, err error) {
	addrs, err := ifi.Addrs()
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLinkLocalUnicast() {
			out = append(out, prefix)
		}
	}
	return out, err
}

// interfaceNames lists the interfaces of the host, for errors.
func interfaceNames() string {
	all, err := net.Interfaces()
	if err != nil || len(all) == 0 {
		return "none"
	}
	var names []string
	for _, ifi := range all {
		names = append(names, ifi.Name)
	}
	return strings.Join(names, ", ")
}

// Gateway returns this host's default router inside the prefix, or the zero Addr. Machines of a
// subnet use the same router as their rack.
func Gateway(prefix netip.Prefix) netip.Addr {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return netip.Addr{}
	}
	for _, route := range routes {
		if route.Dst != nil && !route.Dst.IP.IsUnspecified() {
			continue
		}
		if gw, ok := netip.AddrFromSlice(route.Gw); ok && prefix.Contains(gw.Unmap()) {
			return gw.Unmap()
		}
	}
	return netip.Addr{}
}
