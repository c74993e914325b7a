package pxedhcp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
)

// networks holds what a site serves.
type networks struct {
	links          []string
	subnets        []dhcpsrv.Subnet
	advertisements []radv.Advertisement
}

// Networks returns the subnets that are served: Subnets, or those made of the networks of
// Interfaces. Changed, they can be given as Subnets.
func (site *Site) Networks() ([]dhcpsrv.Subnet, error) {
	n, err := site.networks()
	return n.subnets, err
}

// networks checks what is to be served where.
func (site *Site) networks() (n networks, err error) {
	for i, name := range site.Interfaces {
		if name == "" || slices.Contains(site.Interfaces[:i], name) {
			return n, fmt.Errorf("pxedhcp: Site.Interfaces: name %d is %q, empty or for the second time; leave it out", i, name)
		}
	}
	if len(site.Interfaces) == 0 && len(site.Subnets) == 0 {
		return n, errors.New("pxedhcp: Site.Interfaces is empty; name the interfaces to serve, or describe Subnets")
	}
	n.links = slices.Clone(site.Interfaces)
	if site.Subnets == nil {
		if n.subnets, err = site.derive(); err != nil {
			return n, err
		}
	} else {
		if site.Pools != nil || site.Proxy || site.Routers != nil || site.DNS != nil || site.Domain != "" {
			return n, errors.New("pxedhcp: Site.Subnets is set, and Pools, Proxy, Routers, DNS or Domain, too; put these into the subnets")
		}
		n.subnets = site.Subnets
	}
	for _, s := range n.subnets {
		if s.Link != "" && !slices.Contains(n.links, s.Link) {
			n.links = append(n.links, s.Link)
		}
	}
	if len(n.links) == 0 {
		return n, errors.New("pxedhcp: Site.Subnets have no Link; name in Interfaces where packets of their relays arrive")
	}
	if n.advertisements = site.Advertisements; n.advertisements == nil {
		n.advertisements = n.advertise(site.Subnets == nil && (site.Pools != nil || site.DHCP.Hosts != nil))
	}
	return n, nil
}

// has reports whether a subnet is of a family.
func (n *networks) has(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(n.subnets, func(s dhcpsrv.Subnet) bool { return family(s.Prefix.Addr()) })
}

// servers returns the addresses of this host that clients are sent.
func (n *networks) servers() (out []netip.Addr) {
	for _, s := range n.subnets {
		if s.Server.IsValid() && !slices.Contains(out, s.Server) {
			out = append(out, s.Server)
		}
	}
	return out
}

// advertise makes the advertisements of the links. alone says that no other host serves there: then
// a link without IPv6 gets an empty one, since firmware waits long for a router otherwise.
func (n *networks) advertise(alone bool) (out []radv.Advertisement) {
	for _, link := range n.links {
		ad := radv.Advertisement{Link: link}
		for _, s := range n.subnets {
			if s.Link == link && s.Prefix.Addr().Is6() {
				ad.Managed, ad.Prefixes = true, append(ad.Prefixes, s.Prefix)
			}
		}
		if ad.Managed || alone {
			out = append(out, ad)
		}
	}
	return out
}

