package rack

import (
	"cmp"
	"iter"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/dnssrv/dnsupdate"
)

// nameTTL is the TTL of names in seconds. It is short because the address of a lease may soon
// belong to another machine.
const nameTTL = 30

// names publishes the DNS names of leases. A machine that the region knows has its own name. Any
// other client has the name that it sent, unless a machine or another client has the name: the
// first client keeps it (RFC 4703), and a machine takes it.
type names struct {
	dns    *dnssrv.Server
	nameOf func(net.HardwareAddr) string
	taken  func(label string) bool // a machine of the site has the name; nil = none has

	mu     sync.Mutex // guards the fields below
	domain map[string]string
	byAddr map[netip.Addr]string              // fully qualified name of each address
	byName map[string]map[netip.Addr]struct{} // the inverse of byAddr
	owner  map[string]string                  // identity of the client that has each name
	// registrars keep the names at the DNS servers of others, where hosts are what they have; both
	// are nil if no server of others is served.
	registrars []registrar
	hosts      map[netip.Addr]dnsupdate.Host
}

// A registrar keeps names at a DNS server of others. A dnsupdate.Client is one.
type registrar interface {
	Set(dnsupdate.Host)
	Remove(dnsupdate.Host)
}

// newNames returns names without leases.
func newNames(dns *dnssrv.Server, nameOf func(net.HardwareAddr) string) *names {
	return &names{
		dns: dns, nameOf: nameOf, domain: map[string]string{},
		byAddr: map[netip.Addr]string{}, byName: map[string]map[netip.Addr]struct{}{}, owner: map[string]string{},
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
	held := e.Kind == dhcpsrv.Granted || e.Kind == dhcpsrv.Renewed
	if name, _ := n.fqdn(e.Lease); !held && name != "" && n.byAddr[e.Lease.Addr] == "" {
		// A lease that ended while the rack was away may have a name elsewhere. The name of another
		// client stays: the server compares the DHCID.
		n.strike(hostOf(e.Lease, name))
	}
	n.publish(n.follow(e.Lease, held))
}

// register has registrars, in place of the former ones, keep the names of leases from now on.
func (n *names) register(registrars []registrar, leases iter.Seq[dhcpsrv.Lease]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.registrars, n.hosts = registrars, nil
	if len(registrars) == 0 {
		return
	}
	n.hosts = map[netip.Addr]dnsupdate.Host{}
	for l := range leases {
		if name := n.byAddr[l.Addr]; name != "" && l.State == dhcpsrv.Bound {
			n.enter(l, name)
		}
	}
}

// enter sends the name of a lease to the registrars.
func (n *names) enter(l dhcpsrv.Lease, name string) {
	if len(n.registrars) == 0 {
		return
	}
	h := hostOf(l, name)
	n.hosts[l.Addr] = h
	for _, r := range n.registrars {
		r.Set(h)
	}
}

func hostOf(l dhcpsrv.Lease, name string) dnsupdate.Host {
	return dnsupdate.Host{Name: name, Addr: l.Addr, MAC: l.MAC, ClientID: l.ClientID, DUID: l.DUID}
}

// strike has the registrars remove the name of an address.
func (n *names) strike(h dnsupdate.Host) {
	delete(n.hosts, h.Addr)
	for _, r := range n.registrars {
		r.Remove(h)
	}
}

// refresh derives all names again, after machines or zones have changed.
func (n *names) refresh(leases iter.Seq[dhcpsrv.Lease]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	// After a restart the client that has held its lease for longest is the first one.
	all := slices.SortedStableFunc(leases, func(a, b dhcpsrv.Lease) int { return a.Start.Compare(b.Start) })
	var changed []dnssrv.RRset
	for _, l := range all {
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
		if macs[l.MAC.String()] || n.lost(l.Addr) {
			n.publish(n.follow(l, l.State == dhcpsrv.Bound))
		}
	}
}

// lost reports whether the name of an address is a client's that a machine has now.
func (n *names) lost(addr netip.Addr) bool {
	name := n.byAddr[addr]
	label, _, _ := strings.Cut(name, ".")
	return name != "" && !isMachine(n.owner[name]) && n.taken != nil && n.taken(label)
}

// follow updates the maps for one lease and returns the record sets that changed.
func (n *names) follow(l dhcpsrv.Lease, held bool) []dnssrv.RRset {
	var changed []dnssrv.RRset
	want, client := "", ""
	if held {
		want, client = n.fqdn(l)
	}
	if own := n.owner[want]; want != "" && own != "" && own != client {
		if !isMachine(client) || isMachine(own) {
			want = "" // the first one keeps it
		} else {
			for addr := range n.byName[want] {
				changed = append(changed, n.drop(addr)...)
			}
		}
	}
	if want == n.byAddr[l.Addr] {
		return changed
	}
	changed = append(changed, n.drop(l.Addr)...)
	if want != "" {
		if n.byName[want] == nil {
			n.byName[want] = map[netip.Addr]struct{}{}
		}
		n.byName[want][l.Addr] = struct{}{}
		n.byAddr[l.Addr], n.owner[want] = want, client
		n.enter(l, want)
		changed = append(append(changed, n.forward(want)...), reverse(l.Addr, want))
	}
	return changed
}

// drop takes the name of an address away, and returns the record sets that changed.
func (n *names) drop(addr netip.Addr) []dnssrv.RRset {
	have := n.byAddr[addr]
	if have == "" {
		return nil
	}
	delete(n.byName[have], addr)
	delete(n.byAddr, addr)
	if h, entered := n.hosts[addr]; entered {
		n.strike(h)
	}
	return append(n.forward(have), reverse(addr, ""))
}

// fqdn returns the name of a lease's client, or "" if it has none, and the identity of the client.
func (n *names) fqdn(l dhcpsrv.Lease) (name, client string) {
	domain := n.domain[l.Subnet]
	if domain == "" {
		return "", ""
	}
	if own := n.nameOf(l.MAC); own != "" {
		return strings.ToLower(own + "." + domain), "machine " + own
	}
	label := dhcpsrv.ClientName(l.Hostname, "")
	if label == "" || n.taken != nil && n.taken(label) {
		return "", ""
	}
	// The link address is the same in both families, whatever identifier a client sends.
	identity := cmp.Or(string(l.MAC), string(l.DUID), string(l.ClientID))
	return label + "." + strings.ToLower(domain), "client " + identity
}

// isMachine reports whether an identity is that of a machine of the site.
func isMachine(identity string) bool { return strings.HasPrefix(identity, "machine ") }

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
		delete(n.owner, name)
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
