package siteimport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
)

// dhcpd translates the statements of dhcpd.conf, as dhcpd.conf(5), dhcp-options(5) and dhcp-eval(5)
// describe them.
type dhcpd struct {
	*builder
	types  map[string]optionType // of options that the configuration defines
	byName map[string]*dhcpdClass
	ifs    int
	is6    bool // the file has subnets of IPv6
}

// readDhcpd reads files of configuration and of leases. A statement of a lease file looks like no
// other, so that both may be in one file.
func readDhcpd(b *builder, src *source, files []string) error {
	d := dhcpd{builder: b, types: dhcpdOptions(), byName: map[string]*dhcpdClass{}}
	leases := leaseReader{builder: b}
	for _, name := range files {
		t := tree{source: src}
		// The entries of lease files are as many as clients: each is translated as it is read.
		t.each = func(s *statement) (bool, error) { return leases.take(s), nil }
		statements, err := t.read(name, nil, 0)
		if err != nil {
			return err
		}
		d.is6 = hasWord(statements, "subnet6")
		if err := d.block(statements, d.site); err != nil {
			return err
		}
	}
	d.finishSubclasses()
	return nil
}

// hasWord reports whether a statement of some, or in one of them, begins with a word.
func hasWord(statements []*statement, word string) bool {
	return slices.ContainsFunc(statements, func(s *statement) bool { return s.word(0) == word || hasWord(s.body, word) })
}

// place is the statement as the report shows it.
func (s *statement) place() place {
	return place{file: s.file, line: s.line, text: s.text(), tokens: s.tokens}
}

func (d *dhcpd) add(s *statement, o Outcome, format string, args ...any) int {
	return d.put(s.place(), o, format, args...)
}

// leave leaves a statement out with all that is in it.
func (d *dhcpd) leave(s *statement, why string) {
	d.add(s, LeftOut, "%s", why)
	for _, in := range s.body {
		d.leave(in, "is part of "+s.words[0].text+", which is left out")
	}
}

func (d *dhcpd) block(statements []*statement, in *scope) error {
	for i, s := range statements {
		if first := s.word(0); first == "if" || first == "elsif" || first == "else" {
			if err := d.conditional(statements, i, in); err != nil {
				return err
			}
			continue
		}
		if err := d.statement(s, in); err != nil {
			return err
		}
	}
	return nil
}

// byFirmware is the reason why boot files are left out.
const byFirmware = "racks choose the boot file by firmware; set one with: maas boot-profile"

// leftOut are the statements that no site document has, with the reason and what to do.
var leftOut = func() map[string]string {
	out := map[string]string{}
	for why, names := range map[string]string{
		byFirmware:                            "filename next-server server-name always-broadcast",
		"has no counterpart; racks choose it": "preferred-lifetime dynamic-bootp-lease-length dynamic-bootp-lease-cutoff max-lease-ownership max-lease-misbalance min-secs infinite-is-reserved adaptive-lease-time-threshold dhcp-cache-threshold",
		"racks keep the names of leases themselves; for a DNS server of others set dns_update":    "zone ddns-update-style ddns-updates ddns-domainname ddns-rev-domainname ddns-hostname ddns-ttl update-static-leases update-optimization update-conflict-detection do-forward-updates do-reverse-updates fqdn-reply ddns-local-address4 ddns-local-address6 ddns-dual-stack-mixed-mode ddns-guard-id-must-match ddns-other-guard-is-dynamic",
		"secrets are not in a site document; make a key with: maas tsigkey":                       "key omapi-key",
		"belongs to the server program, not to the site":                                          "pid-file-name lease-file-name dhcpv6-pid-file-name dhcpv6-lease-file-name log-facility local-port local-address local-address6 omapi-port delayed-ack max-ack-delay lease-id-format server-duid remote-port db-time-format dhcpv6-set-tee-times prefix-length-mode release-on-roam limited-broadcast-address bind-local-address6 abandon-lease-time ping-check ping-timeout ping-timeout-ms persist-eui-64-leases echo-client-id server-id-check ignore-client-uids server-identifier site-option-space vendor-option-space boot-unknown-clients one-lease-per-client get-lease-hostnames use-lease-addr-for-default-route stash-agent-options do-reverse-lookups interface authoring-byte-order check-secs-byte-order",
		"expressions are not evaluated; racks know firmware by what it sends, see dhcp_classes":   "switch case default on execute set unset eval log add spawn break",
		"has no counterpart: members of a class are selected by what they send, see dhcp_classes": "spawn-class",
		"racks do not limit the leases of a class":                                                "lease",
		"racks need no LDAP; import the entries as a file":                                        "ldap-server ldap-port ldap-username ldap-password ldap-base-dn ldap-method ldap-debug-file ldap-dhcp-server-cn ldap-ssl ldap-tls-reqcert ldap-referrals ldap-init-retry",
	} {
		for name := range strings.FieldsSeq(names) {
			out[name] = why
		}
	}
	return out
}()

