package siteimport

import (
	"encoding/hex"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"
)

// rangeModes are the words of dhcp-range after its addresses.
var rangeModes = []string{"static", "proxy", "ra-only", "ra-names", "ra-stateless", "ra-advrouter", "slaac", "off-link"}

// leaseTime matches the length of a lease.
var dnsmasqTime = regexp.MustCompile(`^(\d+[smhdw]?|infinite|deprecated)$`)

// rangeOf translates:
//
//	dhcp-range=[tag:T,][set:T,]FIRST[,LAST|MODE][,NETMASK[,BROADCAST]][,TIME]
//	dhcp-range=[tag:T,][set:T,]FIRST[,LAST][,MODE...][,PREFIX LENGTH][,TIME]
func (d *dnsmasq) rangeOf(x directive) {
	var tags, sets, modes []string
	var addrs []netip.Addr
	bits, guessed, lease := 0, false, ""
	for _, f := range x.fields {
		name, isTag := strings.CutPrefix(f, "tag:")
		set, isSet := strings.CutPrefix(f, "set:")
		a, err := netip.ParseAddr(f)
		n, notNumber := strconv.Atoi(f)
		switch {
		case isTag:
			tags = append(tags, name)
		case isSet:
			sets = append(sets, set)
		case err == nil:
			addrs = append(addrs, a)
		case slices.Contains(rangeModes, f):
			modes = append(modes, f)
		case strings.HasPrefix(f, "constructor:"):
			d.put(x.place, LeftOut, "the prefix of an interface is not known here; write the prefix, or let racks serve those of their interfaces")
			return
		case notNumber == nil && len(addrs) > 0 && addrs[0].Is6() && n <= 128 && bits == 0:
			bits = n
		case dnsmasqTime.MatchString(f):
			lease = f
		case f == "" || len(addrs) == 0: // an old form has the tag alone
			sets = append(sets, f)
		default:
			d.put(x.place, LeftOut, "%q is no part of a range; correct it", clip(f))
			return
		}
	}
	if len(addrs) == 0 {
		d.put(x.place, LeftOut, "has no address; correct it")
		return
	}
	if addrs[0].Is4() {
		bits, guessed = rangeBits(addrs, len(modes) > 0)
	} else if bits == 0 {
		bits = 64
	}
	prefix := netip.PrefixFrom(addrs[0], bits).Masked()
	sub := d.byCIDR[prefix]
	if sub == nil {
		at, why := d.addSubnet(prefix, d.site)
		if why != "" {
			d.put(x.place, LeftOut, "%s", why)
			return
		}
		sub = at.subnet
	}
	pool := d.poolOf(x, sub, addrs, tags, modes, guessed)
	d.ranges = append(d.ranges, dnsmasqRange{sets, sub, pool})
	d.leaseTime(x, sub, lease)
}

// leaseTime takes the length of leases of a range for its subnet.
func (d *dnsmasq) leaseTime(x directive, sub *subnetDecl, text string) {
	if text == "" || text == "deprecated" {
		return
	}
	seconds := text
	if n, err := strconv.ParseInt(strings.TrimRight(text, "smhdw"), 10, 64); err == nil {
		unit := map[byte]int64{'m': 60, 'h': 3600, 'd': 86400, 'w': 604800}[text[len(text)-1]]
		seconds = strconv.FormatInt(max(120, n*max(1, unit)), 10) // dnsmasq gives two minutes at least
	}
	p := x.part(text)
	to := &sub.at.leases[family(sub.prefix.Addr().Is6())].usual
	if to.seconds != 0 && strconv.FormatInt(to.seconds, 10) != seconds {
		d.put(p, LeftOut, "a subnet has one length of leases, and an earlier range has %d s", to.seconds)
		return
	}
	d.addLeaseTime(p, sub.at, to, seconds)
}

// rangeBits returns the length of the prefix of an IPv4 range. The third address is the mask, or
// the second one after a mode; most networks without one are of 24 bits, which is then guessed.
func rangeBits(addrs []netip.Addr, mode bool) (bits int, guessed bool) {
	if len(addrs) > 2 || mode && len(addrs) > 1 {
		if n, ok := maskBits(addrs[len(addrs)-1]); ok {
			return n, false
		}
		if n, ok := maskBits(addrs[len(addrs)-2]); ok { // the broadcast address is last
			return n, false
		}
	}
	return 24, true
}