// derive makes a subnet of each network of the interfaces.
func (site *Site) derive() (out []dhcpsrv.Subnet, err error) {
	placed := make([]bool, len(site.Pools))
	var all []netip.Prefix
	for _, name := range site.Interfaces {
		found, err := prefixesOf(name)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		for _, at := range found {
			s, serve, err := site.subnet(name, at, placed)
			if err != nil {
				return nil, err
			}
			if serve {
				out = append(out, s)
			}
		}
	}
	for i, p := range site.Pools {
		if !placed[i] {
			return nil, fmt.Errorf("pxedhcp: Site.Pools: %s-%s is in no network of the interfaces, which have %s; correct it, or give an interface an address there",
				p.First, p.Last, join(all))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("pxedhcp: Site.Interfaces: %s with %s has no network to serve: Proxy needs IPv4, a pool needs a network with room; give an interface an address in one",
			strings.Join(site.Interfaces, ", "), join(all))
	}
	return out, nil
}

func join(prefixes []netip.Prefix) string {
	var out []string
	for _, p := range prefixes {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

// subnet makes the subnet of one network, and reports whether it is served. It notes the pools that
// are in it.
func (site *Site) subnet(link string, at netip.Prefix, placed []bool) (s dhcpsrv.Subnet, serve bool, err error) {
	s = dhcpsrv.Subnet{Name: link + " " + at.Masked().String(), Prefix: at.Masked(), Link: link, Server: at.Addr(), Domain: site.Domain}
	six := at.Addr().Is6()
	for _, a := range site.DNS {
		if a.Is6() == six {
			s.DNS = append(s.DNS, a)
		}
	}
	for _, a := range site.Routers {
		if s.Prefix.Contains(a) && !six { // DHCPv6 has none
			s.Routers = append(s.Routers, a)
		}
	}
	if site.Proxy {
		if site.Pools != nil {
			return s, false, errors.New("pxedhcp: Site.Proxy and Pools are set, but with Proxy another server gives the addresses; leave one of them out")
		}
		s.Mode = dhcpsrv.ModeProxy
		return s, !six, nil
	}
	for i, p := range site.Pools {
		if s.Prefix.Contains(p.First) {
			s.Pools, placed[i] = append(s.Pools, p), true
		}
	}
	switch {
	case site.DHCP.Hosts != nil:
		return s, true, nil
	case site.Pools != nil:
		reserved := slices.ContainsFunc(site.Reservations, func(r dhcpsrv.Reservation) bool { return s.Prefix.Contains(r.Addr) })
		return s, len(s.Pools) > 0 || reserved, nil
	}
	s.Pools = upperHalf(s.Prefix, append(slices.Clone(site.Routers), at.Addr()))
	if !six { // DHCPv6 has no such mode
		s.Mode = dhcpsrv.ModeAuto
	}
	return s, len(s.Pools) > 0, nil // a host route has no room
}

// mostOfPool bounds the addresses of a pool that is made of a network.
const mostOfPool = 1 << 16

// upperHalf returns the upper half of a network without some addresses.
func upperHalf(prefix netip.Prefix, without []netip.Addr) (pools []dhcpsrv.Pool) {
	bits := min(prefix.Addr().BitLen()-prefix.Bits(), 32) // the lower ones of a large IPv6 network
	if bits < 2 {
		return nil
	}
	size := uint64(1) << bits
	first := offset(prefix.Addr(), size/2)
	last := offset(prefix.Addr(), min(size-2, size/2+mostOfPool-1)) // the very last one is for broadcasts
	without = slices.Clone(without)
	slices.SortFunc(without, netip.Addr.Compare)
	for _, a := range without {
		if a.Less(first) || last.Less(a) {
			continue
		}
		if first.Less(a) {
			pools = append(pools, dhcpsrv.Pool{First: first, Last: a.Prev()})
		}
		first = a.Next()
	}
	if !last.Less(first) {
		pools = append(pools, dhcpsrv.Pool{First: first, Last: last})
	}
	return pools
}

// offset returns the address n after another.
func offset(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+n)
	if out := netip.AddrFrom16(b); a.Is6() {
		return out
	}
	return netip.AddrFrom16(b).Unmap()
}

// prefixesOf returns the addresses of an interface with their networks, without link-local ones and
// IPv6 addresses from a router.
func prefixesOf(name string) (out []netip.Prefix, err error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("pxedhcp: Site.Interfaces: there is no interface %s; this host has %s", name, interfaceNames())
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, fmt.Errorf("pxedhcp: Site.Interfaces: %s: %w", name, err)
	}
	passing := passingAddrs()
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLinkLocalUnicast() || slices.Contains(passing, p.Addr()) {
			continue
		}
		// Two addresses of one network are one subnet; the first is the one that is preferred.
		if !slices.ContainsFunc(out, func(o netip.Prefix) bool { return o.Masked() == p.Masked() }) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("pxedhcp: Site.Interfaces: %s has no address; give it one, such as: ip addr add 192.0.2.1/24 dev %s", name, name)
	}
	slices.SortStableFunc(out, func(a, b netip.Prefix) int { return cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()) })
	return out, nil
}

func interfaceNames() string {
	all, _ := net.Interfaces()
	names := make([]string, 0, len(all))
	for _, ifi := range all {
		names = append(names, ifi.Name)
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// permanent is IFA_F_PERMANENT of linux/if_addr.h. Addresses that a router's advertisements made
// lack it: they have a lifetime.
const permanent = 0x80

// passingAddrs returns the IPv6 addresses of this host that are not permanent. It finds none on
// other systems than Linux.
func passingAddrs() (out []netip.Addr) {
	text, err := os.ReadFile("/proc/thread-self/net/if_inet6")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // address, index, length of the prefix, scope, flags, name
		if len(f) < 6 || len(f[0]) != 32 {
			continue
		}
		flags, err := strconv.ParseUint(f[4], 16, 32)
		if err != nil || flags&permanent != 0 {
			continue
		}
		var b strings.Builder
		for i := 0; i < 32; i += 4 {
			if i > 0 {
				b.WriteByte(':')
			}
			b.WriteString(f[0][i : i+4])
		}
		if a, err := netip.ParseAddr(b.String()); err == nil {
			out = append(out, a)
		}
	}
	return out
}
