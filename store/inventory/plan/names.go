package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// NamePlanner names everything that has an address, and follows changes in time proportional to
// them. A machine's own name leads to the addresses of one interface, its boot interface if that
// has any; its others are <interface>.<name>. Addresses seen in leases count only where no other
// was given, and are marked as learned. Reverse records exist for all of them, and a machine's name
// wins over others. Addresses of dynamic ranges have names such as 10-0-3-7 as long as they have no
// other.
//
// The zero NamePlanner is ready for Plan. It is not for concurrent use.
type NamePlanner struct {
	home     string // the default domain
	server   string // the name of the site's DNS servers
	subnets  prefixIndex
	domains  map[int64]inventory.Domain
	names    map[string]*nameClaims
	pointers map[netip.Addr][]pointer
	elected  map[netip.Addr]pointer // which of the pointers holds
	zones    map[string]bool        // by name; false = served by others
	inputs   *nameInputs            // of the last plan
}

// nameClaims holds the records that sources claim for one name.
type nameClaims struct {
	claims []claim
	nodes  int     // how many machines and devices are called so
	said   []setID // the sets that the last plan had there
	holder *holder // nil = not known since the last change of the others
}

// claim is a record that a part of the site wants.
type claim struct {
	from       source
	kind, data string
	ttl        uint32
	learned    bool
	owner      string // user of a reserved address
}

// pointer is the target of a reverse record. The smallest rank wins.
type pointer struct {
	from    source
	name    string
	rank    int
	learned bool
	owner   string // user of a reserved address
}

const (
	rankNode = iota
	rankOther
)

// source is the part of the site that a claim comes from.
type source struct {
	class sourceClass
	id    int64
}

// sourceClass orders claims: of two equal pointers the one with the lower class wins.
type sourceClass uint8

const (
	fromService sourceClass = iota // the name of the site's DNS servers
	fromNode
	fromRecord
	fromRack
	fromReserved // addresses of users
	fromLease    // addresses of clients that are no machines
	fromPointer  // reverse records
)

// yields reports whether the source can lose a name to others.
func (s source) yields() bool {
	return s.class == fromNode || s.class == fromRack || s.class == fromReserved || s.class == fromLease
}

// holder is the owner of a name. Administrators write records, and name machines and racks: what
// they say of one name belongs together. Users and clients choose names, too, and get those that
// are free; the first keeps the name.
type holder struct {
	service, node, fixed bool // a service, a node, or anything of administrators has the name
	reserved             bool // a user has it
	first                map[string]source
}

// heldBy returns the owner of the name.
func (n *nameClaims) heldBy() *holder {
	if n.holder != nil {
		return n.holder
	}
	h := &holder{node: n.nodes > 0, fixed: n.nodes > 0, first: make(map[string]source)}
	users := source{class: fromReserved}
	owner := ""
	for _, c := range n.claims {
		switch c.from.class {
		case fromService:
			h.service, h.fixed = true, true
		case fromNode, fromRecord, fromRack:
			h.fixed = true
		case fromReserved:
			if !h.reserved || c.from.id < users.id {
				h.reserved, users.id, owner = true, c.from.id, c.owner
			}
		case fromLease:
			if had, ok := h.first[c.kind]; !ok || c.from.id < had.id {
				h.first[c.kind] = c.from
			}
		}
	}
	if h.reserved {
		h.first = map[string]source{owner: users}
	}
	n.holder = h
	return h
}

// lets reports whether a source may claim records of a kind for the name. owner is the user of a
// reserved address.
func (h *holder) lets(from source, kind, owner string) bool {
	switch from.class {
	case fromNode:
		return !h.service
	case fromRack:
		return !h.node && !h.service
	case fromReserved:
		_, mine := h.first[owner]
		return !h.fixed && mine
	case fromLease:
		return !h.fixed && !h.reserved && h.first[kind] == from
	}
	return true
}

// setID distinguishes the record sets of one name.
type setID struct {
	kind    string
	learned bool
}

// touched collects the names and addresses whose records a change may affect.
type touched struct {
	names map[string]bool
	addrs map[netip.Addr]bool
}

