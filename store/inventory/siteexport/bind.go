package siteexport

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory/setting"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// bindZones is a configuration of BIND.
type bindZones struct {
	text // named.conf
	*page
	ttl     string
	servers []string // names of the servers of all zones
	zones   map[string]*text
	order   []string
}

func writeBind(p *page) {
	b := bindZones{page: p, zones: map[string]*text{}}
	b.ttl = cmp.Or(p.setting(setting.DNSTTL, siteimport.Taken, "$TTL of the zones"), "30")
	b.servers = []string{cmp.Or(strings.TrimSuffix(p.o.NameServer, "."), "localhost")}
	for _, name := range listOf(p.setting(setting.SecondaryNS, siteimport.Taken, "NS records of the zones")) {
		b.servers = append(b.servers, strings.TrimSuffix(name, "."))
	}
	b.line("# %s", written)
	b.line("# Zone files are named relative to the directory of BIND.")
	b.options()
	for i := range p.doc.Domains {
		b.domain(&p.doc.Domains[i])
	}
	reverse := b.reverse()
	names := p.hostNames()
	records := p.records()
	for _, n := range names {
		b.put(n.name, map[bool]string{true: "A", false: "AAAA"}[n.addr.Is4()], n.addr.String(), 0)
	}
	for _, r := range records {
		if b.put(r.name, r.kind, r.data, r.ttl) {
			p.taken("a record", &r.doc.Domain, &r.doc.Name, &r.doc.Type, &r.doc.Data, &r.doc.TTL)
			continue
		}
		p.left("its domain has no zone here", &r.doc.Domain, &r.doc.Name, &r.doc.Type, &r.doc.Data, &r.doc.TTL)
	}
	for _, r := range records {
		if a, ok := r.addrRecord(); ok && !strings.HasPrefix(r.name, "*") {
			names = append(names, hostName{r.name, a, ""})
		}
	}
	for _, server := range b.servers { // BIND refuses such a zone
		if zone := zoneOf(b.order, server); zone != "" && !slices.ContainsFunc(names, func(n hostName) bool { return n.name == server }) {
			p.err = fmt.Errorf("name server %s has no address in zone %s; add a record, or name another server", server, zone)
		}
	}
	pointed := map[netip.Addr]bool{}
	for _, n := range names { // an address has one name; that of a machine is first
		if zone := zoneOf(reverse, reverseName(n.addr)); zone != "" && !pointed[n.addr] {
			b.zones[zone].line("%s. PTR %s.", reverseName(n.addr), n.name)
			pointed[n.addr] = true
		}
	}
	if len(b.order) == 0 && len(p.doc.Domains) == 0 {
		return
	}
	p.add("named.conf", b.String())
	for _, zone := range b.order {
		p.add(zoneFile(zone), b.zones[zone].String())
	}
}

func zoneFile(zone string) string { return "db." + strings.ReplaceAll(zone, "/", "-") }

// options writes the settings of the whole server.
func (b *bindZones) options() {
	forward := addresses(listOf(b.setting(setting.UpstreamDNS, siteimport.Taken, "forwarders")))
	trusted := listOf(b.setting(setting.DNSTrustedACL, siteimport.Taken, "allow-recursion, with the networks of the server"))
	validate := b.setting(setting.DNSSEC, siteimport.Taken, "dnssec-validation")
	b.open("options")
	if len(forward) > 0 {
		b.line("forwarders { %s; };", strings.Join(forward, "; "))
	}
	if len(trusted) > 0 {
		b.line("allow-recursion { localhost; localnets; %s; };", strings.Join(trusted, "; "))
	}
	if validate != "" {
		b.line("dnssec-validation %s;", validate)
	}
	b.depth--
	b.line("};")
}

func addresses(texts []string) (out []string) {
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			out = append(out, a.String())
		}
	}
	return out
}

