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

// nameTTL is the TTL of names in seconds. It is short because the address of a lease may soon
// belong to another machine.
const nameTTL = 30

// names publishes the DNS names of leases. A machine that the region knows has its own name; any
// other client has the name that it sent.
type names struct {
	dns    *dnssrv.Server
	nameOf func(net.HardwareAddr) string

	mu     sync.Mutex // guards the fields below
	domain map[string]string
	byAddr map[netip.Addr]string              // fully qualified name of each address
	byName map[string]map[netip.Addr]struct{} // the inverse of byAddr
}

// newNames returns names without leases.
func newNames(dns *dnssrv.Server, nameOf func(net.HardwareAddr) string) *names {
	return &names{
		dns: dns, nameOf: nameOf, domain: map[string]string{},
		byAddr: map[netip.Addr]string{}, byName: map[string]map[netip.Addr]struct{}{},
	}
}

// setDomains records the DNS domain of each subnet.
func (n *names) setDomains(subnets []dhcpsrv.Subnet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.domain)
	for _, s := range subnets {
		n.domain[s.Name] = s.Domain
	}
}

// event updates the name of one lease.
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
	n.publish(n.all()) // new zones need all names; republishing an existing record set changes nothing for clients
}

// all returns the record sets of every name.
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

// republish publishes the names of leases again where a change of the region replaced them, or all
// of them when zones changed.
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

// rename derives the names of the given clients again.
func (n *names) rename(leases iter.Seq[dhcpsrv.Lease], macs map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range leases {
		if macs[l.MAC.String()] {
			n.publish(n.follow(l, l.State == dhcpsrv.Bound))
		}
	}
}

// follow updates the maps for one lease and returns the record sets that changed.
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

// fqdn returns the name of a lease's client, or "" if it has none.
func (n *names) fqdn(l dhcpsrv.Lease) string {
	domain := n.domain[l.Subnet]
	if domain == "" {
		return ""
	}
	return dhcpsrv.ClientName(cmp.Or(n.nameOf(l.MAC), l.Hostname), domain)
}

// forward returns the A and AAAA record sets of a name.
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

// reverse returns the PTR record set of an address; an empty name removes it.
func reverse(addr netip.Addr, name string) dnssrv.RRset {
	set := dnssrv.RRset{Name: dnssrv.PTRName(addr), Type: "PTR", TTL: nameTTL, Learned: true}
	if name != "" {
		set.Data = []string{name}
	}
	return set
}

// publish passes each set on by itself, so that one name in a foreign zone does not hold up the
// others.
func (n *names) publish(changed []dnssrv.RRset) {
	for _, set := range changed {
		// fails only for a zone that this server does not have
		_ = n.dns.Update(dnssrv.Change{Set: []dnssrv.RRset{set}})
	}
}
