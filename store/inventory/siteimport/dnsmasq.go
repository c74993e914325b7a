package siteimport

import (
	"io/fs"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store/inventory/setting"
)

// dnsmasq translates the lines of dnsmasq.conf, as dnsmasq(8) describes them. Tags join what lines
// say, so that ranges, hosts and options are kept until all lines are read.
type dnsmasq struct {
	*builder
	src      *source
	stack    []string
	options  []dnsmasqOption
	ranges   []dnsmasqRange
	hosts    map[string][]*scope      // hosts that set a tag
	classes  map[string]*classDecl    // tags that what a client sends sets
	matches  map[string][]condition   // conditions of these
	ignored  map[string]dnsmasqIgnore // tags whose clients get no answer
	upstream []string
	upItems  []int
	domain   string // of the whole site
	expand   bool   // hosts of one label are in domain
	pools    []dnsmasqPool
	listen   []netip.Addr
	noRouter bool // an empty option keeps dnsmasq from naming itself
	bare     []bareName
}

type dnsmasqIgnore struct{ item int }

// dnsmasqRange is a range with the tags that it sets.
type dnsmasqRange struct {
	sets   []string
	subnet *subnetDecl
	pool   *scope // nil = it has no addresses of its own
}

// dnsmasqPool is a range for clients with a tag.
type dnsmasqPool struct {
	tag string
	at  *scope
}

// bareName is an address of a name without a domain, which expand-hosts may give it.
type bareName struct {
	p    place
	name string
	addr netip.Addr
}

// directive is a line: a name, and the fields of its value.
type directive struct {
	place
	name   string
	value  string
	fields []string
}

var (
	dnsmasqLine  = regexp.MustCompile(`(?m)^\s*(dhcp-(range|host|option|boot|match|leasefile|authoritative|vendorclass|userclass|hostsfile)|domain-needed|bogus-priv|no-resolv|expand-hosts|host-record|conf-dir|enable-tftp|enable-ra|listen-address|address=/|server=)`)
	dnsmasqLease = regexp.MustCompile(`\A(duid [\da-f:]+|\d+ (\d\d-)?[\da-f]{2}(:[\da-f]{2}){5} [\d.]+ \S+ \S+)\s`)
)

func readDnsmasq(b *builder, src *source, files []string) error {
	d := &dnsmasq{
		builder: b, src: src, hosts: map[string][]*scope{}, classes: map[string]*classDecl{},
		matches: map[string][]condition{}, ignored: map[string]dnsmasqIgnore{},
	}
	for _, name := range files {
		first, err := head(src.fsys, name)
		if err != nil {
			return err
		}
		switch {
		case dnsmasqLease.MatchString(first), strings.HasSuffix(name, ".leases") && !dnsmasqLine.MatchString(first):
			err = readDnsmasqLeases(b, src, name)
		default:
			err = d.file(name)
		}
		if err != nil {
			return err
		}
	}
	d.finishTags()
	return nil
}

// file reads a file of lines.
func (d *dnsmasq) file(name string) error {
	text, err := d.src.text(name)
	if err != nil {
		return err
	}
	d.stack = append(d.stack, name)
	defer func() { d.stack = d.stack[:len(d.stack)-1] }()
	line := 0
	for row := range strings.Lines(text) {
		line++
		p := place{file: name, line: line}
		row, err := uncomment(p, strings.TrimRight(row, "\r\n"))
		if err != nil {
			return err
		}
		if row == "" {
			continue
		}
		x := newDirective(p, row)
		if err := d.src.count(x.place); err != nil {
			return err
		}
		if err := d.line(x); err != nil {
			return err
		}
	}
	return nil
}

// uncomment cuts the comment off a line. A # begins one at the start and after white space only, so
// that it may be part of a password or of the port of a server.
func uncomment(p place, row string) (string, error) {
	if len(row) > maxWord {
		if strings.HasPrefix(strings.TrimSpace(row), "#") {
			return "", nil
		}
		return "", p.errorf("the line has more than %d bytes; split it", maxWord)
	}
	quoted := false
	for i := 0; i < len(row); i++ {
		switch c := row[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted && (i == 0 || row[i-1] == ' ' || row[i-1] == '\t'):
			return strings.TrimSpace(row[:i]), nil
		}
	}
	if quoted {
		return "", p.errorf("the string has no end; add a quote")
	}
	return strings.TrimSpace(row), nil
}

func newDirective(p place, row string) directive {
	name, value, _ := strings.Cut(row, "=")
	x := directive{place: p, name: strings.TrimSpace(name), value: strings.TrimSpace(value)}
	if x.value != "" {
		x.fields = splitFields(x.value)
	}
	x.text, x.tokens = clip(row), 1+len(x.fields)
	return x
}

