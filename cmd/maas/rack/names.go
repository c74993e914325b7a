package rack

import (
	"cmp"
	"iter"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
)

// nameTTL is short because an address that a lease gave may be another machine's soon.
const nameTTL = 30

// names keeps the DNS names of leases: that of the machine if the region knows it, else what the client calls itself.
type names struct {
	dns    *dnssrv.Server
	nameOf func(net.HardwareAddr) string

	mu     sync.Mutex // guards following
	domain map[string]string
	byAddr map[netip.Addr]string              // fully qualified
	byName map[string]map[netip.Addr]struct{} // the same, turned around
}

func newNames(dns *dnssrv.Server, nameOf func(net.HardwareAddr) string) *names {
	return &names{
		dns: dns, nameOf: nameOf, domain: map[string]string{},
		byAddr: map[netip.Addr]string{}, byName: map[string]map[netip.Addr]struct{}{},
	}
}

// domains takes over in which domain each subnet's clients are.
func (n *names) setDomains(subnets []dhcpsrv.Subnet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.domain)
	for _, s := range subnets {
		n.domain[s.Name] = s.Domain
	}
}

// event follows one lease.
func (n *names) event(e dhcpsrv.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.publish(n.follow(e.Lease, e.Kind == dhcpsrv.Granted || e.Kind == dhcpsrv.Renewed))
}

// refresh derives all names again, after machines or zones have changed.
func (n *names) refresh(leases iter.Seq[dhcpsrv.Lease]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var changed []dnssrv.RRset
	for l := range leases {
		changed = append(changed, n.follow(l, l.State == dhcpsrv.Bound)...)
	}
	n.publish(changed)
	n.publish(n.all()) // zones may be new; what is there already is no change in what clients see
}

// all is every name that there is.
func (n *names) all() []dnssrv.RRset {
	var out []dnssrv.RRset
	for name := range n.byName {
		out = append(out, n.forward(name)...)
	}
	for addr, name := range n.byAddr {
		out = append(out, reverse(addr, name))
	}
	return out
}

// again says the names of leases again, where the region has said something about them; all of them when zones have changed.
func (n *names) republish(said []string, zones bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if zones {
		n.publish(n.all())
		return
	}
	for _, name := range said {
		if _, there := n.byName[name]; there {
			n.publish(n.forward(name))
		}
		if addr, ok := dnssrv.PTRAddr(name); ok && n.byAddr[addr] != "" {
			n.publish([]dnssrv.RRset{reverse(addr, n.byAddr[addr])})
		}
	}
}

// renamed derives the names of some clients again.
func (n *names) rename(leases iter.Seq[dhcpsrv.Lease], macs map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range leases {
		if macs[l.MAC.String()] {
			n.publish(n.follow(l, l.State == dhcpsrv.Bound))
		}
	}
}

// follow brings the maps up to date with one lease and returns the record sets that changed.
func (n *names) follow(l dhcpsrv.Lease, held bool) []dnssrv.RRset {
	want := ""
	if held {
		want = n.fqdn(l)
	}
	have := n.byAddr[l.Addr]
	if want == have {
		return nil
	}
	var changed []dnssrv.RRset
	if have != "" {
		delete(n.byName[have], l.Addr)
		delete(n.byAddr, l.Addr)
		changed = append(append(changed, n.forward(have)...), reverse(l.Addr, ""))
	}
	if want != "" {
		if n.byName[want] == nil {
			n.byName[want] = map[netip.Addr]struct{}{}
		}
		n.byName[want][l.Addr] = struct{}{}
		n.byAddr[l.Addr] = want
		changed = append(append(changed, n.forward(want)...), reverse(l.Addr, want))
	}
	return changed
}

// fqdn is the name of a lease's client, empty when it has none.
func (n *names) fqdn(l dhcpsrv.Lease) string {
	domain := n.domain[l.Subnet]
	if domain == "" {
		return ""
	}
	return dhcpsrv.ClientName(cmp.Or(n.nameOf(l.MAC), l.Hostname), domain)
}

// forward is the addresses of a name, those of IPv4 and of IPv6.
func (n *names) forward(name string) []dnssrv.RRset {
	a := dnssrv.RRset{Name: name, Type: "A", TTL: nameTTL, Learned: true}
	aaaa := dnssrv.RRset{Name: name, Type: "AAAA", TTL: nameTTL, Learned: true}
	for _, addr := range slices.SortedFunc(maps.Keys(n.byName[name]), netip.Addr.Compare) {
		if addr.Is4() {
			a.Data = append(a.Data, addr.String())
		} else {
			aaaa.Data = append(aaaa.Data, addr.String())
		}
	}
	if len(a.Data)+len(aaaa.Data) == 0 {
		delete(n.byName, name)
	}
	return []dnssrv.RRset{a, aaaa}
}

func reverse(addr netip.Addr, name string) dnssrv.RRset {
	set := dnssrv.RRset{Name: dnssrv.PTRName(addr), Type: "PTR", TTL: nameTTL, Learned: true}
	if name != "" {
		set.Data = []string{name}
	}
	return set
}

// publish hands each set over by itself: a name in a zone that this server does not have must not hold up the others.
func (n *names) publish(changed []dnssrv.RRset) {
	for _, set := range changed {
		_ = n.dns.Update(dnssrv.Change{Set: []dnssrv.RRset{set}}) // refused only when the zone is not here
	}
}
