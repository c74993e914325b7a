package dnssrv

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxRange is the largest number of names of one range in a transfer or export. Names of larger
// ranges are answered, but not listed.
const maxRange = 1 << 16

// records are all records of a zone but its SOA, in no order. Zones of this server right below it
// show as delegations.
func (d *data) records(z *zoneData) []dns.RR {
	var out []dns.RR
	if z.nodes[z.name].get(dns.TypeNS) == nil {
		out = append(out, z.ns...)
	}
	for name, n := range z.nodes {
		for i := range n.slots {
			out = append(out, n.slots[i].served().owned(name, z.ttl)...)
		}
	}
	// Zones of this server below it are delegations to a server that gets the transfer.
	for _, child := range d.zones {
		if child != z && dns.IsSubDomain(z.name, child.name) && d.parent(child) == z {
			out = append(out, d.referral(child)...)
		}
	}
	return append(out, z.spelledOut()...)
}

// parent is the zone that encloses another, nil when there is none.
func (d *data) parent(z *zoneData) *zoneData {
	off, end := dns.NextLabel(z.name, 0)
	if end {
		return nil
	}
	return d.zoneOf(z.name[off:])
}

// referral returns the parent's records about a zone: its servers, and their addresses if they are
// in the zone.
func (d *data) referral(child *zoneData) []dns.RR {
	servers := child.ns
	if set := child.nodes[child.name].get(dns.TypeNS); set != nil {
		servers = set.owned(child.name, child.ttl)
	}
	m := new(dns.Msg)
	for _, rr := range servers {
		if target := dns.CanonicalName(rr.(*dns.NS).Ns); dns.IsSubDomain(child.name, target) {
			d.glue(m, target)
		}
	}
	out := append(slices.Clone(servers), m.Extra...)
	// The parent publishes the DS of a signed child by itself.
	if child.signer != nil {
		out = append(out, child.signer.ds)
	}
	return out
}

// spelledOut are the records of ranges that are not too large.
func (z *zoneData) spelledOut() []dns.RR {
	var out []dns.RR
	for _, r := range z.ranges {
		addr := r.From
		for n := 0; n < maxRange && addr.IsValid() && !r.To.Less(addr); n, addr = n+1, addr.Next() {
			name := PTRName(addr)
			if r.Domain == z.name {
				name = madeUpLabel(addr) + "." + z.name
			}
			// A name with records of its own is not made up.
			if z.nodes[name] != nil || !dns.IsSubDomain(z.name, name) {
				continue
			}
			if rr, _ := z.ofRange(name); rr != nil {
				out = append(out, rr)
			}
		}
	}
	return out
}

// byName orders records for reading.
func byName(a, b dns.RR) int {
	if c := strings.Compare(a.Header().Name, b.Header().Name); c != 0 {
		return c
	}
	if c := int(a.Header().Rrtype) - int(b.Header().Rrtype); c != 0 {
		return c
	}
	return strings.Compare(a.String(), b.String())
}
