package siteimport

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// names holds the DNS names of a configuration.
type names struct {
	domains map[string]bool
	records []*recordDecl
	reverse []ptrDecl
}

// recordDecl is a record by its absolute name without the last dot.
type recordDecl struct {
	name, kind, data string
	ttl              int
	item             int
}

// ptrDecl is a PTR record, which a site makes itself from the addresses of names.
type ptrDecl struct {
	addr   netip.Addr
	target string
	item   int
}

// addDomain declares a domain, and returns why it cannot be one.
func (b *builder) addDomain(name string) (canonical, why string) {
	canonical, err := inventory.DomainName(name)
	if err != nil {
		return "", strings.TrimPrefix(err.Error(), "inventory: ")
	}
	if !b.names.domains[canonical] {
		b.names.domains[canonical] = true
		b.out.Document.Domains = append(b.out.Document.Domains, sitedoc.Domain{Name: canonical})
	}
	return canonical, ""
}

// recordTypes are the types of records that a site has.
var recordTypes = []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "SSHFP", "TXT", "CAA", "TLSA", "HTTPS", "SVCB"}

// owner matches the name of a record in its domain: underscores (RFC 8552), and "*" as the first
// label.
var owner = regexp.MustCompile(`^(@|\*|(\*\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*)$`)

// addRecord declares a record by its absolute name. Which domain has it is known at the end.
func (b *builder) addRecord(p place, name, kind, data string, ttl int) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	kind = strings.ToUpper(kind)
	if !slices.Contains(recordTypes, kind) {
		b.put(p, LeftOut, "records of type %s have no counterpart", clip(kind))
		return
	}
	if _, err := dns.NewRR(name + ". 60 IN " + kind + " " + data); err != nil {
		b.put(p, LeftOut, "is not valid data of %s; correct it", kind)
		return
	}
	b.names.records = append(b.names.records, &recordDecl{name: name, kind: kind, data: data, ttl: ttl, item: b.put(p, Taken, "")})
}

// addAddress declares the address of a name.
func (b *builder) addAddress(p place, name string, addr netip.Addr, ttl int) {
	kind := "A"
	if addr.Is6() {
		kind = "AAAA"
	}
	b.addRecord(p, name, kind, addr.String(), ttl)
}

// addPTR declares the name of an address.
func (b *builder) addPTR(p place, addr netip.Addr, target string) {
	b.names.reverse = append(b.names.reverse, ptrDecl{addr, strings.ToLower(strings.TrimSuffix(target, ".")), b.put(p, Taken, "")})
}