// splitFields cuts a value at commas outside of quotes, and removes the quotes.
func splitFields(value string) (out []string) {
	var field strings.Builder
	quoted := false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && quoted && i+1 < len(value):
			i++
			if at := strings.IndexByte("tnrb", value[i]); at >= 0 {
				field.WriteByte("\t\n\r\b"[at])
			} else {
				field.WriteByte(value[i])
			}
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			out = append(out, strings.TrimSpace(field.String()))
			field.Reset()
		default:
			field.WriteByte(c)
		}
	}
	return append(out, strings.TrimSpace(field.String()))
}

// dnsmasqLeftOut are the lines that no site document has, with the reason and what to do.
var dnsmasqLeftOut = reasons(map[string]string{
	byFirmware: "dhcp-boot dhcp-option-pxe pxe-service pxe-prompt dhcp-pxe-vendor enable-tftp tftp-root tftp-lowercase tftp-max tftp-mtu tftp-no-blocksize tftp-no-fail tftp-port-range tftp-secure tftp-single-port tftp-unique-root quiet-tftp bootp-dynamic dhcp-no-override",
	"belongs to the server program, not to the site":                            "add-cpe-id add-mac add-subnet strip-mac strip-subnet all-servers bind-dynamic bind-interfaces bridge-interface cache-size cache-rr clear-on-reload conf-script connmark-allowlist connmark-allowlist-enable conntrack dhcp-alternate-port dhcp-broadcast dhcp-client-update dhcp-duid dhcp-lease-max dhcp-leasefile leasefile-ro dhcp-luascript dhcp-script dhcp-scriptuser script-arp script-on-renewal dhcp-rapid-commit dhcp-reply-delay dhcp-sequential-ip dhcp-ttl dhcp-ignore-clid dhcp-ignore-names dhcp-generate-names dhcp-fqdn dns-forward-max dns-loop-detect dnssec dnssec-check-unsigned dnssec-debug dnssec-limits dnssec-no-timecheck dnssec-timestamp proxy-dnssec trust-anchor domain-needed bogus-priv dumpfile dumpmask edns-packet-max enable-dbus enable-ubus except-interface fast-dns-retry filter-A filter-AAAA filter-rr filterwin2k group user interface keep-in-foreground local-service local-ttl localise-queries log-async log-debug log-dhcp log-facility log-queries max-cache-ttl max-port max-tcp-connections max-ttl min-cache-ttl min-port neg-ttl no-daemon no-dhcp-interface no-dhcpv4-interface no-dhcpv6-interface no-hosts no-ident no-negcache no-ping no-poll no-resolv no-round-robin pid-file port-limit query-port quiet-dhcp quiet-dhcp6 quiet-ra rebind-domain-ok rebind-localhost-ok resolv-file stop-dns-rebind strict-order test umbrella use-stale-cache version help ipset nftset",
	"has no counterpart":                                                        "alias auth-peer auth-sec-servers auth-server auth-soa auth-ttl auth-zone bogus-nxdomain ignore-address dynamic-host interface-name synth-domain selfmx localmx mx-target naptr-record dns-rr tag-if dhcp-name-match dhcp-remoteid dhcp-subscrid dhcp-proxy",
	"a VLAN relays to another one; set its relay_vlan":                          "dhcp-relay",
	"ranges of one shared network are on one VLAN; set the vlan of the subnets": "shared-network",
	"MAC addresses of other files are not read; write them as dhcp-host":        "read-ethers",
	"racks advertise routers of subnets by themselves":                          "ra-param",
})

// line translates one line.
func (d *dnsmasq) line(x directive) error {
	if why, ok := dnsmasqLeftOut[x.name]; ok {
		d.put(x.place, LeftOut, "%s", why)
		return nil
	}
	switch x.name {
	case "conf-file", "servers-file", "conf-dir", "addn-hosts", "hostsdir", "dhcp-hostsfile", "dhcp-hostsdir", "dhcp-optsfile", "dhcp-optsdir":
		return d.include(x)
	case "dhcp-range":
		d.rangeOf(x)
	case "dhcp-host":
		d.host(x, x.fields)
	case "dhcp-option", "dhcp-option-force":
		d.option(x, x.fields)
	case "dhcp-match", "dhcp-vendorclass", "dhcp-userclass", "dhcp-mac", "dhcp-circuitid":
		d.match(x)
	case "dhcp-ignore":
		d.ignore(x)
	case "listen-address":
		for _, f := range x.fields {
			if a, err := netip.ParseAddr(f); err == nil {
				d.listen = append(d.listen, a)
			}
		}
		d.put(x.place, LeftOut, "belongs to the server program, not to the site")
	case "port":
		d.noDNS = x.value == "0"
		d.put(x.place, LeftOut, "belongs to the server program, not to the site")
	case "dhcp-authoritative":
		d.put(x.place, Taken, "racks answer for the subnets that they serve")
	case "enable-ra":
		d.put(x.place, Taken, "racks send router advertisements on links without another router; see setting router_advertisements")
	case "domain":
		d.domainOption(x)
	case "expand-hosts":
		d.expand = true
		d.put(x.place, Taken, "names of one label are in the domain")
	case "server", "local", "rev-server":
		d.server(x)
	case "address", "host-record", "cname", "ptr-record", "srv-host", "txt-record", "mx-host", "caa-record":
		d.record(x)
	default:
		return d.unknown(x.place)
	}
	return nil
}