// domain writes the zone of a domain, or the servers of one that the site does not serve.
func (b *bindZones) domain(d *sitedoc.Domain) {
	b.changed("names of its machines are written in full", &d.Default)
	if d.External {
		if len(d.Forward) == 0 {
			b.left("BIND finds the servers of the domain by itself", &d.Name, &d.External)
			return
		}
		b.open("zone %s", strconv.Quote(d.Name))
		b.line("type forward;")
		b.line("forward only;")
		b.line("forwarders { %s; };", strings.Join(withPorts(d.Forward), "; "))
		b.depth--
		b.line("};")
		b.taken("a zone of type forward", &d.Name, &d.External, &d.Forward)
		b.left("the zone is of other servers", &d.TTL, &d.DNSSEC, &d.AllowTransfer, &d.Notify)
		return
	}
	b.left("the zone is of this server", &d.Forward)
	b.zone(d.Name, cmp.Or(strconv.Itoa(d.TTL), "0"), func() {
		b.taken("a zone", &d.Name)
		b.taken("$TTL of its zone", &d.TTL)
		var transfer []string
		why := "allow-transfer"
		for _, to := range d.AllowTransfer {
			if _, err := netip.ParsePrefix(to); err == nil {
				transfer = append(transfer, to)
			} else if _, err := netip.ParseAddr(to); err == nil {
				transfer = append(transfer, to)
			} else {
				why = "allow-transfer without TSIG keys, whose secrets are not in a document; add them"
			}
		}
		if len(transfer) > 0 {
			b.line("allow-transfer { %s; };", strings.Join(transfer, "; "))
			b.taken(why, &d.AllowTransfer)
		} else {
			b.left("the secrets of TSIG keys are not in a document; add keys and allow-transfer", &d.AllowTransfer)
		}
		if len(d.Notify) > 0 {
			b.line("also-notify { %s; };", strings.Join(withPorts(d.Notify), "; "))
			b.taken("also-notify", &d.Notify)
		}
		if d.DNSSEC != nil && *d.DNSSEC {
			b.line("dnssec-policy default;")
			b.line("inline-signing yes;")
			b.taken("signed with keys of its own: replace the DS records at the parent", &d.DNSSEC)
		} else {
			b.left("zones are not signed without a policy", &d.DNSSEC)
		}
	})
}

// withPorts writes addresses with ports as BIND does.
func withPorts(list []string) (out []string) {
	for _, text := range list {
		if ap, err := netip.ParseAddrPort(text); err == nil {
			out = append(out, fmt.Sprintf("%s port %d", ap.Addr(), ap.Port()))
		}
	}
	return out
}

// zone declares a zone and begins its file.
func (b *bindZones) zone(name, ttl string, more func()) {
	if b.zones[name] != nil {
		return
	}
	b.open("zone %s", strconv.Quote(name))
	b.line("type primary;")
	b.line("file %s;", strconv.Quote(zoneFile(name)))
	if more != nil {
		more()
	}
	b.depth--
	b.line("};")
	if ttl == "0" {
		ttl = b.ttl
	}
	z := &text{}
	z.line("; %s", written)
	z.line("$ORIGIN %s.", name)
	z.line("$TTL %s", ttl)
	z.line("@ SOA %s. hostmaster.%s. %d 3600 600 1209600 %s", b.servers[0], name, max(1, b.o.Serial), ttl)
	for _, server := range b.servers {
		z.line("@ NS %s.", server)
	}
	b.zones[name], b.order = z, append(b.order, name)
}

// put adds a record to the zone with the longest name, and reports whether there is one.
func (b *bindZones) put(name, kind, data string, ttl int) bool {
	var forward []string
	for _, zone := range b.order {
		if !strings.HasSuffix(zone, ".arpa") {
			forward = append(forward, zone)
		}
	}
	zone := zoneOf(forward, name)
	if zone == "" {
		return false
	}
	if ttl > 0 {
		kind = fmt.Sprintf("%d %s", ttl, kind)
	}
	b.zones[zone].line("%s. %s %s", name, kind, data)
	return true
}

// zoneOf returns the zone with the longest name that a name is in; "" = none.
func zoneOf(zones []string, name string) (best string) {
	for _, zone := range zones {
		if (name == zone || strings.HasSuffix(name, "."+zone)) && len(zone) > len(best) {
			best = zone
		}
	}
	return best
}

// reverse makes the reverse zones of the subnets and returns their names.
func (b *bindZones) reverse() (out []string) {
	for i := range b.doc.Subnets {
		s := &b.doc.Subnets[i]
		prefix, err := netip.ParsePrefix(s.CIDR)
		switch {
		case err != nil:
			b.left("is not a network; correct it", &s.CIDR, &s.RDNS)
			continue
		case s.RDNS == ipam.RDNSDisabled.String():
			b.left("the subnet has no reverse zone", &s.CIDR)
			b.changed("no reverse zone is written", &s.RDNS)
			continue
		}
		zones := reverseZones(prefix)
		if b.changed("a reverse zone", &s.RDNS); prefix.Addr().Is4() && prefix.Bits() > 24 {
			b.changed("part of the reverse zone of the /24 around it; delegate as of RFC 2317 by hand", &s.RDNS)
		}
		b.taken("reverse zone "+zones[0], &s.CIDR)
		for _, zone := range zones {
			b.zone(zone, "0", nil)
			if !slices.Contains(out, zone) {
				out = append(out, zone)
			}
		}
	}
	return out
}
