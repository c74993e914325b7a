package siteimport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// optionType describes the values of an option that a configuration defines.
type optionType struct {
	code string
	text bool // in quotes
	size int  // of integers in bytes; 0 = addresses, or text
	bits bool // on or off
}

// pairs are the options whose values are pairs of addresses.
var pairs = []string{"static-routes", "policy-filter"}

// dhcpdOptions are the options of dhcp-options(5) whose names snippets do not have.
func dhcpdOptions() map[string]optionType {
	return map[string]optionType{
		"cookie-servers": {code: "8"}, "impress-servers": {code: "10"}, "resource-location-servers": {code: "11"}, "boot-size": {code: "13", size: 2},
		"merit-dump": {code: "14", text: true}, "swap-server": {code: "16"}, "extensions-path": {code: "18", text: true},
		"non-local-source-routing": {code: "20", bits: true}, "policy-filter": {code: "21"}, "max-dgram-reassembly": {code: "22", size: 2},
		"path-mtu-aging-timeout": {code: "24", size: 4}, "all-subnets-local": {code: "27", bits: true}, "perform-mask-discovery": {code: "29", bits: true},
		"mask-supplier": {code: "30", bits: true}, "router-discovery": {code: "31", bits: true}, "router-solicitation-address": {code: "32"},
		"static-routes": {code: "33"}, "trailer-encapsulation": {code: "34", bits: true}, "arp-cache-timeout": {code: "35", size: 4},
		"ieee802-3-encapsulation": {code: "36", bits: true}, "default-tcp-ttl": {code: "37", size: 1}, "tcp-keepalive-interval": {code: "38", size: 4},
		"tcp-keepalive-garbage": {code: "39", bits: true}, "netbios-dd-server": {code: "45"}, "netbios-node-type": {code: "46", size: 1},
		"netbios-scope": {code: "47", text: true}, "font-servers": {code: "48"}, "x-display-manager": {code: "49"}, "nisplus-domain": {code: "64", text: true},
		"nisplus-servers": {code: "65"}, "mobile-ip-home-agent": {code: "68"}, "pop-server": {code: "70"}, "nntp-server": {code: "71"}, "www-server": {code: "72"},
		"finger-server": {code: "73"}, "irc-server": {code: "74"}, "streettalk-server": {code: "75"}, "streettalk-directory-assistance-server": {code: "76"},
		"nds-servers": {code: "85"}, "nds-tree-name": {code: "86", text: true}, "uap-servers": {code: "98", text: true},
	}
}

// option translates a statement such as: option routers 192.0.2.1;
func (d *dhcpd) option(s *statement, in *scope) {
	if s.word(1) == "space" || strings.HasPrefix(s.word(2), "code") && len(s.words) > 3 {
		d.define(s)
		return
	}
	if len(s.words) < 3 || len(s.body) > 0 {
		d.leave(s, "an option needs a name and a value")
		return
	}
	o := option{name: s.word(1)}
	why := d.value(s, &o)
	if o.name == "dhcp6.domain-name-servers" {
		o.name = "dhcp6.name-servers"
	}
	d.addOption(s.place(), in, o, why)
}

// define learns the type of an option: option NAME code 150 = ip-address;
func (d *dhcpd) define(s *statement) {
	if s.word(1) == "space" {
		d.add(s, LeftOut, "options in spaces of their own have no counterpart; write their bytes as option 43")
		return
	}
	code, err := strconv.ParseUint(s.word(3), 10, 8)
	t := optionType{code: strconv.FormatUint(code, 10)}
	at := 5 // after the = sign
	if s.word(at) == "array" && s.word(at+1) == "of" {
		at += 2
	}
	if s.word(at) == "unsigned" || s.word(at) == "signed" {
		at++
	}
	known := true
	switch s.word(at) {
	case "text":
		t.text = true
	case "string", "ip-address", "ip6-address":
	case "boolean":
		t.bits = true
	case "integer":
		n, err := strconv.Atoi(s.word(at + 1))
		known = err == nil && (n == 8 || n == 16 || n == 32)
		t.size = n / 8
	default:
		known = false
	}
	name := s.word(1)
	switch {
	case err != nil || strings.Contains(name, "."):
		d.add(s, LeftOut, "options in spaces of their own have no counterpart; write their bytes as option 43")
	case !known:
		d.add(s, LeftOut, "options of this type have no counterpart; write their bytes as option %d", code)
	default:
		d.types[name] = t
		d.add(s, Changed, "%s is written as option %d", name, code)
	}
}

// value writes the value of an option as a snippet has it, and returns why it cannot.
func (d *dhcpd) value(s *statement, o *option) (why string) {
	var values []string
	for i, w := range s.words[2:] {
		switch {
		case w.is(","):
			continue
		case !w.quoted && i%3 == 1 && slices.Contains(pairs, o.name) && len(values) > 0: // the second one of a pair
			values = append(values, w.text)
		case !w.quoted && strings.ContainsAny(w.text, "()="), i > 0 && !s.words[i+1].is(","):
			return "expressions are not evaluated; write the value itself"
		case w.quoted && strings.Contains(w.text, `"`):
			return "text with a quote in it has no counterpart"
		case w.quoted:
			values = append(values, `"`+w.text+`"`)
		default:
			values = append(values, w.text)
		}
	}
	t, own := d.types[o.name]
	if !own {
		o.value = strings.Join(values, ", ")
		return ""
	}
	o.name = t.code
	if !t.bits && t.size == 0 {
		o.value = strings.Join(values, ", ")
		return ""
	}
	var data []string
	for _, v := range values {
		n, err := strconv.ParseInt(v, 0, 64)
		size := t.size
		if t.bits {
			n, err, size = map[string]int64{"on": 1, "true": 1}[v], nil, 1
		}
		if err != nil {
			return fmt.Sprintf("%q is not a number", clip(v))
		}
		for i := range size {
			data = append(data, fmt.Sprintf("%02x", byte(n>>(8*(size-1-i)))))
		}
	}
	o.value = strings.Join(data, ":")
	return ""
}