// blockless are the statements that end with a semicolon.
var blockless = strings.Fields("authoritative use-host-decl-names option range range6 prefix6 hardware fixed-address fixed-address6 default-lease-time max-lease-time min-lease-time host-identifier match uid dynamic allow deny ignore known unknown members all authenticated unauthenticated failover-peer")

// statement translates one statement.
func (d *dhcpd) statement(s *statement, in *scope) error {
	first := s.word(0)
	if why, ok := leftOut[first]; ok {
		d.leave(s, why)
		return nil
	}
	if len(s.body) > 0 && slices.Contains(blockless, first) {
		d.leave(s, "takes no block; correct it")
		return nil
	}
	switch first {
	case "include":
		d.add(s, Taken, "its statements follow")
		return d.block(s.body, in)
	case "not":
		d.leave(s, "racks answer for the subnets that they serve")
	case "authoritative":
		d.add(s, Taken, "racks answer for the subnets that they serve")
	case "option":
		d.option(s, in)
	case "use-host-decl-names":
		in.named = s.word(1) == "on" || s.word(1) == "true"
		d.add(s, Taken, "hosts with an address and a name are devices, which get their names")
	case "default-lease-time", "max-lease-time", "min-lease-time":
		d.leaseTime(s, in)
	case "shared-network", "group":
		return d.group(s, in)
	case "subnet", "subnet6":
		return d.subnet(s, in)
	case "pool", "pool6":
		at := &scope{parent: in, kind: "pool", subnet: in.subnet}
		at.pool = &poolDecl{at: at}
		d.pools = append(d.pools, at.pool)
		d.add(s, Taken, "its ranges are ranges of the subnet")
		return d.block(s.body, at)
	case "range", "range6":
		d.rangeOf(s, in)
	case "prefix6":
		d.delegated(s, in)
	case "host":
		return d.block(s.body, d.addHostOf(s, in))
	case "class":
		return d.class(s, in)
	case "subclass":
		return d.subclass(s, in)
	case "failover":
		d.failover(s)
	case "hardware", "fixed-address", "fixed-address6", "host-identifier", "match", "uid", "dynamic":
		d.part(s, in)
	case "allow", "deny", "ignore", "known", "unknown", "members", "all", "authenticated", "unauthenticated", "failover-peer":
		d.permit(s, in)
	default:
		if err := d.unknown(s.place()); err != nil {
			return err
		}
		for _, part := range s.body {
			d.leave(part, "is part of "+s.words[0].text+", which is left out")
		}
	}
	return nil
}

// leaseTime translates a length of leases, which counts for the family of the file.
func (d *dhcpd) leaseTime(s *statement, in *scope) {
	times := &in.leases[family(d.is6)]
	to := map[string]*leaseLength{"default-lease-time": &times.usual, "max-lease-time": &times.most, "min-lease-time": &times.least}[s.word(0)]
	d.addLeaseTime(s.place(), in, to, s.word(1))
}

// group translates a block that holds what is common to its statements.
func (d *dhcpd) group(s *statement, in *scope) error {
	at := &scope{parent: in, kind: s.word(0), name: s.name(1), subnet: in.subnet}
	if at.kind == "group" {
		d.add(s, Taken, "its statements apply to what is in it")
	} else {
		at.name = d.link(at.name)
		d.add(s, Taken, "fabric %s", at.name)
	}
	return d.block(s.body, at)
}

// part translates a statement that is part of a host or a class.
func (d *dhcpd) part(s *statement, in *scope) {
	switch {
	case in.host != nil:
		d.hostPart(s, in.host)
	case in.class != nil && s.word(0) == "match":
		d.match(s, in.class)
	default:
		d.leave(s, "has no counterpart here")
	}
}

func (d *dhcpd) subnet(s *statement, in *scope) error {
	p, why := prefixOf(s)
	var at *scope
	if why == "" {
		at, why = d.addSubnet(p, in)
	}
	if why != "" {
		d.leave(s, why)
		return nil
	}
	d.add(s, Taken, "subnet %s on fabric %s", p, at.name)
	return d.block(s.body, at)
}