// poolOf adds the range of a line to its subnet; nil = the line has none.
func (d *dnsmasq) poolOf(x directive, sub *subnetDecl, addrs []netip.Addr, tags, modes []string, guessed bool) *scope {
	what := "subnet " + sub.prefix.String()
	outcome := Taken
	if guessed {
		outcome = Changed
		what += ", whose length is a guess: dnsmasq takes it from the interface, so correct it"
	}
	for _, mode := range modes {
		switch mode {
		case "static":
			d.put(x.place, outcome, "%s without a range: known hosts alone have addresses", what)
			return nil
		case "proxy":
			d.put(x.place, Changed, "%s; set dhcp_mode of its VLAN to proxy", what)
			return nil
		case "ra-only", "ra-stateless", "ra-names", "slaac":
			if len(addrs) < 2 {
				d.put(x.place, outcome, "%s without a range: hosts choose their addresses by router advertisements", what)
				return nil
			}
		}
	}
	if len(addrs) < 2 {
		d.put(x.place, LeftOut, "the range has no end; correct it")
		return nil
	}
	d.put(x.place, outcome, "%s", what)
	at := &scope{parent: sub.at, kind: "pool", subnet: sub}
	at.pool = &poolDecl{at: at}
	if len(tags) == 1 && !strings.HasPrefix(tags[0], "!") && tags[0] != "known" {
		at.pool.permit = d.put(x.part("tag:"+tags[0]), Taken, "the range is for DHCP class %s", tags[0])
		d.builder.pools = append(d.builder.pools, at.pool)
		d.pools = append(d.pools, dnsmasqPool{tags[0], at})
	} else if len(tags) > 0 {
		at.closed = "tag:" + strings.Join(tags, ",tag:")
	}
	d.addRange(x.part(addrs[0].String()+"-"+addrs[1].String()), netipx.IPRangeFrom(addrs[0], addrs[1]), at)
	return at
}

// maskBits returns the length of a network mask.
func maskBits(mask netip.Addr) (int, bool) {
	if !mask.Is4() {
		return 0, false
	}
	raw := mask.As4()
	ones, bits := net.IPMask(raw[:]).Size()
	return ones, bits == 32 && ones > 0
}

var (
	hostMAC      = regexp.MustCompile(`^(\d\d?-)?([\da-fA-F]{1,2}|\*)([:-]([\da-fA-F]{1,2}|\*)){5}$`)
	hostNamePart = regexp.MustCompile(`^[A-Za-z0-9_*]([-A-Za-z0-9_.]*[A-Za-z0-9_])?$`)
)

// dnsmasqHost holds the fields of dhcp-host.
type dnsmasqHost struct {
	macs, sets, tags []string
	addrs            []netip.Addr
	name, id, lease  string
	ignore           bool
	odd              []string // fields that have no counterpart
}

func parseHost(fields []string) (h dnsmasqHost) {
	for _, f := range fields {
		a, err := netip.ParseAddr(strings.Trim(f, "[]"))
		switch {
		case f == "":
		case hostMAC.MatchString(f):
			h.macs = append(h.macs, f)
		case strings.HasPrefix(f, "id:"):
			h.id = f[3:]
		case strings.HasPrefix(f, "set:"):
			h.sets = append(h.sets, f[4:])
		case strings.HasPrefix(f, "net:"): // an old form of set:
			h.sets = append(h.sets, f[4:])
		case strings.HasPrefix(f, "tag:"):
			h.tags = append(h.tags, f[4:])
		case f == "ignore":
			h.ignore = true
		case err == nil:
			h.addrs = append(h.addrs, a)
		case dnsmasqTime.MatchString(f):
			h.lease = f
		case strings.HasPrefix(f, "[") && strings.HasSuffix(f, "]"):
			h.odd = append(h.odd, f)
		case hostNamePart.MatchString(f) && h.name == "":
			h.name = f
		default:
			h.odd = append(h.odd, f)
		}
	}
	return h
}

