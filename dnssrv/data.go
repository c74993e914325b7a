package dnssrv

import (
	"fmt"
	"maps"
	"strings"

	"github.com/miekg/dns"
)

// data is everything the server answers with authority. Its owner does the locking.
type data struct {
	zones map[string]*zoneData
}

// zoneData is a zone with its names and with what the server makes up for it.
type zoneData struct {
	conf   Zone
	name   string
	ttl    uint32
	serial uint32
	soa    *dns.SOA
	ns     []dns.RR    // served at the apex unless NS records are set there
	denial []byte      // the SOA record without its owner, as in wire.go
	signer *zoneSigner // nil: not signed

	nodes   map[string]*node
	cuts    int // how many names have NS records below the apex, or a DNAME
	ranges  ranges
	journal ixfrJournal
}

// A node is a name that has records, or names with records below it (an empty non-terminal, RFC
// 4592 section 2.2.2).
type node struct {
	slots []slot // few, in no order
	below int    // how many names with records are strictly below this one, within the zone
}

// A slot is one type at one name.
type slot struct {
	qtype               uint16
	configured, learned *parsed
}

// served is the RRset that questions see: a configured one wins over a learned one.
func (s *slot) served() *parsed {
	switch {
	case s == nil:
		return nil
	case s.configured != nil:
		return s.configured
	}
	return s.learned
}

func (n *node) slot(qtype uint16) *slot {
	if n == nil {
		return nil
	}
	for i := range n.slots {
		if n.slots[i].qtype == qtype {
			return &n.slots[i]
		}
	}
	return nil
}

// get returns the RRset of a type at a name, nil when there is none.
func (n *node) get(qtype uint16) *parsed { return n.slot(qtype).served() }

func newData() data { return data{zones: map[string]*zoneData{}} }

// zoneOf returns the zone that holds the canonical name, nil when there is none.
func (d *data) zoneOf(name string) *zoneData {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if z := d.zones[name[off:]]; z != nil {
			return z
		}
	}
	return nil
}

// zoneFor is zoneOf for a question: the DS of a zone is a matter of its parent, if that is here
// (RFC 4035 section 3.1.4.1).
func (d *data) zoneFor(name string, qtype uint16) *zoneData {
	z := d.zoneOf(name)
	// Both zones may be here: the question decides which of them answers.
	if qtype == dns.TypeDS && z != nil && z.name == name {
		if parent := d.parent(z); parent != nil {
			return parent
		}
	}
	return z
}

// newZone checks a zone and makes its apex records.
func newZone(z Zone, serial uint32) (*zoneData, error) {
	name, err := canonical(z.Name)
	if err != nil {
		return nil, err
	}
	zd := &zoneData{conf: z, name: name, ttl: z.TTL, serial: serial, nodes: map[string]*node{}}
	if zd.ttl == 0 {
		zd.ttl = DefaultTTL
	}
	servers := z.NS
	if len(servers) == 0 {
		servers = []string{"ns." + name}
	}
	for _, server := range servers {
		target, err := canonical(server)
		if err != nil {
			return nil, fmt.Errorf("dnssrv: zone %s: name server: %w", z.Name, err)
		}
		zd.ns = append(zd.ns, &dns.NS{Hdr: header(name, dns.TypeNS, zd.ttl), Ns: target})
	}
	mailbox, err := mailboxName(z.Contact, name)
	if err != nil {
		return nil, fmt.Errorf("dnssrv: zone %s: %w", z.Name, err)
	}
	if zd.ranges, err = newRanges(z, name); err != nil {
		return nil, err
	}
	if z.SigningKey != "" && z.Answer != nil {
		return nil, fmt.Errorf("dnssrv: zone %s: names that a function answers cannot be signed; leave out SigningKey or Answer", z.Name)
	}
	if z.SigningKey != "" {
		if zd.signer, err = newZoneSigner(z.SigningKey, name); err != nil {
			return nil, err
		}
	}
	zd.soa = &dns.SOA{
		Hdr: header(name, dns.TypeSOA, zd.ttl), Ns: zd.ns[0].(*dns.NS).Ns, Mbox: mailbox,
		Refresh: 600, Retry: 1800, Expire: 604800, Minttl: zd.ttl,
	}
	return zd, nil
}