// include reads the files that a line names.
func (d *dnsmasq) include(x directive) error {
	if len(x.fields) == 0 {
		return x.errorf("%s needs the name of a file", x.name)
	}
	name := from(d.stack[len(d.stack)-1], x.fields[0])
	if !path.IsAbs(x.fields[0]) { // dnsmasq runs in a directory of its own: such names are relative to the first file here
		name = from(d.stack[0], x.fields[0])
	}
	files := []string{name}
	if info, err := fs.Stat(d.src.fsys, name); err == nil && info.IsDir() {
		if files, err = d.directory(name, x.fields[1:]); err != nil {
			return absent(x.place, err)
		}
	}
	d.put(x.place, Taken, "its lines follow")
	for _, file := range files {
		if err := include(x.place, file, d.stack); err != nil {
			return err
		}
		var err error
		switch x.name {
		case "conf-file", "conf-dir", "servers-file":
			err = d.file(file)
		case "addn-hosts", "hostsdir":
			err = readHosts(d.builder, d.src, file, d.hostName)
		default:
			err = d.lists(x.name, file)
		}
		if err != nil {
			return absent(x.place, err)
		}
	}
	return nil
}

// directory returns the files of a directory that dnsmasq reads: without backups of editors, and
// with the endings that the line names ("*.conf"), or without them (".bak").
func (d *dnsmasq) directory(dir string, endings []string) (files []string, err error) {
	entries, err := fs.ReadDir(d.src.fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
			continue
		}
		only, wanted, refused := false, false, false
		for _, end := range endings {
			if suffix, ok := strings.CutPrefix(end, "*"); ok && suffix != "" {
				only = true
				wanted = wanted || strings.HasSuffix(name, suffix)
			} else if end != "" && !ok {
				refused = refused || strings.HasSuffix(name, end)
			}
		}
		if !refused && (!only || wanted) {
			files = append(files, path.Join(dir, name))
		}
	}
	return files, nil
}

// lists reads files whose lines are values of dhcp-host or dhcp-option.
func (d *dnsmasq) lists(kind, name string) error {
	text, err := d.src.text(name)
	if err != nil {
		return err
	}
	line := 0
	for row := range strings.Lines(text) {
		line++
		p := place{file: name, line: line}
		row, err := uncomment(p, strings.TrimRight(row, "\r\n"))
		if err != nil {
			return err
		}
		if row == "" {
			continue
		}
		x := directive{place: p, value: row, fields: splitFields(row)}
		x.text, x.tokens = clip(row), len(x.fields)
		if err := d.src.count(x.place); err != nil {
			return err
		}
		if strings.HasPrefix(kind, "dhcp-hosts") {
			d.host(x, x.fields)
		} else {
			d.option(x, x.fields)
		}
	}
	return nil
}

// hostName takes the address of a name of a hosts file, as dnsmasq does: names of one label get the
// domain if expand-hosts is set, which may follow.
func (d *dnsmasq) hostName(p place, name string, addr netip.Addr) {
	if strings.Contains(name, ".") {
		d.addAddress(p, name, addr, 0)
		return
	}
	d.bare = append(d.bare, bareName{p: placeOf(d.put(p, Taken, ""), p), name: name, addr: addr})
}

// placeOf is the place of a statement that has an item already.
func placeOf(item int, p place) place {
	p.item = item + 1
	return p
}

