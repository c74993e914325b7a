package siteexport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// hostName is a name of a machine, a device, or a reserved address, with one address.
type hostName struct {
	name string // full, without the last dot
	addr netip.Addr
	mac  string
}

// hostNames returns the names of machines, devices and reserved addresses, by the rules of racks.
func (p *page) hostNames() (out []hostName) {
	for i := range p.doc.Machines {
		m := &p.doc.Machines[i]
		out = append(out, p.nodeNames(m.Hostname, m.Domain, m.Interfaces, &m.Hostname, &m.Domain)...)
	}
	for i := range p.doc.Devices {
		d := &p.doc.Devices[i]
		out = append(out, p.nodeNames(d.Hostname, d.Domain, d.Interfaces, &d.Hostname, &d.Domain)...)
	}
	for i := range p.doc.Addresses {
		x := &p.doc.Addresses[i]
		a, err := netip.ParseAddr(x.IP)
		if err != nil || x.Hostname == "" {
			p.rest("it has no name", &x.IP)
			continue
		}
		p.taken("the address of its name", &x.IP, &x.Hostname)
		out = append(out, hostName{fqdn(x.Hostname, p.domainOf("")), a, ""})
	}
	return out
}

// namesOf decides on the domains of a kind that has names of hosts alone.
func (p *page) namesOf() {
	for i := range p.doc.Domains {
		d := &p.doc.Domains[i]
		if d.Default {
			p.changed("part of the names of its hosts", &d.Name, &d.Default)
		}
	}
}

// nodeNames names the first interface that has addresses of a family after the host, and others by
// their own name before it.
func (p *page) nodeNames(hostname, domain string, interfaces []sitedoc.Interface, refs ...any) (out []hostName) {
	full := fqdn(strings.ToLower(hostname), p.domainOf(domain))
	named := map[bool]bool{}
	for _, x := range byPreference(interfaces) {
		here := map[bool]bool{}
		for n := range x.Links {
			l := &x.Links[n]
			a, err := netip.ParseAddr(l.IP)
			if err != nil {
				p.left("the address is not known before the interface asks for one", &l.Mode, &l.Subnet)
				continue
			}
			name := full
			if named[a.Is4()] {
				name = ifaceLabel(x.Name) + "." + full
				p.taken("part of the name of its addresses", &x.Name)
			}
			here[a.Is4()] = true
			out = append(out, hostName{name, a, x.MAC})
			p.taken("an address of the name", &l.IP)
			p.left("follows from the address", &l.Mode, &l.Subnet)
		}
		named[true], named[false] = named[true] || here[true], named[false] || here[false]
	}
	if len(out) > 0 {
		p.taken("its name", refs...)
	} else {
		p.rest("it has no address", refs...)
	}
	return out
}

// byPreference are interfaces with the physical ones first, by which a node is known.
func byPreference(interfaces []sitedoc.Interface) (out []*sitedoc.Interface) {
	for i := range interfaces {
		out = append(out, &interfaces[i])
	}
	made := func(x *sitedoc.Interface) int {
		if x.Type == "" || x.Type == ipam.Physical.String() {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(x, y *sitedoc.Interface) int { return made(x) - made(y) })
	return out
}

// ifaceLabel makes a DNS label of an interface's name.
func ifaceLabel(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
}

// record is a DNS record with its full name.
type record struct {
	name, domain, kind, data string
	ttl                      int
	doc                      *sitedoc.Record
	rr                       dns.RR
}

func (p *page) records() (out []record) {
	for i := range p.doc.Records {
		r := &p.doc.Records[i]
		domain := p.domainOf(r.Domain)
		x := record{name: strings.ToLower(inventory.AbsoluteName(r.Name, domain)), domain: domain, kind: strings.ToUpper(r.Type), ttl: r.TTL, doc: r}
		// Names in data are complete, with or without the last dot, which zone files need.
		data := inventory.QualifiedData(inventory.DNSRecord{Type: x.kind, Data: r.Data}, domain)
		rr, err := dns.NewRR(x.name + ". 60 IN " + x.kind + " " + data)
		if err != nil || rr == nil {
			p.left("is not valid data of its type; correct it", &r.Domain, &r.Name, &r.Type, &r.Data, &r.TTL)
			continue
		}
		x.rr, x.data = rr, strings.TrimPrefix(rr.String(), rr.Header().String())
		out = append(out, x)
	}
	return out
}

// addrRecord returns the address of an A or AAAA record; false = it is none.
func (r record) addrRecord() (netip.Addr, bool) {
	if r.kind != "A" && r.kind != "AAAA" {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(r.data)
	return a, err == nil
}

// reverseZones returns the names of the reverse zones that a prefix is in, or consists of: at whole
// bytes of IPv4, which servers can have without a delegation as of RFC 2317, and at whole digits of
// IPv6.
func reverseZones(p netip.Prefix) (out []string) {
	raw := p.Addr().AsSlice()
	if p.Addr().Is6() {
		digits := p.Bits() / 4
		var labels []string
		for i := range digits {
			labels = append(labels, fmt.Sprintf("%x", raw[i/2]>>(4*(1-i%2))&15))
		}
		slices.Reverse(labels)
		return []string{strings.Join(append(labels, "ip6.arpa"), ".")}
	}
	size := min(3, (p.Bits()+7)/8) // bytes of the zone's name
	if size == 0 {
		return nil
	}
	for n := range 1 << max(0, 8*size-p.Bits()) {
		var labels []string
		for i := range size {
			b := int(raw[i])
			if i == size-1 {
				b += n
			}
			labels = append(labels, fmt.Sprint(b))
		}
		slices.Reverse(labels)
		out = append(out, strings.Join(append(labels, "in-addr.arpa"), "."))
	}
	return out
}

// reverseName is the name of an address in its reverse zone, without the last dot.
func reverseName(a netip.Addr) string {
	raw := a.AsSlice()
	var labels []string
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			labels = append(labels, fmt.Sprint(raw[i]))
		} else {
			labels = append(labels, fmt.Sprintf("%x", raw[i]&15), fmt.Sprintf("%x", raw[i]>>4))
		}
	}
	if a.Is4() {
		return strings.Join(append(labels, "in-addr.arpa"), ".")
	}
	return strings.Join(append(labels, "ip6.arpa"), ".")
}