// host translates dhcp-host. A host has one item, and one for each address and MAC address.
func (d *dnsmasq) host(x directive, fields []string) {
	h := parseHost(fields)
	macs := slices.DeleteFunc(slices.Clone(h.macs), func(m string) bool { return strings.Contains(m, "*") })
	id := identity(token{text: h.id})
	if len(macs) == 0 && len(id) == 7 && id[0] == 1 { // type byte of Ethernet and the MAC address
		macs = []string{net.HardwareAddr(id[1:]).String()}
	} else if len(macs) == 0 && duidMAC(id) != nil {
		macs = []string{duidMAC(id).String()}
	}
	switch {
	case h.ignore:
		d.ignoreHost(x, h)
		return
	// dnsmasq gives such a host one address for whichever interface comes first.
	case len(h.macs) > 0 && len(macs) == 0:
		d.put(x.place, LeftOut, "patterns of MAC addresses have no counterpart; see dhcp_classes")
		return
	case len(macs) == 0:
		d.put(x.place, LeftOut, "hosts are known by their MAC address alone; add it")
		return
	}
	// Of several MAC addresses (wired and wireless of a laptop, say) one has the address at a time
	// in dnsmasq; a reserved IP is of one.
	host := d.addHost(x.place, h.name, d.site)
	host.at.named = true
	d.setMAC(x.part(macs[0]), host, withoutType(macs[0]))
	for _, more := range macs[1:] {
		d.put(x.part(more), LeftOut, "an address is reserved for one MAC address; reserve another one for it")
	}
	for _, a := range h.addrs {
		d.setAddrs(x.part(a.String()), host, a)
	}
	for _, tag := range h.tags {
		d.put(x.part("tag:"+tag), LeftOut, "a reserved IP holds for clients of all kinds")
	}
	if h.lease != "" {
		d.put(x.part(h.lease), LeftOut, "a subnet has one length of leases for all clients; set it there")
	}
	for _, odd := range h.odd {
		d.put(x.part(odd), LeftOut, "is no part of a host that a site has")
	}
	for _, set := range h.sets {
		d.hosts[set] = append(d.hosts[set], host.at)
	}
}

// withoutType cuts the hardware type off a MAC address: 06-02:00:...
func withoutType(mac string) string {
	if at := strings.IndexByte(mac, '-'); at > 0 && strings.Contains(mac, ":") {
		return mac[at+1:]
	}
	return mac
}

// ignoreHost makes a class of the clients that get no answer.
func (d *dnsmasq) ignoreHost(x directive, h dnsmasqHost) {
	if len(h.macs) != 1 {
		d.put(x.place, LeftOut, "clients are ignored by their MAC address alone; see dhcp_classes")
		return
	}
	prefix, _, _ := strings.Cut(padMAC(withoutType(h.macs[0])), ":*")
	c := d.addClass(x.place, "ignored-"+strings.ReplaceAll(prefix, ":", ""), d.site)
	c.known, c.doc.MACPrefix, c.doc.Ignore = true, prefix, true
}

// match translates the lines that set a tag by what a client sends.
func (d *dnsmasq) match(x directive) {
	if len(x.fields) < 2 {
		d.put(x.place, LeftOut, "has no value; correct it")
		return
	}
	tag := strings.TrimPrefix(strings.TrimPrefix(x.fields[0], "set:"), "net:")
	value := strings.Join(x.fields[1:], ",")
	by := comparison{from: "0", sub: true, value: value}
	switch x.name {
	case "dhcp-vendorclass":
		by.by = "vendor"
	case "dhcp-userclass":
		by.by, by.sub = "user", false
	case "dhcp-circuitid":
		by.by, by.sub = "circuit", false
		if strings.Contains(value, ":") {
			by.value = "0x" + strings.ReplaceAll(value, ":", "")
		}
	case "dhcp-mac":
		by.by, by.from = "mac", "1"
		by.value, _, _ = strings.Cut(padMAC(withoutType(value)), ":*")
		if strings.Contains(by.value, "*") {
			by.value = ""
		}
	case "dhcp-match":
		by = d.matchOption(x)
	}
	c, ok := by.condition()
	if !ok {
		d.put(x.place, LeftOut, "%s", noCounterpart)
		return
	}
	// Lines that set one tag are alternatives.
	if d.matches[tag] = joined(d.matches[tag], c); d.classes[tag] == nil {
		d.classes[tag] = d.addClass(x.place, tag, d.site)
		d.anywhere(d.classes[tag].item, by)
		return
	}
	d.anywhere(d.put(x.place, Taken, "another condition of DHCP class %s", tag), by)
}

