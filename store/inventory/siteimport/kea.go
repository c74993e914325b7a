package siteimport

import (
	"net/netip"
	"slices"
	"strings"
)

// kea translates the configuration of Kea's DHCP servers, as its Administrator Reference Manual
// describes it.
type kea struct {
	*builder
	is6   bool
	types map[string]keaType // of options that the configuration defines, by name and by code
	tests map[string][]condition
}

// readKea reads configurations and lease files.
func readKea(b *builder, src *source, files []string) error {
	for _, name := range files {
		first, err := head(src.fsys, name)
		if err != nil {
			return err
		}
		if keaLeases.MatchString(first) {
			if err := readKeaLeases(b, src, name); err != nil {
				return err
			}
			continue
		}
		t := jsonTree{source: src, relaxed: true}
		root, err := t.parse(name, nil)
		if err != nil {
			return err
		}
		if root.kind != '{' {
			return place{file: name, line: 1}.errorf("is not the configuration of Kea, which is an object with Dhcp4 or Dhcp6")
		}
		// The braces of the file itself have no statement.
		src.tokens -= 2
		b.announce(root)
		for _, family := range []string{"Dhcp4", "Dhcp6"} {
			if n := root.get(family); n != nil {
				b.put(n.place(), Taken, "its statements follow")
				k := kea{builder: b, is6: family == "Dhcp6", types: map[string]keaType{}, tests: map[string][]condition{}}
				k.server(n)
			}
		}
		if err := b.rest(root, keaLeftOut); err != nil {
			return err
		}
	}
	return nil
}

// keaLeftOut are the members that no site document has, with the reason and what to do.
var keaLeftOut = reasons(map[string]string{
	byFirmware: "next-server server-hostname boot-file-name",
	"a subnet has one length of leases for all clients; set it there":                      "valid-lifetime",
	"clients that ask for another length get one of valid-lifetime, or a shorter one":      "min-valid-lifetime max-valid-lifetime",
	"has no counterpart; racks choose it":                                                  "preferred-lifetime min-preferred-lifetime max-preferred-lifetime renew-timer rebind-timer calculate-tee-times t1-percent t2-percent offer-lifetime offer-lft cache-threshold cache-max-age rapid-commit expired-leases-processing store-extended-info adaptive-lease-time-threshold",
	"racks keep the names of leases themselves; for a DNS server of others set dns_update": "dhcp-ddns DhcpDdns ddns-send-updates ddns-override-no-update ddns-override-client-update ddns-replace-client-name ddns-generated-prefix ddns-qualifying-suffix ddns-update-on-renew ddns-use-conflict-resolution ddns-conflict-resolution-mode ddns-ttl ddns-ttl-percent ddns-ttl-min ddns-ttl-max hostname-char-set hostname-char-replacement",
	"belongs to the server program, not to the site":                                       "Logging loggers interfaces-config lease-database hosts-database hosts-databases config-control control-socket control-sockets multi-threading sanity-checks dhcp-queue-control dhcp4o6-port parked-packet-limit server-tag statistic-default-sample-count statistic-default-sample-age server-id mac-sources relay-supplied-options host-reservation-identifiers reservation-mode reservations-global reservations-in-subnet reservations-out-of-pool reservations-lookup-first early-global-reservations-lookup ip-reservations-unique echo-client-id match-client-id authoritative decline-probation-period compatibility id interface interface-id allocator pd-allocator 4o6-interface 4o6-interface-id 4o6-subnet hooks-libraries data-directory Control-agent Netconf allow-address-registration stash-agent-options",
	"a comment": "user-context comment",
	"classes are selected by what clients send, see dhcp_classes": "require-client-classes evaluate-additional-classes only-if-required only-in-additional-list template-test",
	"hosts are known by their MAC address alone":                  "client-id circuit-id flex-id",
	"a prefix is delegated to any router of the subnet":           "prefixes excluded-prefix excluded-prefix-len",
	"has no counterpart": "option-def option-data metadata always-send never-send client-classes client-class encapsulate",
})

