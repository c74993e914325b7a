package siteexport

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/store/inventory/setting"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// dnsmasqFile is dnsmasq.conf.
type dnsmasqFile struct {
	text
	*page
	tags  map[string]string // by class
	lease time.Duration     // of the site; 0 = what racks give
}

func writeDnsmasq(p *page) {
	f := dnsmasqFile{page: p, tags: map[string]string{}}
	f.line("# %s", written)
	s := p.dhcp()
	if p.boots(); len(s.networks) > 0 {
		f.dhcp(s)
	}
	f.dns()
	if len(s.networks) > 0 || len(p.doc.Domains) > 0 {
		p.add("dnsmasq.conf", f.String())
	}
}

func (f *dnsmasqFile) dhcp(s *dhcpSite) {
	f.line("dhcp-authoritative")
	f.lease = s.lease
	for _, o := range s.options4 {
		f.line("%s", dnsmasqOption(o, true))
	}
	for _, o := range s.options6 {
		f.line("%s", dnsmasqOption(o, false))
	}
	for i, c := range s.classes {
		f.class(c, i)
	}
	f.boot()
	for _, n := range s.networks {
		for _, sub := range n.subnets {
			f.subnet(sub)
		}
	}
	for i, h := range s.hosts {
		f.host(h, i)
	}
}

// class writes a line for each thing that a class compares. dnsmasq sets one tag for each, so that
// a class that compares several is the tag that follows from these.
func (f *dnsmasqFile) class(c *class, n int) {
	tag := hostLabel(c.doc.Name)
	if tag != c.doc.Name {
		tag = fmt.Sprintf("class%d", n+1)
		f.changed("tag "+tag, &c.doc.Name)
	}
	f.tags[c.doc.Name] = tag
	var lines [][]string // alternatives of each thing
	if c.VendorClass != "" {
		lines = append(lines, []string{"dhcp-vendorclass=set:%s," + quoted(c.VendorClass)})
		f.changed("a part of what clients send, not its beginning alone", &c.doc.VendorClass)
	}
	if c.UserClass != "" {
		lines = append(lines, []string{"dhcp-userclass=set:%s," + quoted(c.UserClass)})
		f.changed("a part of what clients send", &c.doc.UserClass)
	}
	if len(c.MACPrefix) > 0 {
		lines = append(lines, []string{"dhcp-mac=set:%s," + c.MACPrefix.String() + strings.Repeat(":*", 6-len(c.MACPrefix))})
	}
	if len(c.CircuitID) > 0 {
		id := string(c.CircuitID)
		if dhcpdText(c.CircuitID)[0] != '"' || strings.ContainsAny(id, ":, ") {
			id = colons(c.CircuitID)
		}
		lines = append(lines, []string{"dhcp-circuitid=set:%s," + id})
	}
	if len(c.Arch) > 0 {
		var any []string
		for _, a := range c.Arch {
			any = append(any, fmt.Sprintf("dhcp-match=set:%%s,option:client-arch,%d", a))
		}
		lines = append(lines, any)
	}
	f.comment(c.doc.Description)
	f.changed("a comment", &c.doc.Description)
	var parts []string
	for i, any := range lines {
		part := tag
		if len(lines) > 1 {
			part = fmt.Sprintf("%s-%d", tag, i+1)
		}
		parts = append(parts, "tag:"+part)
		for _, line := range any {
			f.line(line, part)
		}
	}
	if len(lines) > 1 {
		f.line("tag-if=set:%s,%s", tag, strings.Join(parts, ","))
	}
	if c.Ignore {
		f.line("dhcp-ignore=tag:%s", tag)
	}
	for _, o := range c.Options {
		f.line("%s", dnsmasqOption(o, true, tag))
	}
	for _, o := range c.Options6 {
		f.line("%s", dnsmasqOption(o, false, tag))
	}
}

// quoted writes text that may have commas.
func quoted(words string) string {
	if strings.ContainsAny(words, ",\" #%") {
		return strings.ReplaceAll(strconv.Quote(words), "%", "%%")
	}
	return words
}