// Plan returns what DNS servers serve for a site.
func (p *NamePlanner) Plan(m *inventory.Model) inventory.DNSPlan {
	plan := p.plan(m)
	p.inputs = nameInputsOf(m)
	return plan
}

func (p *NamePlanner) plan(m *inventory.Model) inventory.DNSPlan {
	*p = NamePlanner{
		home: defaultDomain(m), server: nameServer(m), subnets: indexSubnets(m.Subnets), domains: make(map[int64]inventory.Domain),
		names: make(map[string]*nameClaims), pointers: make(map[netip.Addr][]pointer), elected: make(map[netip.Addr]pointer),
		zones: make(map[string]bool),
	}
	for _, d := range m.Domains {
		p.domains[d.ID] = d
	}
	t := touched{make(map[string]bool), make(map[netip.Addr]bool)}
	p.claim(t, false, part(m))
	for i := range m.Racks {
		p.rack(t, &m.Racks[i])
	}
	p.internal(t, m)
	zones := dnsZones(m)
	for _, z := range zones {
		p.zones[z.Name] = true
	}
	for _, d := range m.Domains {
		if d.External {
			p.zones[d.Name] = false
		}
	}
	return inventory.DNSPlan{Zones: zones, Sets: p.settle(t), Forwarding: forwarding(m), Access: dnsAccess(m)}
}

// Change returns the record sets that differ from the last plan, without data if they are gone, in
// the order of [DNS]. c is the result of Follow for the planned model, and not nil. If Networks
// changed, the model has to fit: zones and the rest of the plan are the same then.
func (p *NamePlanner) Change(c *inventory.Changes) []dnssrv.RRset {
	t := touched{make(map[string]bool), make(map[netip.Addr]bool)}
	p.claim(t, true, &c.Before)
	p.claim(t, false, &c.After)
	return p.settle(t)
}

// claim makes or takes back the claims of a part of the site.
func (p *NamePlanner) claim(t touched, back bool, part *inventory.Part) {
	for i := range part.Machines {
		p.node(t, back, part.Machines[i].ID, part.Machines[i].FQDN, part.Machines[i].Interfaces)
	}
	for i := range part.Devices {
		p.node(t, back, part.Devices[i].ID, part.Devices[i].FQDN, part.Devices[i].Interfaces)
	}
	for i := range part.Orphans {
		p.orphan(t, back, &part.Orphans[i])
	}
	for i := range part.Records {
		p.record(t, back, &part.Records[i])
	}
}

// claimant makes the claims of one source, or takes them back.
type claimant struct {
	*NamePlanner
	touched
	from  source
	back  bool
	owner string // user of a reserved address
}

func (p *NamePlanner) at(name string) *nameClaims {
	n := p.names[name]
	if n == nil {
		n = &nameClaims{}
		p.names[name] = n
	}
	return n
}

func (c claimant) set(name string, v claim) {
	n := c.at(name)
	v.from, v.owner, n.holder = c.from, c.owner, nil
	c.touched.names[name] = true
	if c.back {
		n.claims = slices.DeleteFunc(n.claims, func(have claim) bool { return have == v })
	} else if !slices.Contains(n.claims, v) {
		n.claims = append(n.claims, v)
	}
}

func (c claimant) addr(name string, a netip.Addr, learned bool) {
	c.set(name, claim{kind: addressKind(a), data: a.String(), learned: learned})
}

// addressKind returns the type of the records of an address.
func addressKind(a netip.Addr) string {
	if a.Is4() {
		return "A"
	}
	return "AAAA"
}

func (c claimant) pointer(a netip.Addr, v pointer) {
	v.from, v.owner = c.from, c.owner
	c.addrs[a] = true
	if !c.back {
		c.pointers[a] = append(c.pointers[a], v)
		return
	}
	left := slices.DeleteFunc(c.pointers[a], func(have pointer) bool { return have == v })
	if c.pointers[a] = left; len(left) == 0 {
		delete(c.pointers, a)
	}
}

