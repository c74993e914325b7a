package siteimport

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// dnsmasqOption is an option with the tags of the clients that get it.
type dnsmasqOption struct {
	p    place // with its item
	tags []string
	option
}

// dnsmasqOptions and dnsmasqOptions6 are the numbers of the options that dnsmasq names.
var dnsmasqOptions = map[string]int{
	"netmask": 1, "time-offset": 2, "router": 3, "dns-server": 6, "log-server": 7, "lpr-server": 9, "hostname": 12, "boot-file-size": 13, "domain-name": 15,
	"swap-server": 16, "root-path": 17, "extension-path": 18, "ip-forward-enable": 19, "non-local-source-routing": 20, "policy-filter": 21,
	"max-datagram-reassembly": 22, "default-ttl": 23, "mtu": 26, "all-subnets-local": 27, "broadcast": 28, "router-discovery": 31, "router-solicitation": 32,
	"static-route": 33, "trailer-encapsulation": 34, "arp-timeout": 35, "ethernet-encap": 36, "tcp-ttl": 37, "tcp-keepalive": 38, "nis-domain": 40,
	"nis-server": 41, "ntp-server": 42, "netbios-ns": 44, "netbios-dd": 45, "netbios-nodetype": 46, "netbios-scope": 47, "x-windows-fs": 48, "x-windows-dm": 49,
	"T1": 58, "T2": 59, "vendor-class": 60, "client-id": 61, "nis+-domain": 64, "nis+-server": 65, "tftp-server": 66, "bootfile-name": 67, "mobile-ip-home": 68,
	"smtp-server": 69, "pop3-server": 70, "nntp-server": 71, "irc-server": 74, "user-class": 77, "rapid-commit": 80, "client-arch": 93, "client-interface-id": 94,
	"client-machine-id": 97, "posix-timezone": 100, "tzdb-timezone": 101, "ipv6-only": 108, "domain-search": 119, "sip-server": 120,
	"classless-static-route": 121, "vendor-id-encap": 125, "tftp-server-address": 150, "server-ip-address": 255,
}

var dnsmasqOptions6 = map[string]int{
	"sip-server-domain": 21, "sip-server": 22, "dns-server": 23, "domain-search": 24, "nis-server": 27, "nis+-server": 28, "nis-domain": 29, "nis+-domain": 30,
	"sntp-server": 31, "information-refresh-time": 32, "posix-timezone": 41, "tzdb-timezone": 42, "ntp-server": 56, "bootfile-url": 59, "bootfile-param": 60,
}

// option reads: [tag:T,][encap:N,][vendor:T,]option:NAME,VALUE... and its forms.
func (d *dnsmasq) option(x directive, fields []string) {
	o := dnsmasqOption{}
	why := ""
	for len(fields) > 0 {
		f := fields[0]
		if tag, ok := strings.CutPrefix(f, "tag:"); ok {
			o.tags = append(o.tags, tag)
		} else if tag, ok := strings.CutPrefix(f, "net:"); ok {
			o.tags = append(o.tags, tag)
		} else if strings.HasPrefix(f, "vendor:") || strings.HasPrefix(f, "encap:") || strings.HasPrefix(f, "vi-encap:") {
			why = "options within options have no counterpart; write their bytes as option 43"
		} else if len(fields) > 1 && !isOptionName(f) && isOptionName(fields[1]) { // an old form has the tag alone
			o.tags = append(o.tags, f)
		} else {
			break
		}
		fields = fields[1:]
	}
	if len(fields) == 0 {
		d.put(x.place, LeftOut, "has no option; correct it")
		return
	}
	if len(fields) == 1 && (fields[0] == "3" || fields[0] == "option:router") {
		d.noRouter = true
	}
	if len(fields) == 1 && (fields[0] == "6" || fields[0] == "option:dns-server") {
		d.noDNS = true
	}
	if why == "" {
		o.option, why = dnsmasqValue(fields[0], fields[1:])
	}
	if why != "" {
		d.put(x.place, LeftOut, "%s", why)
		return
	}
	o.p = placeOf(d.put(x.place, LeftOut, "no line sets its tag"), x.place)
	d.options = append(d.options, o)
}

// dnsmasqValue writes an option as a snippet has it.
func dnsmasqValue(name string, values []string) (o option, why string) {
	codes, prefix := dnsmasqOptions, ""
	text := strings.TrimPrefix(name, "option:")
	if rest, ok := strings.CutPrefix(name, "option6:"); ok {
		codes, prefix, text = dnsmasqOptions6, "dhcp6.", rest
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		known, ok := codes[text]
		if !ok {
			return o, "the option has no name that is known; write its number"
		}
		code = known
	}
	o.name = prefix + strconv.Itoa(code)
	addrs := slices.IndexFunc(values, func(v string) bool { return !isAddr(v) }) < 0
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return o, "racks send no empty option; without it they send none"
	// dnsmasq puts its own address on the interface in the place of these.
	case slices.ContainsFunc(values, func(v string) bool { return v == "0.0.0.0" || v == "[::]" }):
		return o, "stands for the server itself; write the address"
	case slices.ContainsFunc(values, func(v string) bool { return strings.ContainsAny(v, "\";\n") }):
		return o, "text with a quote or a semicolon has no counterpart"
	case addrs:
		for i, v := range values {
			values[i] = strings.Trim(v, "[]")
		}
		o.value = strings.Join(values, ", ")
	case code == 121 && prefix == "":
		return routesOption(o, values)
	case code == 119 && prefix == "", code == 24 && prefix != "":
		o.value = strings.Join(values, ", ")
	case len(values) > 1:
		return o, "lists of other values than addresses have no counterpart; write their bytes with colons"
	default:
		o.value = scalar(code, values[0])
	}
	return o, ""
}