// boot writes boot files by architecture: the last line whose tags a client has counts least, and
// iPXE and HTTP have tags of their own.
func (f *dnsmasqFile) boot() {
	files := f.bootFiles(true)
	if len(files) == 0 {
		return
	}
	f.line("dhcp-userclass=set:ipxe,iPXE")
	f.line("dhcp-vendorclass=set:httpclient,HTTPClient")
	f.line("dhcp-boot=tag:ipxe,%s", f.scriptURL())
	f.line("dhcp-option-force=tag:httpclient,60,HTTPClient")
	server := ",," + f.o.BootServer
	none := "tag:!ipxe"
	for _, b := range files {
		var tags []string
		for _, a := range b.archs {
			tag := fmt.Sprintf("arch%d", a)
			tags = append(tags, tag)
			if !strings.Contains(f.String(), "set:"+tag+",") {
				f.line("dhcp-match=set:%s,option:client-arch,%d", tag, a)
				none += ",tag:!" + tag
			}
		}
		for _, tag := range tags {
			if b.http {
				f.line("dhcp-boot=tag:httpclient,tag:%s,tag:!ipxe,%s", tag, b.file)
			} else {
				f.line("dhcp-boot=tag:!httpclient,tag:%s,tag:!ipxe,%s%s", tag, b.file, server)
			}
		}
		if len(b.archs) == 0 {
			f.line("dhcp-boot=%s,%s%s", none, b.file, server)
		}
	}
}

func (f *dnsmasqFile) subnet(s *subnet) {
	d := s.doc
	f.changed("dnsmasq takes the subnets of an interface as one network", &d.VLAN)
	f.left("the prefix is its name", &d.Name)
	if d.Name != d.CIDR {
		f.comment(d.Name)
		f.changed("a comment", &d.Name)
	}
	f.comment(d.Description)
	f.changed("a comment", &d.Description)
	f.left("dnsmasq delegates no prefixes", &d.Delegated)
	f.left("dnsmasq knows the subnet of a relay by its address alone: give the relay an address of the subnet", &d.Relays)
	is4 := s.prefix.Addr().Is4()
	size := strconv.Itoa(s.prefix.Bits())
	switch {
	case is4:
		size = net.IP(net.CIDRMask(s.prefix.Bits(), 32)).String()
	case s.prefix.Bits() < 64:
		f.left("dnsmasq serves prefixes of IPv6 from /64 on", &d.CIDR, &d.VLAN, &d.DNSServers)
		return
	}
	tag := strings.Trim(strings.NewReplacer(".", "-", ":", "-", "/", "-").Replace("net-"+d.CIDR), "-")
	for _, x := range s.pools {
		f.comment(x.comment)
		only := ""
		if x.class != "" {
			only = "tag:" + f.tags[x.class] + ","
		}
		set := tag
		if len(x.options) > 0 {
			set = "range-" + strings.NewReplacer(".", "-", ":", "-").Replace(x.From().String())
		}
		// A client has the tags of one range, so that its options and those of the subnet are of the
		// same tag.
		f.line("dhcp-range=%sset:%s,%s,%s,%s,%d", only, set, x.From(), x.To(), size, leaseSeconds(is4, s.lease, f.lease))
		if set == tag {
			continue
		}
		for _, o := range overlay(s.options, x.options) {
			f.line("%s", dnsmasqOption(o, is4, set))
		}
	}
	if len(s.pools) == 0 {
		f.line("dhcp-range=set:%s,%s,static,%s,%d", tag, s.prefix.Addr(), size, leaseSeconds(is4, s.lease, f.lease))
	}
	for _, o := range s.options {
		f.line("%s", dnsmasqOption(o, is4, tag))
	}
}

// host writes a line for each address of IPv4, since a line has one.
func (f *dnsmasqFile) host(h *host, n int) {
	set := ""
	if len(h.options4)+len(h.options6) > 0 {
		set = fmt.Sprintf(",set:host%d", n+1)
	}
	f.comment(h.comment)
	name := strings.Trim(strings.NewReplacer(".", "-", "_", "-").Replace(h.name), "-")
	wrote := false
	for _, a := range h.addrs {
		text := a.String()
		if a.Is6() {
			text = "[" + text + "]"
		}
		f.line("dhcp-host=%s%s,%s,%s", h.mac, set, text, name)
		wrote = true
	}
	if !wrote {
		f.line("dhcp-host=%s%s,%s", h.mac, set, name)
	}
	for _, o := range h.options4 {
		f.line("%s", dnsmasqOption(o, true, fmt.Sprintf("host%d", n+1)))
	}
	for _, o := range h.options6 {
		f.line("%s", dnsmasqOption(o, false, fmt.Sprintf("host%d", n+1)))
	}
}