// reasons turns lists of names by reason into reasons by name.
func reasons(by map[string]string) map[string]string {
	out := map[string]string{}
	for why, names := range by {
		for name := range strings.FieldsSeq(names) {
			out[name] = why
		}
	}
	return out
}

// server translates Dhcp4 or Dhcp6. Definitions are first: their place in the text says nothing.
func (k *kea) server(n *node) {
	for _, def := range k.each(n, "option-def", "its types are used for options") {
		k.define(def)
	}
	// member() refers to classes that are declared before (in the order of the list).
	for _, c := range k.each(n, "client-classes", "DHCP classes") {
		k.class(c)
	}
	k.options(n, k.site)
	k.leaseTime(n, k.site)
	for _, net := range k.each(n, "shared-networks", "fabrics") {
		k.network(net)
	}
	k.subnets(n, k.site)
	for _, r := range k.each(n, "reservations", "reserved IPs and devices") {
		k.reservation(r, k.site)
	}
	for _, h := range k.each(n, "hooks-libraries", "racks have what hooks add, or not") {
		k.hook(h)
	}
}

// suffix is the number of the family in names of members.
func (k *kea) suffix() string {
	if k.is6 {
		return "6"
	}
	return "4"
}

func (k *kea) network(n *node) {
	at := &scope{parent: k.site, kind: "shared-network", name: k.link(n.str("name"))}
	k.put(n.place(), Taken, "fabric %s", at.name)
	k.took(n, Taken, "fabric "+at.name, "name")
	k.options(n, at)
	k.leaseTime(n, at)
	k.relays(n)
	k.subnets(n, at)
	for _, r := range k.each(n, "reservations", "reserved IPs and devices") {
		k.reservation(r, at)
	}
}

func (k *kea) subnets(n *node, in *scope) {
	for _, s := range k.each(n, "subnet"+k.suffix(), "subnets") {
		p, err := netip.ParsePrefix(s.str("subnet"))
		at, why := k.addSubnet(p.Masked(), in)
		if err != nil || p.Addr().Is6() != k.is6 {
			why = "is not a network; correct it"
		}
		if why != "" {
			k.put(s.place(), LeftOut, "%s", why)
			k.drop(s, "is part of a subnet that is left out")
			continue
		}
		k.put(s.place(), Taken, "subnet %s on fabric %s", p.Masked(), at.name)
		k.took(s, Taken, "its prefix", "subnet")
		k.options(s, at)
		k.leaseTime(s, at)
		if r := s.get("relay"); r != nil {
			k.relayAddrs(r, at.subnet)
		}
		class := s.get("client-class")
		for _, pool := range k.each(s, "pools", "ranges of the subnet") {
			k.pool(pool, at, class)
		}
		for _, pool := range k.each(s, "pd-pools", "delegated prefixes of the subnet") {
			k.delegated(pool, at)
		}
		for _, r := range k.each(s, "reservations", "reserved IPs and devices") {
			k.reservation(r, at)
		}
	}
}

// leaseTime translates the length of leases. Pools and classes have none of their own.
func (k *kea) leaseTime(n *node, in *scope) {
	if v := n.get("valid-lifetime"); v != nil {
		k.addLeaseTime(v.place(), in, &in.leases[family(k.is6)].usual, v.text)
	}
}

// relays explains the relay of a shared network, which a site has for each subnet.
func (k *kea) relays(n *node) {
	if r := n.get("relay"); r != nil {
		k.drop(r, "relays of a shared network have no counterpart; set relays of its subnets")
	}
}

// relayAddrs translates relay: the addresses of relays, or of old versions one.
func (k *kea) relayAddrs(r *node, sub *subnetDecl) {
	k.put(r.place(), Taken, "relays of subnet %s", sub.prefix)
	list := k.each(r, "ip-addresses", "relays of the subnet")
	if one := r.get("ip-address"); one != nil {
		list = append(list, one)
	}
	for _, a := range list {
		addr, err := netip.ParseAddr(a.text)
		switch {
		case err != nil:
			k.put(a.place(), LeftOut, "is not an address; correct it")
		case addr.IsUnspecified():
			k.put(a.place(), Taken, "no relay")
		case sub.prefix.Contains(addr):
			k.put(a.place(), Taken, "relays with an address of the subnet are known")
		default:
			sub.doc.Relays = append(sub.doc.Relays, addr.String())
			k.put(a.place(), Taken, "relay of subnet %s", sub.prefix)
		}
	}
}

