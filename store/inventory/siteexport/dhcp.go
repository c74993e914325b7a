package siteexport

import (
	"cmp"
	"net"
	"net/netip"
	"time"

	"go4.org/netipx"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// leaseSeconds returns the length of the leases of a subnet or of the site, which the first of
// lengths says that is not 0, or else what racks give.
func leaseSeconds(is4 bool, lengths ...time.Duration) int {
	return int(cmp.Or(append(lengths, plan.LeaseTime(!is4))...) / time.Second)
}

// dhcpSite holds the parts that configurations of all DHCP servers have, in the order of writing.
type dhcpSite struct {
	networks []*network
	classes  []*class
	hosts    []*host
	options4 dhcpsrv.Options // of the whole site
	options6 dhcpsrv.Options
	lease    time.Duration // 0 = what racks give
}

// network is a link with the subnets on it.
type network struct {
	name    string
	subnets []*subnet
}

type subnet struct {
	prefix  netip.Prefix
	doc     *sitedoc.Subnet
	options dhcpsrv.Options // all that clients get here besides those of the site
	own     dhcpsrv.Options // those of them that other subnets of the network do not have alike
	pools   []pool
	hosts   []*host
	relays  []netip.Addr
	lease   time.Duration // 0 = the site's
	pd      []ipam.PrefixPool
}

// pool is a dynamic range without what is reserved in it.
type pool struct {
	netipx.IPRange
	class   string
	options dhcpsrv.Options
	comment string
}

type class struct {
	dhcpsrv.Class
	doc *sitedoc.Class
}

// host is a client that is known by its MAC address.
type host struct {
	name     string // of the declaration; unique
	node     bool   // of a machine or device, which gets its name from racks
	mac      net.HardwareAddr
	comment  string
	addrs    []netip.Addr
	options4 dhcpsrv.Options
	options6 dhcpsrv.Options
}

func (h *host) in(p netip.Prefix) (out []netip.Addr) {
	for _, a := range h.addrs {
		if p.Contains(a) {
			out = append(out, a)
		}
	}
	return out
}

// dhcp reads the document as a DHCP server serves it, and decides on the fields that all servers
// have alike.
func (p *page) dhcp() *dhcpSite {
	s := &dhcpSite{}
	b := dhcpBuilder{page: p, site: s, byPrefix: map[netip.Prefix]*subnet{}, byMAC: map[string]*host{}, names: map[string]bool{}, reserved: &netipx.IPSetBuilder{}}
	b.subnets()
	b.classes()
	b.hosts()
	b.ranges()
	b.routes()
	b.snippets()
	return s
}

type dhcpBuilder struct {
	*page
	site     *dhcpSite
	byPrefix map[netip.Prefix]*subnet
	byMAC    map[string]*host
	nodes    map[string]*host // hosts of the first interfaces by full name of the node
	names    map[string]bool  // of hosts
	reserved *netipx.IPSetBuilder
}

// ofVersion returns the networks with the subnets of a family.
func (s *dhcpSite) ofVersion(is4 bool) (out []*network) {
	for _, n := range s.networks {
		some := &network{name: n.name}
		for _, sub := range n.subnets {
			if sub.prefix.Addr().Is4() == is4 {
				some.subnets = append(some.subnets, sub)
			}
		}
		if len(some.subnets) > 0 {
			out = append(out, some)
		}
	}
	return out
}