// dns writes names and the servers of other names.
func (f *dnsmasqFile) dns() {
	upstream := addresses(listOf(f.setting(setting.UpstreamDNS, siteimport.Taken, "server")))
	if len(upstream) > 0 {
		f.line("no-resolv")
	}
	for _, a := range upstream {
		f.line("server=%s", a)
	}
	if ttl := f.setting(setting.DNSTTL, siteimport.Taken, "local-ttl"); ttl != "" {
		f.line("local-ttl=%s", ttl)
	}
	for i := range f.doc.Domains {
		f.domain(&f.doc.Domains[i])
	}
	for _, n := range f.hostNames() {
		f.line("host-record=%s,%s", n.name, n.addr)
	}
	for _, r := range f.records() {
		f.taken("a record", &r.doc.Domain, &r.doc.Name, &r.doc.Type, &r.doc.Data)
		f.changed("host records and aliases alone have a TTL", &r.doc.TTL)
		f.record(r)
	}
}

func (f *dnsmasqFile) domain(d *sitedoc.Domain) {
	f.left("dnsmasq transfers and signs no zones, and takes no updates", &d.AllowTransfer, &d.Notify, &d.AllowUpdate, &d.DNSSEC)
	switch {
	case d.External:
		var wrote bool
		for _, to := range d.Forward {
			if ap, err := netip.ParseAddrPort(to); err == nil {
				f.line("server=/%s/%s#%d", d.Name, ap.Addr(), ap.Port())
				wrote = true
			}
		}
		if wrote {
			f.taken("server of the domain", &d.Name, &d.External, &d.Forward)
		} else {
			f.left("dnsmasq finds the servers of the domain by itself", &d.Name, &d.External)
		}
	default:
		if f.left("the domain is of this server", &d.Forward); d.Default {
			f.line("domain=%s", d.Name)
		}
		f.line("local=/%s/", d.Name)
		f.taken("names in it are not asked for elsewhere", &d.Name, &d.Default)
	}
}

// record writes a record. Types without a line of their own are written in bytes.
func (f *dnsmasqFile) record(r record) {
	ttl := ""
	if r.ttl > 0 {
		ttl = fmt.Sprintf(",%d", r.ttl)
	}
	switch rr := r.rr.(type) {
	case *dns.A, *dns.AAAA:
		if a, ok := r.addrRecord(); ok {
			if name, any := strings.CutPrefix(r.name, "*."); any {
				f.line("address=/%s/%s", name, a)
				f.changed("the name without * has the address as well", &r.doc.Name)
				return
			}
			f.line("host-record=%s,%s%s", r.name, a, ttl)
			return
		}
	case *dns.CNAME:
		f.line("cname=%s,%s%s", r.name, strings.TrimSuffix(rr.Target, "."), ttl)
		return
	case *dns.MX:
		f.line("mx-host=%s,%s,%d", r.name, strings.TrimSuffix(rr.Mx, "."), rr.Preference)
		return
	case *dns.SRV:
		f.line("srv-host=%s,%s,%d,%d,%d", r.name, strings.TrimSuffix(rr.Target, "."), rr.Port, rr.Priority, rr.Weight)
		return
	case *dns.PTR:
		f.line("ptr-record=%s,%s", r.name, strings.TrimSuffix(rr.Ptr, "."))
		return
	}
	raw := make([]byte, dns.Len(r.rr)+16)
	head := dns.Len(&dns.ANY{Hdr: *r.rr.Header()})
	n, err := dns.PackRR(r.rr, raw, 0, nil, false)
	if err != nil || n < head {
		f.left("its data cannot be written in bytes", &r.doc.Domain, &r.doc.Name, &r.doc.Type, &r.doc.Data)
		return
	}
	f.line("dns-rr=%s,%d,%s", r.name, r.rr.Header().Rrtype, hex.EncodeToString(raw[head:n]))
}