// server translates the servers of other domains, and those of all names.
func (d *dnsmasq) server(x directive) {
	names, to, ok := strings.Cut(strings.TrimPrefix(x.value, "/"), "/")
	if strings.HasPrefix(x.value, "/") {
		if at := strings.LastIndexByte(x.value, '/'); ok {
			names, to = x.value[1:at], x.value[at+1:]
		}
	} else {
		names, to = "", x.value
	}
	to, _, _ = strings.Cut(to, "@") // the interface or address that asks
	host, port, _ := strings.Cut(to, "#")
	addr, err := netip.ParseAddr(host)
	switch {
	case x.name == "rev-server":
		d.put(x.place, LeftOut, "reverse zones of other servers have no counterpart")
	case names == "" && err == nil:
		if port != "" && port != "53" {
			d.put(x.place, LeftOut, "upstream servers have port 53; ask another one")
			return
		}
		d.upstream = append(d.upstream, addr.String())
		d.upItems = append(d.upItems, d.put(x.place, Taken, "setting %s", setting.UpstreamDNS))
	case names == "":
		d.put(x.place, LeftOut, "is not the address of a server; correct it")
	case to == "":
		d.local(x, names)
	case to == "#" || err != nil:
		d.put(x.place, LeftOut, "has no counterpart")
	default:
		d.forward(x, names, addr, port)
	}
}

// local declares the domains that no other server is asked for.
func (d *dnsmasq) local(x directive, names string) {
	var kept []string
	for name := range strings.SplitSeq(names, "/") {
		if strings.HasSuffix(name, ".arpa") || !strings.Contains(name, ".") && name != d.domain {
			continue
		}
		if domain, why := d.addDomain(name); why == "" {
			kept = append(kept, domain)
		}
	}
	if len(kept) == 0 {
		d.put(x.place, LeftOut, "racks answer for the domains of the site and the reverse zones of its subnets")
		return
	}
	d.put(x.place, Taken, "domain %s", strings.Join(kept, ", "))
}

// forward declares domains that other servers have.
func (d *dnsmasq) forward(x directive, names string, addr netip.Addr, port string) {
	if port == "" {
		port = "53"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	to := netip.AddrPortFrom(addr, uint16(number))
	if err != nil {
		d.put(x.place, LeftOut, "is not the port of a server; correct it")
		return
	}
	var kept []string
	for name := range strings.SplitSeq(names, "/") {
		if why := d.addForward(name, to); why != "" {
			d.put(x.place, LeftOut, "%s", why)
			return
		}
		kept = append(kept, name)
	}
	d.put(x.place, Taken, "domain %s, which %s serves", strings.Join(kept, ", "), to)
}

// domainOption translates: domain=NAME[,SUBNET[,local]].
func (d *dnsmasq) domainOption(x directive) {
	if len(x.fields) == 0 || x.fields[0] == "#" {
		d.put(x.place, LeftOut, "the search domain of the host is not read; write the domain")
		return
	}
	domain, why := d.addDomain(x.fields[0])
	switch {
	case why != "":
		d.put(x.place, LeftOut, "%s", why)
	case len(x.fields) > 1:
		p, err := netip.ParsePrefix(x.fields[1])
		if err != nil || d.byCIDR[p.Masked()] == nil {
			d.put(x.place, Changed, "domain %s, which clients of the subnet do not get by DHCP: declare the subnet before it", domain)
			return
		}
		d.addOption(x.place, d.byCIDR[p.Masked()].at, option{name: "domain-name", value: `"` + domain + `"`}, "")
	default:
		d.domain = domain
		d.addOption(x.place, d.site, option{name: "domain-name", value: `"` + domain + `"`}, "")
	}
}

// finishTags gives ranges, hosts and classes what lines say of their tags.
func (d *dnsmasq) finishTags() {
	d.makeClasses()
	for _, p := range d.pools {
		p.at.pool.class = p.tag
		if d.classes[p.tag] == nil {
			p.at.closed = "tag:" + p.tag
		}
	}
	for _, o := range d.options {
		d.place(o)
	}
	for _, s := range d.subnets {
		d.ownRouter(s)
	}
	if len(d.upstream) > 0 {
		d.addSetting(setting.UpstreamDNS, strings.Join(slices.Compact(d.upstream), " "))
	}
	for _, n := range d.bare {
		name := n.name
		if d.expand && d.domain != "" {
			name += "." + d.domain
		}
		d.addAddress(n.p, name, n.addr, 0)
	}
}

// ownRouter names dnsmasq as the gateway of a subnet, as it does itself where no line says another
// one. Its address is known where it listens on it.
func (d *dnsmasq) ownRouter(s *subnetDecl) {
	has := func(in *scope) bool {
		return slices.ContainsFunc(in.options, func(o option) bool { return o.name == "routers" })
	}
	if s.prefix.Addr().Is6() || has(s.at) || has(d.site) || d.noRouter {
		return
	}
	for _, a := range d.listen {
		if s.prefix.Contains(a) {
			s.doc.Gateway, s.taken = a.String(), append(s.taken, a)
			return
		}
	}
	for _, r := range s.ranges {
		d.note(r.item, "dnsmasq names itself as the router of these clients: set gateway_ip of %s to its address", s.prefix)
	}
}