// pool translates a pool. The class of its subnet holds for it as well, unless it has one.
func (k *kea) pool(n *node, in *scope, class *node) {
	at := &scope{parent: in, kind: "pool", subnet: in.subnet}
	at.pool = &poolDecl{at: at}
	k.put(n.place(), Taken, "range of the subnet")
	own := n.get("client-class")
	if list := n.get("client-classes"); own == nil && list != nil && len(list.kids) == 1 {
		k.put(list.place(), Taken, "the class of the range")
		own = list.kids[0]
	} else if list != nil {
		k.drop(list, "a range has one class, so it is reserved, and gives no addresses until you change that")
		at.closed = "client-classes"
	}
	if own == nil {
		own = class
	} else if class != nil {
		k.put(class.place(), Changed, "the classes of pools count instead")
	}
	// ALL is a class that each client belongs to. Others that Kea makes itself, such as KNOWN, are
	// no class of a site, so that their ranges are closed at the end.
	if own != nil && own.text != "ALL" {
		k.pools = append(k.pools, at.pool)
		at.pool.class = own.text
		at.pool.permit = k.put(own.place(), Taken, "the ranges are for DHCP class %s", own.text)
	}
	k.options(n, at)
	if p := n.get("pool"); p != nil {
		k.addRange(p.place(), parseRange(p.text), at)
	}
}

// delegated translates: prefix, prefix-len, delegated-len.
func (k *kea) delegated(n *node, in *scope) {
	p, err := netip.ParsePrefix(n.str("prefix") + "/" + n.str("prefix-len"))
	text := ""
	if err == nil {
		text = p.String()
	}
	k.addDelegated(n.place(), parseRange(text), n.str("delegated-len"), in)
	k.took(n, Taken, "delegated prefixes of the subnet", "prefix", "prefix-len", "delegated-len")
	k.options(n, &scope{parent: in, kind: "pd-pool"})
}

// reservation translates a host reservation. Those of prefixes and of other identities than the MAC
// address have no counterpart, and say so.
func (k *kea) reservation(n *node, in *scope) {
	name := n.str("hostname")
	id, hw := "", n.get("hw-address")
	if d := n.get("duid"); hw == nil && d != nil {
		// A DUID that has a MAC address stands for it: racks compare both.
		id = duidMAC(identity(token{text: d.text})).String()
	}
	h := k.addHost(n.place(), name, in)
	k.took(n, Taken, "the name of the host", "hostname")
	h.at.named = true
	switch {
	case hw != nil:
		k.setMAC(hw.place(), h, hw.text)
	case id != "":
		k.setMAC(n.get("duid").place(), h, id)
	default:
		k.took(n, LeftOut, "hosts are known by their MAC address alone", "duid")
	}
	if a := n.get("ip-address"); a != nil {
		k.reserved(a, h)
	}
	for _, a := range k.each(n, "ip-addresses", "reserved IPs") {
		k.reserved(a, h)
	}
	k.options(n, h.at)
}

func (k *kea) reserved(a *node, h *hostDecl) {
	addr, err := netip.ParseAddr(a.text)
	if err != nil || addr.Is6() != k.is6 {
		k.put(a.place(), LeftOut, "is not an address of its family; correct it")
		return
	}
	k.setAddrs(a.place(), h, addr)
}

// hook explains the hook of high availability, and leaves others out.
func (k *kea) hook(n *node) {
	ha := n.get("parameters").get("high-availability")
	if ha == nil || len(ha.kids) == 0 {
		k.drop(n, "hooks belong to the server program, not to the site")
		return
	}
	var peers []string
	if list := ha.kids[0].get("peers"); list != nil {
		for _, p := range list.kids {
			peers = append(peers, p.str("name")+" ("+p.str("role")+")")
		}
	}
	k.put(n.place(), Changed, "two racks of a VLAN share its addresses: set primary_rack and secondary_rack of the VLANs for %s", clip(strings.Join(peers, ", ")))
	k.drop(n, "partner racks agree on it themselves")
}