// domainOf returns the declared domain that has a name, the longest one, and the name in it.
func (b *builder) domainOf(name string) (domain, host string, ok bool) {
	if b.names.domains[name] {
		return name, "@", true
	}
	for at := strings.IndexByte(name, '.'); at >= 0; {
		if domain = name[at+1:]; b.names.domains[domain] {
			return domain, name[:at], true
		}
		next := strings.IndexByte(domain, '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return "", "", false
}

// recordSet holds the common facts of the records of a name.
type recordSet struct {
	cname bool
	any   bool
	ttls  map[string]int
	data  map[string]bool
}

// finishNames makes the records. A name with a CNAME record has no other (RFC 1034 section 3.6.2),
// and the records of one name and type have one TTL (RFC 2181 section 5.2).
func (b *builder) finishNames() {
	sets := map[string]*recordSet{}
	addrs := map[netip.Addr][]string{}
	for _, r := range b.names.records {
		domain, host, ok := b.domainOf(r.name)
		if !ok {
			if domain, host, ok = b.implied(r.name); !ok {
				b.settle(r.item, LeftOut, "the name is in no domain; write it with its domain")
				continue
			}
		}
		set := sets[r.name]
		if set == nil {
			set = &recordSet{ttls: map[string]int{}, data: map[string]bool{}}
			sets[r.name] = set
		}
		ttl, known := set.ttls[r.kind]
		switch {
		case !owner.MatchString(host) || len(r.name) > 253:
			b.settle(r.item, LeftOut, "the name has other characters than a name of a host; rename it")
			continue
		case r.kind == "CNAME" && host == "@":
			b.settle(r.item, LeftOut, "a domain itself cannot be a CNAME; use A and AAAA")
			continue
		// The document would name servers that the site does not run.
		case host == "@" && r.kind == "NS":
			b.settle(r.item, LeftOut, "racks and regions name themselves as servers of the domain")
			continue
		case set.data[r.kind+" "+r.data]:
			b.settle(r.item, Taken, "the record is there already")
			continue
		case set.cname || r.kind == "CNAME" && set.any:
			b.settle(r.item, LeftOut, "a name with a CNAME has no other record; remove one")
			continue
		case known && ttl != r.ttl:
			b.settle(r.item, Changed, "record of domain %s with the TTL of the other %s records of the name", domain, r.kind)
			r.ttl = ttl
		default:
			b.settle(r.item, Taken, "record of domain %s", domain)
		}
		set.cname, set.any, set.ttls[r.kind], set.data[r.kind+" "+r.data] = r.kind == "CNAME", true, r.ttl, true
		if a, err := netip.ParseAddr(r.data); err == nil {
			addrs[a] = append(addrs[a], r.name)
		}
		b.out.Document.Records = append(b.out.Document.Records, sitedoc.Record{Domain: domain, Name: host, Type: r.kind, Data: r.data, TTL: r.ttl})
	}
	for _, p := range b.names.reverse {
		// A second source of reverse names would contradict the first one after the next change.
		if slices.Contains(addrs[p.addr], p.target) {
			b.settle(p.item, Taken, "follows from the address of %s", clip(p.target))
		} else {
			b.settle(p.item, LeftOut, "%s does not have the address %s; add that record, from which this one follows", clip(p.target), p.addr)
		}
	}
}

// implied declares the domain of a name of which the configuration has none: all but its first
// label. Names of one label get none: the default domain of the site may be any.
func (b *builder) implied(name string) (domain, host string, ok bool) {
	host, rest, _ := strings.Cut(name, ".")
	domain, why := b.addDomain(rest)
	return domain, host, why == "" && cmp.Or(rest, ".") != "."
}

// reverseAddr returns the address that the name of a PTR record stands for: in in-addr.arpa, also
// of zones that are delegated as RFC 2317 has it, and in ip6.arpa.
func reverseAddr(name string) (addr netip.Addr, ok bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if rest, is6 := strings.CutSuffix(name, ".ip6.arpa"); is6 {
		digits := strings.Split(rest, ".")
		if len(digits) != 32 {
			return addr, false
		}
		var text strings.Builder
		for i := range digits {
			if i > 0 && i%4 == 0 {
				text.WriteByte(':')
			}
			text.WriteString(digits[31-i])
		}
		addr, err := netip.ParseAddr(text.String())
		return addr, err == nil
	}
	rest, is4 := strings.CutSuffix(name, ".in-addr.arpa")
	parts := strings.Split(rest, ".")
	if len(parts) == 5 { // HOST.RANGE.c.b.a
		parts = append(parts[:1], parts[2:]...)
	}
	if !is4 || len(parts) != 4 {
		return addr, false
	}
	slices.Reverse(parts)
	addr, err := netip.ParseAddr(strings.Join(parts, "."))
	return addr, err == nil
}

// addForward declares a domain that another server has, and returns why it cannot be one.
func (b *builder) addForward(name string, to netip.AddrPort) (why string) {
	name, err := inventory.DomainName(name)
	if err != nil {
		return strings.TrimPrefix(err.Error(), "inventory: ")
	}
	domains := b.out.Document.Domains
	if at := slices.IndexFunc(domains, func(d sitedoc.Domain) bool { return d.Name == name }); at >= 0 {
		if !domains[at].External {
			return "the site itself has the domain"
		}
		domains[at].Forward = append(domains[at].Forward, to.String())
		return ""
	}
	b.out.Document.Domains = append(domains, sitedoc.Domain{Name: name, External: true, Forward: []string{to.String()}})
	return ""
}

// addSetting sets a setting of the site.
func (b *builder) addSetting(name, value string) {
	if b.out.Document.Settings == nil {
		b.out.Document.Settings = map[string]string{}
	}
	b.out.Document.Settings[name] = value
}

// domainDoc returns a declared domain; nil = there is none.
func (b *builder) domainDoc(name string) *sitedoc.Domain {
	at := slices.IndexFunc(b.out.Document.Domains, func(d sitedoc.Domain) bool { return d.Name == name })
	if at < 0 {
		return nil
	}
	return &b.out.Document.Domains[at]
}