// anywhere says how a class differs from what dnsmasq compares: it looks for a text at any place of
// the vendor class or user class, so that "Client" is in PXEClient, too.
func (d *dnsmasq) anywhere(item int, by comparison) {
	switch by.by {
	case "vendor":
		d.note(item, "dnsmasq finds the text anywhere in the vendor class, and the class at its beginning alone")
	case "user":
		d.note(item, "dnsmasq finds the text anywhere in the user class, and the class compares it whole")
	}
}

// matchOption reads: dhcp-match=set:T,option:NAME,VALUE and its forms.
func (d *dnsmasq) matchOption(x directive) (by comparison) {
	if len(x.fields) < 3 {
		return by // an option alone, of any value
	}
	name, value := x.fields[1], x.fields[2]
	name = strings.TrimPrefix(strings.TrimPrefix(name, "option:"), "option6:")
	if code, ok := dnsmasqOptions[name]; ok {
		name = strconv.Itoa(code)
	}
	if strings.HasPrefix(x.fields[1], "option6:") && name == "61" {
		name = "93"
	}
	by = comparison{by: selectors[name], from: "0", value: value}
	if by.by == "arch" {
		n, err := strconv.ParseUint(value, 0, 16)
		if err != nil {
			by.value = ""
			return by
		}
		by.value = strconv.FormatUint(n, 16)
	}
	return by
}

// ignore translates: dhcp-ignore=tag:T. That of all but known hosts has no counterpart.
func (d *dnsmasq) ignore(x directive) {
	if len(x.fields) == 1 {
		tag := strings.TrimPrefix(strings.TrimPrefix(x.fields[0], "tag:"), "net:")
		if !strings.HasPrefix(tag, "!") {
			d.ignored[tag] = dnsmasqIgnore{d.put(x.place, LeftOut, "no line sets the tag by what clients send")}
			return
		}
		if tag == "!known" {
			d.site.closed = "dhcp-ignore=tag:!known"
		}
	}
	d.put(x.place, LeftOut, "has no counterpart; the ranges are reserved, and give no addresses until you change that")
	if d.site.closed == "" {
		d.site.closed = x.text
	}
}

// makeClasses gives the classes of tags their conditions.
func (d *dnsmasq) makeClasses() {
	for tag, c := range d.classes {
		any := d.matches[tag]
		c.known = true
		any[0].fill(&c.doc)
		c.others = any[1:]
		if i, ok := d.ignored[tag]; ok {
			c.doc.Ignore = true
			d.settle(i.item, Taken, "clients of DHCP class %s get no answer", tag)
		}
	}
}

// readDnsmasqLeases reads dnsmasq.leases: END MAC ADDRESS NAME CLIENT-ID, and after a line with the
// server's DUID: END IAID ADDRESS NAME DUID. A star stands for nothing.
func readDnsmasqLeases(b *builder, src *source, name string) error {
	text, err := src.text(name)
	if err != nil {
		return err
	}
	line, is6 := 0, false
	for row := range strings.Lines(text) {
		line++
		f := strings.Fields(row)
		if len(f) == 0 {
			continue
		}
		p := place{file: name, line: line, text: clip(strings.TrimSpace(row)), tokens: len(f)}
		if err := src.count(p); err != nil {
			return err
		}
		switch {
		case f[0] == "duid":
			is6 = true
			b.put(p, LeftOut, "racks have a DUID of their own; clients of IPv6 rebind to them with their leases")
		case len(f) != 5:
			b.put(p, LeftOut, "the line has %d fields instead of 5; is the file truncated?", len(f))
		default:
			b.dnsmasqLease(p, f, is6)
		}
	}
	return nil
}

func (b *builder) dnsmasqLease(p place, f []string, is6 bool) {
	var l Lease
	l.Addr, _ = netip.ParseAddr(f[2])
	end, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		l.Addr = netip.Addr{}
	}
	if l.End = unix(end); end == 0 {
		l.End = forever
	}
	if f[3] != "*" {
		l.Hostname = f[3]
	}
	id, _ := hex.DecodeString(strings.ReplaceAll(strings.Trim(f[4], "*"), ":", ""))
	if is6 {
		iaid, _ := strconv.ParseUint(strings.TrimPrefix(f[1], "T"), 10, 32) // T marks temporary addresses
		l.DUID, l.IAID = id, uint32(iaid)
	} else {
		if len(id) > 0 {
			l.ClientID = id
		}
		if mac, err := net.ParseMAC(withoutType(f[1])); err == nil && len(mac) == 6 {
			l.MAC = mac
		}
	}
	b.addLease(p, l)
}
