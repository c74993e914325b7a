package dnssrv

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// data is everything the server answers with authority. Its owner does the locking.
type data struct {
	zones map[string]*zoneData
	nodes map[string]*node
}

// zoneData is a zone with what the server makes up for it.
type zoneData struct {
	name   string
	ttl    uint32
	serial uint32
	soa    *dns.SOA
	ns     []dns.RR // served at the apex unless NS records are set there
}

// A node is a name that has records, or names with records below it (an empty non-terminal, RFC 4592 section 2.2.2).
type node struct {
	slots map[uint16]*slot
	below int // how many names with records are strictly below this one, within the zone
}

// A slot is one type at one name.
type slot struct{ configured, learned *parsed }

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

// get returns the RRset of a type at a name, nil when there is none.
func (n *node) get(qtype uint16) *parsed {
	if n == nil {
		return nil
	}
	return n.slots[qtype].served()
}

func newData() data { return data{zones: map[string]*zoneData{}, nodes: map[string]*node{}} }

// zoneOf returns the zone that holds the canonical name, nil when there is none.
func (d *data) zoneOf(name string) *zoneData {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if z := d.zones[name[off:]]; z != nil {
			return z
		}
	}
	return nil
}

// newZone checks a zone and makes its apex records.
func newZone(z Zone, serial uint32) (*zoneData, error) {
	name, err := canonical(z.Name)
	if err != nil {
		return nil, err
	}
	zd := &zoneData{name: name, ttl: z.TTL, serial: serial}
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
	zd.soa = &dns.SOA{
		Hdr: header(name, dns.TypeSOA, zd.ttl), Ns: zd.ns[0].(*dns.NS).Ns, Mbox: mailbox,
		Refresh: 600, Retry: 1800, Expire: 604800, Minttl: zd.ttl,
	}
	return zd, nil
}

// mailboxName turns user@example.com into the domain name form of RFC 1035 section 8, dots of the user part escaped.
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

// put stores or, when it has no records, removes an RRset of the zone z.
func (d *data) put(z *zoneData, p *parsed) {
	n := d.nodes[p.name]
	had := n != nil && len(n.slots) > 0
	if n == nil {
		if len(p.records) == 0 {
			return
		}
		n = &node{}
		d.nodes[p.name] = n
	}
	if n.slots == nil {
		n.slots = map[uint16]*slot{}
	}
	n.set(p)
	if has := len(n.slots) > 0; has != had {
		d.count(z, p.name, has)
	}
}

func (n *node) set(p *parsed) {
	s := n.slots[p.qtype]
	if s == nil {
		s = &slot{}
		n.slots[p.qtype] = s
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
		delete(n.slots, p.qtype)
	}
}

// count tells the names above, up to the apex, that name now has records or no longer has any, and drops names that are
// left without reason to exist.
func (d *data) count(z *zoneData, name string, has bool) {
	if n := d.nodes[name]; !has && n.below == 0 {
		delete(d.nodes, name)
	}
	for name != z.name {
		off, end := dns.NextLabel(name, 0)
		if end {
			return
		}
		name = name[off:]
		n := d.nodes[name]
		if n == nil {
			n = &node{}
			d.nodes[name] = n
		}
		if has {
			n.below++
			continue
		}
		if n.below--; n.below == 0 && len(n.slots) == 0 {
			delete(d.nodes, name)
		}
	}
}

// removeZone drops a zone and every name in it that is not in a zone further down.
func (d *data) removeZone(name string) {
	z := d.zones[name]
	if z == nil {
		return
	}
	for owner := range d.nodes {
		if d.zoneOf(owner) == z {
			delete(d.nodes, owner)
		}
	}
	delete(d.zones, name)
}