// class translates a client class. DROP is the class of packets that get no answer.
func (k *kea) class(n *node) {
	name := n.str("name")
	c := k.addClass(n.place(), name, k.site)
	k.took(n, Taken, "its name", "name")
	k.options(n, c.at)
	// Kea drops packets of this class before it looks for a lease.
	if name == "DROP" {
		c.doc.Ignore = true
	}
	test := n.get("test")
	if test == nil {
		return
	}
	words, why := keaWords(test.text)
	var any []condition
	if why == "" {
		e := expression{words: words, term: k.term}
		ok := false
		if any, ok = e.alternatives(); !ok {
			any, why = nil, noCounterpart
		}
	}
	if k.setCondition(test.place(), c, any, why); c.known {
		k.tests[name] = any
	}
}

// keaWords cuts an expression of Kea into words, with == as = and quotes removed.
func keaWords(text string) (out []token, why string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		switch c := text[0]; {
		case c == '\'':
			end := strings.IndexByte(text[1:], '\'')
			if end < 0 {
				return nil, "the expression has a string without end; correct it"
			}
			out = append(out, token{text: text[1 : end+1], quoted: true})
			text = text[end+2:]
		case strings.HasPrefix(text, "=="):
			out = append(out, token{text: "="})
			text = text[2:]
		case strings.IndexByte("()[],.=", c) >= 0:
			out = append(out, token{text: text[:1]})
			text = text[1:]
		default:
			end := strings.IndexAny(text, " \t\n'=()[],.")
			if end < 0 {
				end = len(text)
			}
			if end == 0 {
				return nil, noCounterpart
			}
			out = append(out, token{text: text[:end]})
			text = text[end:]
		}
	}
	return out, ""
}

// term reads a comparison, the test that an option exists, or membership in another class.
func (k *kea) term(e *expression) ([]condition, bool) {
	if e.accept("member") {
		ok := e.accept("(")
		any := k.tests[e.take().text]
		return slices.Clone(any), ok && e.accept(")") && len(any) > 0
	}
	left, ok := k.data(e)
	if ok && left.value == "exists" {
		return []condition{{}}, e.is("and")
	}
	if !ok || left.by == "" || !e.accept("=") {
		return nil, false
	}
	right := e.take()
	left.value = right.text
	if digits, isHex := strings.CutPrefix(right.text, "0x"); isHex && !right.quoted {
		switch left.by {
		case "vendor", "user":
			left.value = string(identity(token{text: digits}))
		case "circuit":
		default:
			left.value = digits
		}
	}
	c, ok := left.condition()
	return []condition{c}, ok
}

// data reads the value of an option, of relay4 or of pkt4.mac, or a substring of one of these.
func (k *kea) data(e *expression) (x comparison, ok bool) {
	x.from = "0"
	switch {
	case e.accept("substring"):
		if !e.accept("(") {
			return x, false
		}
		if x, ok = k.data(e); !ok || !e.accept(",") {
			return x, false
		}
		x.sub, x.from = true, e.take().text
		if x.by == "mac" && x.from == "0" {
			x.from = "1" // pkt4.mac has no byte for the type, unlike hardware of dhcpd
		}
		if !e.accept(",") {
			return x, false
		}
		e.take()
		return x, e.accept(")")
	case e.is("option", "relay4"):
		relay := e.take().is("relay4")
		if !e.accept("[") {
			return x, false
		}
		code := strings.ToLower(e.take().text)
		if relay && code == "1" { // sub-option 1 of option 82
			code = "agent.circuit-id"
		} else if relay {
			return x, false
		}
		if k.is6 {
			code = map[string]string{"16": "60", "15": "77", "61": "93"}[code]
		}
		x.by = selectors[code]
		if !e.accept("]") || !e.accept(".") {
			return x, false
		}
		x.value = e.take().text
		return x, x.by != "" || x.value == "exists"
	case e.accept("pkt4"):
		x.by = "mac"
		return x, e.accept(".") && e.accept("mac")
	}
	return x, false
}