// mailboxName turns user@example.com into the domain name form of RFC 1035 section 8, dots of the
// user part escaped.
func mailboxName(contact, zone string) (string, error) {
	if contact == "" {
		return "hostmaster." + zone, nil
	}
	user, host, ok := strings.Cut(contact, "@")
	if !ok || user == "" {
		return "", fmt.Errorf("contact %q is not a mailbox like hostmaster@example.com", contact)
	}
	return canonical(strings.ReplaceAll(user, ".", `\.`) + "." + host)
}

func header(name string, qtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: qtype, Class: dns.ClassINET, Ttl: ttl}
}

// put stores or, when it has no records, removes an RRset. It returns what the name served of that
// type before and after.
func (z *zoneData) put(p *parsed) (before, after *parsed) {
	n := z.nodes[p.name]
	if n == nil {
		if len(p.records) == 0 {
			return nil, nil
		}
		n = &node{}
		z.nodes[p.name] = n
	}
	had := len(n.slots) > 0
	before = n.get(p.qtype)
	n.set(p)
	after = n.get(p.qtype)
	cuts := p.qtype == dns.TypeNS && p.name != z.name || p.qtype == dns.TypeDNAME
	if cuts && (before == nil) != (after == nil) {
		z.cuts++
		if after == nil {
			z.cuts -= 2
		}
	}
	if has := len(n.slots) > 0; has != had {
		z.count(p.name, has)
	}
	return before, after
}

func (n *node) set(p *parsed) {
	s := n.slot(p.qtype)
	if s == nil {
		n.slots = append(n.slots, slot{qtype: p.qtype})
		s = &n.slots[len(n.slots)-1]
	}
	value := p
	if len(p.records) == 0 {
		value = nil
	}
	if p.learned {
		s.learned = value
	} else {
		s.configured = value
	}
	if s.learned == nil && s.configured == nil {
		last := len(n.slots) - 1
		*s = n.slots[last]
		n.slots[last] = slot{}
		n.slots = n.slots[:last]
	}
}

// count updates the names above name, up to the apex, after name got its first record or lost its
// last one. Names that no longer have a reason to exist are removed.
func (z *zoneData) count(name string, has bool) {
	if n := z.nodes[name]; !has && n.below == 0 {
		delete(z.nodes, name)
	}
	for name != z.name {
		off, end := dns.NextLabel(name, 0)
		if end {
			return
		}
		name = name[off:]
		n := z.nodes[name]
		if n == nil {
			n = &node{}
			z.nodes[name] = n
		}
		if has {
			n.below++
			continue
		}
		if n.below--; n.below == 0 && len(n.slots) == 0 {
			delete(z.nodes, name)
		}
	}
}

// addZone adds or replaces a zone. Names that were in a zone further up move into a new one; names
// of a replaced zone stay.
func (d *data) addZone(z *zoneData) {
	if old := d.zones[z.name]; old != nil {
		z.serial, z.nodes, z.cuts = old.serial, old.nodes, old.cuts
		d.zones[z.name] = z
		return
	}
	parent := d.zoneOf(z.name)
	d.zones[z.name] = z
	if parent == nil || parent.nodes[z.name] == nil {
		return
	}
	moved := map[string]*node{}
	for name, n := range parent.nodes {
		if dns.IsSubDomain(z.name, name) && len(n.slots) > 0 {
			moved[name] = n
		}
	}
	for name := range maps.Clone(moved) {
		for _, s := range append([]slot(nil), moved[name].slots...) {
			for _, p := range []*parsed{s.configured, s.learned} {
				if p != nil {
					parent.put(&parsed{name: name, qtype: s.qtype, learned: p.learned})
					z.put(p)
				}
			}
		}
	}
}