// settle elects pointers again and returns the sets of all names that were touched, in order.
func (p *NamePlanner) settle(t touched) []dnssrv.RRset {
	for name := range t.names {
		for _, c := range p.at(name).claims {
			if c.from.yields() { // another may have got the name, or lost it
				if a, err := netip.ParseAddr(c.data); err == nil {
					t.addrs[a] = true
				}
			}
		}
	}
	for a := range t.addrs {
		p.elect(a, t)
	}
	var out []dnssrv.RRset
	for _, name := range slices.Sorted(maps.Keys(t.names)) {
		out = p.appendSets(out, name)
	}
	return out
}

// elect brings an address's reverse record up to date.
func (p *NamePlanner) elect(a netip.Addr, t touched) {
	var best *pointer
	for i := range p.pointers[a] {
		v := &p.pointers[a][i]
		if v.from.yields() && !p.at(v.name).heldBy().lets(v.from, addressKind(a), v.owner) {
			continue
		}
		if best == nil || v.before(best) {
			best = v
		}
	}
	had, was := p.elected[a]
	if was && best != nil && had == *best {
		return
	}
	if was {
		p.reverse(t, true, a, had)
		delete(p.elected, a)
	}
	if best != nil {
		p.reverse(t, false, a, *best)
		p.elected[a] = *best
	}
}

func (v *pointer) before(o *pointer) bool {
	return cmp.Or(cmp.Compare(v.rank, o.rank), cmp.Compare(v.from.class, o.from.class), cmp.Compare(v.from.id, o.from.id)) < 0
}

// reverse claims the PTR record of an address whose subnet has reverse zones.
func (p *NamePlanner) reverse(t touched, back bool, a netip.Addr, to pointer) {
	s := p.subnets.of(a)
	if s == nil || s.RDNS == ipam.RDNSDisabled {
		return
	}
	c := claimant{p, t, source{class: fromPointer}, back, ""}
	name := strings.TrimSuffix(dnssrv.PTRName(a), ".")
	if zone := classless(*s); zone != "" {
		own := fmt.Sprintf("%d.%s", a.As4()[3], zone)
		c.set(name, claim{kind: "CNAME", data: own})
		name = own
	}
	c.set(name, claim{kind: "PTR", data: to.name, learned: to.learned})
}

// serves reports whether a name is in a zone of the site: the closest one that encloses it is not
// served by others.
func (p *NamePlanner) serves(name string) bool {
	for zone := name; zone != ""; _, zone, _ = strings.Cut(zone, ".") {
		if ours, known := p.zones[zone]; known {
			return ours
		}
	}
	return false
}

// appendSets appends the sets of a name, and without data those that the last plan had there and
// this one has not.
func (p *NamePlanner) appendSets(out []dnssrv.RRset, name string) []dnssrv.RRset {
	n := p.at(name)
	sets := make(map[setID]*dnssrv.RRset, 2)
	ttlFrom := make(map[setID]int64)
	others := false // records besides a CNAME
	h, ours := n.heldBy(), p.serves(name)
	for _, c := range n.claims {
		if !ours || !h.lets(c.from, c.kind, c.owner) {
			continue
		}
		id := setID{c.kind, c.learned}
		if sets[id] == nil {
			sets[id] = &dnssrv.RRset{Name: name, Type: c.kind, Learned: c.learned}
		}
		sets[id].Data = append(sets[id].Data, c.data)
		if c.from.class == fromRecord && c.from.id >= ttlFrom[id] {
			sets[id].TTL, ttlFrom[id] = c.ttl, c.from.id // the last word counts
		}
		others = others || c.kind != "CNAME"
	}
	if others {
		// a CNAME excludes other records (RFC 1034 section 3.6.2): a machine took the name since
		delete(sets, setID{kind: "CNAME"})
	}
	first := len(out)
	for _, id := range n.said {
		if sets[id] == nil {
			out = append(out, dnssrv.RRset{Name: name, Type: id.kind, Learned: id.learned})
		}
	}
	n.said = n.said[:0]
	for id, set := range sets {
		slices.Sort(set.Data)
		set.Data = slices.Compact(set.Data)
		out, n.said = append(out, *set), append(n.said, id)
	}
	if len(n.claims)+len(n.said)+n.nodes == 0 {
		delete(p.names, name)
	}
	slices.SortFunc(out[first:], func(a, b dnssrv.RRset) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), cmp.Compare(btoi(a.Learned), btoi(b.Learned)))
	})
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