// isOptionName reports whether a field is the number or name of an option.
func isOptionName(f string) bool {
	_, err := strconv.ParseUint(f, 10, 8)
	return err == nil || strings.HasPrefix(f, "option:") || strings.HasPrefix(f, "option6:")
}

func isAddr(v string) bool {
	_, err := netip.ParseAddr(strings.Trim(v, "[]"))
	return err == nil
}

// numbered are the options that have a number, which snippets know; 32 is of IPv6.
var numbered = []int{2, 23, 26, 32}

// scalar writes one value: bytes, a number in as few bytes as it needs, or text.
func scalar(code int, v string) string {
	n, err := strconv.ParseUint(v, 10, 32)
	switch {
	case code == 19: // on or off: forwarding of packets
		return map[string]string{"0": "off", "1": "on"}[v]
	case err == nil && slices.Contains(numbered, code):
		return v
	case err == nil && n < 1<<8:
		return colons([]byte{byte(n)})
	case err == nil && n < 1<<16:
		return colons([]byte{byte(n >> 8), byte(n)})
	case err == nil:
		return colons([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	case hexBytes.MatchString(v):
		return v
	}
	return `"` + v + `"`
}

// routesOption writes destinations and gateways as RFC 3442 has them: the length of a prefix, its
// significant bytes, and the gateway.
func routesOption(o option, values []string) (option, string) {
	var raw []byte
	if len(values)%2 != 0 {
		return o, "routes are pairs of a network and a gateway; correct it"
	}
	for i := 0; i < len(values); i += 2 {
		to, err := netip.ParsePrefix(values[i])
		if err != nil {
			a, _ := netip.ParseAddr(values[i])
			to = netip.PrefixFrom(a, 32)
		}
		via, err := netip.ParseAddr(values[i+1])
		if err != nil || !via.Is4() || !to.IsValid() || !to.Addr().Is4() {
			return o, "routes are pairs of a network and a gateway; correct it"
		}
		dst, gw := to.Addr().As4(), via.As4()
		raw = append(append(append(raw, byte(to.Bits())), dst[:(to.Bits()+7)/8]...), gw[:]...)
	}
	o.value = colons(raw)
	return o, ""
}

// place gives an option to what has its tag: the subnets of ranges, hosts, or a class. Without a
// tag it is of the whole site.
func (d *dnsmasq) place(o dnsmasqOption) {
	tags := slices.DeleteFunc(o.tags, func(t string) bool { return t == "" || t == "#" })
	if len(tags) == 0 {
		d.addOption(o.p, d.site, o.option, "")
		return
	}
	if len(tags) > 1 || strings.HasPrefix(tags[0], "!") {
		d.put(o.p, LeftOut, "options of several tags, or without one, have no counterpart; see dhcp_classes")
		return
	}
	tag := tags[0]
	scopes := slices.Concat(d.setBy(tag), d.hosts[tag])
	if c := d.classes[tag]; c != nil {
		scopes = append(scopes, c.at)
	}
	if len(scopes) == 0 && d.sets(tag) {
		d.put(o.p, LeftOut, "a range without addresses sets its tag beside other ranges of its subnet; options hold for all clients of a subnet")
	}
	for _, at := range scopes {
		if !slices.ContainsFunc(at.options, func(have option) bool { return have.item == o.p.item-1 }) {
			d.addOption(o.p, at, o.option, "")
		}
	}
}

// sets reports whether a range sets a tag.
func (d *dnsmasq) sets(tag string) bool {
	return slices.ContainsFunc(d.ranges, func(r dnsmasqRange) bool { return slices.Contains(r.sets, tag) })
}

// setBy returns what has the options of a tag that ranges set: a subnet whose ranges all set it, or
// else the ranges alone. A range without addresses has no clients but those of its subnet.
func (d *dnsmasq) setBy(tag string) (out []*scope) {
	others := map[*subnetDecl]bool{}
	for _, r := range d.ranges {
		if !slices.Contains(r.sets, tag) {
			others[r.subnet] = true
		}
	}
	for _, r := range d.ranges {
		at := r.subnet.at
		if others[r.subnet] {
			at = r.pool
		}
		if at != nil && slices.Contains(r.sets, tag) && !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
}