// prefixOf reads: subnet 192.0.2.0 netmask 255.255.255.0, or subnet6 2001:db8::/64.
func prefixOf(s *statement) (p netip.Prefix, why string) {
	text := s.word(1)
	if s.word(0) == "subnet" {
		mask, err := netip.ParseAddr(s.word(3))
		if err != nil || !mask.Is4() || s.word(2) != "netmask" {
			return p, "write it as subnet 192.0.2.0 netmask 255.255.255.0"
		}
		raw := mask.As4()
		bits := 0
		for bits < 32 && raw[bits/8]&(0x80>>(bits%8)) != 0 {
			bits++
		}
		if netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), bits).Masked().Addr() != mask {
			return p, "the network mask has gaps; correct it"
		}
		text = fmt.Sprintf("%s/%d", text, bits)
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4() != (s.word(0) == "subnet") {
		return p, "is not a network; correct it"
	}
	return p, ""
}

// rangeOf translates: range FIRST LAST, with dynamic-bootp before or without LAST, and the forms of
// range6.
func (d *dhcpd) rangeOf(s *statement, in *scope) {
	at := 1
	if s.word(1) == "dynamic-bootp" {
		at = 2
	}
	var r netipx.IPRange
	if p, err := netip.ParsePrefix(s.word(at)); err == nil {
		r = netipx.RangeOfPrefix(p.Masked())
	} else if first, err := netip.ParseAddr(s.word(at)); err == nil {
		last := first
		if len(s.words) > at+1 {
			last, _ = netip.ParseAddr(s.word(at + 1))
		}
		r = netipx.IPRangeFrom(first, last)
	}
	d.addRange(s.place(), r, in)
}

// delegated translates: prefix6 FIRST LAST / BITS.
func (d *dhcpd) delegated(s *statement, in *scope) {
	var words []string
	for _, w := range s.words[1:] {
		words = append(words, w.text)
	}
	text := strings.Join(words, " ")
	ends, bits, _ := strings.Cut(text, "/")
	r := parseRange(strings.Join(strings.Fields(ends), "-"))
	d.addDelegated(s.place(), r, strings.TrimSpace(bits), in)
}

// failover translates the peers of failover: two racks share the addresses of a VLAN without more
// configuration than their names.
func (d *dhcpd) failover(s *statement) {
	role, peer := "", ""
	for _, in := range s.body {
		switch in.word(0) {
		case "primary", "secondary":
			role = in.word(0)
		case "peer":
			if in.word(1) == "address" {
				peer = in.name(len(in.words) - 1)
			}
		}
	}
	if len(s.body) == 0 {
		d.add(s, Taken, "the primary and the secondary rack of a VLAN share its addresses")
		return
	}
	other := map[string]string{"primary": "secondary_rack", "secondary": "primary_rack"}[role]
	if other == "" || peer == "" {
		d.leave(s, "two racks of a VLAN share its addresses; set its primary_rack and secondary_rack")
		return
	}
	d.add(s, Changed, "two racks of a VLAN share its addresses: set this host as %s_rack and the host at %s as %s of the VLANs", role, clip(peer), other)
	for _, in := range s.body {
		d.leave(in, "partner racks agree on it themselves")
	}
}

// permit translates allow, deny and ignore.
func (d *dhcpd) permit(s *statement, in *scope) {
	words := make([]string, 0, 4)
	for _, w := range s.words {
		words = append(words, strings.ToLower(w.text))
	}
	what := strings.Join(words[1:], " ")
	pool := in.pool
	switch {
	case pool == nil && words[0] != "allow" && (what == "unknown-clients" || what == "unknown clients"):
		in.closed = s.text()
		d.leave(s, "has no counterpart; the ranges here are reserved, and give no addresses until you change that")
	case pool == nil && (what == "booting" || what == "bootp" || what == "declines" || what == "client-updates" || what == "duplicates" || what == "leasequery" || what == "unknown-clients" && words[0] == "allow"):
		d.add(s, LeftOut, "racks serve every client of a range; ignore kinds of clients with dhcp_classes")
	case pool == nil:
		d.leave(s, "has no counterpart; ignore kinds of clients with dhcp_classes, or keep addresses in a reserved range")
	case what == "all clients" && words[0] == "allow", what == "dynamic bootp clients", what == "dynamic bootp" && words[0] == "deny":
		d.add(s, Taken, "racks do so always")
	case words[0] == "allow" && strings.HasPrefix(what, "members of") && len(s.words) > 3 && pool.class == "":
		name := s.words[len(s.words)-1].text
		pool.class, pool.permit = name, d.add(s, Taken, "the ranges are for DHCP class %s", name)
	case words[0] == "deny" && strings.HasPrefix(what, "members of") && len(s.words) > 3:
		item := d.add(s, LeftOut, closes)
		pool.denied = append(pool.denied, denial{s.words[len(s.words)-1].text, s.text(), item})
	default:
		in.closed = s.text()
		d.leave(s, closes)
	}
}
