package siteimport

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// record translates the lines that declare DNS names.
func (d *dnsmasq) record(x directive) {
	f := x.fields
	if len(f) == 0 {
		d.put(x.place, LeftOut, "has no value; correct it")
		return
	}
	switch x.name {
	case "address":
		d.address(x)
	case "host-record":
		d.hostRecord(x)
	case "cname":
		d.cnames(x)
	case "ptr-record":
		addr, ok := reverseAddr(f[0])
		if !ok || len(f) < 2 {
			d.put(x.place, LeftOut, "is not the name of an address, such as 1.2.0.192.in-addr.arpa")
			return
		}
		d.addPTR(x.place, addr, f[1])
	case "srv-host":
		d.service(x)
	case "txt-record":
		var texts []string
		for _, text := range f[1:] {
			texts = append(texts, strconv.Quote(text))
		}
		if len(texts) == 0 {
			texts = []string{`""`}
		}
		d.addRecord(x.place, f[0], "TXT", strings.Join(texts, " "), 0)
	case "mx-host":
		target, pref := f[0], "1"
		if len(f) > 1 {
			target = f[1]
		}
		if len(f) > 2 {
			pref = f[2]
		}
		d.addRecord(x.place, f[0], "MX", pref+" "+absolute(target), 0)
	case "caa-record":
		if len(f) != 4 {
			d.put(x.place, LeftOut, "is not NAME,FLAGS,TAG,VALUE; correct it")
			return
		}
		d.addRecord(x.place, f[0], "CAA", fmt.Sprintf("%s %s %q", f[1], f[2], f[3]), 0)
	}
}

// absolute writes the name of a server with the dot at its end.
func absolute(name string) string { return strings.TrimSuffix(name, ".") + "." }

// address translates: address=/NAME/ADDR, which holds for all names below NAME as well.
func (d *dnsmasq) address(x directive) {
	at := strings.LastIndexByte(x.value, '/')
	if !strings.HasPrefix(x.value, "/") || at <= 0 {
		d.put(x.place, LeftOut, "holds for all names; a site answers for its own domains")
		return
	}
	addr, err := netip.ParseAddr(x.value[at+1:])
	if err != nil || addr.IsUnspecified() {
		d.put(x.place, LeftOut, "names are not blocked; use a DNS server that does, as %s", "upstream_dns")
		return
	}
	d.put(x.place, Taken, "its names follow")
	for name := range strings.SplitSeq(x.value[1:at], "/") {
		if !strings.Contains(name, ".") {
			d.put(x.part(name), LeftOut, "a whole top-level domain has no counterpart")
			continue
		}
		d.addAddress(x.part(name), name, addr, 0)
		// dnsmasq answers all names below, which a wildcard does except below names that exist (RFC
		// 4592).
		d.addAddress(x.part("*."+name), "*."+name, addr, 0)
	}
}

// hostRecord translates host-record: names, an IPv4 and an IPv6 address, and a TTL, in any order.
func (d *dnsmasq) hostRecord(x directive) {
	var names []string
	var addrs []netip.Addr
	ttl := 0
	for _, f := range x.fields {
		if a, err := netip.ParseAddr(f); err == nil {
			addrs = append(addrs, a)
		} else if n, err := strconv.Atoi(f); err == nil && n > 0 {
			ttl = n
		} else if f != "" {
			names = append(names, f)
		}
	}
	if len(addrs) == 0 || len(names) == 0 {
		d.put(x.place, LeftOut, "has no name and address; correct it")
		return
	}
	d.put(x.place, Taken, "its names follow")
	for _, name := range names {
		for _, a := range addrs {
			p := x.part(name + " " + a.String())
			if !strings.Contains(name, ".") {
				d.hostName(p, name, a)
				continue
			}
			d.addAddress(p, name, a, ttl)
		}
	}
}

// cnames translates: cname=ALIAS[,ALIAS...],TARGET[,TTL].
func (d *dnsmasq) cnames(x directive) {
	f, ttl := x.fields, 0
	if n, err := strconv.Atoi(f[len(f)-1]); err == nil {
		f, ttl = f[:len(f)-1], n
	}
	if len(f) < 2 {
		d.put(x.place, LeftOut, "is not ALIAS,TARGET; correct it")
		return
	}
	d.put(x.place, Taken, "its names follow")
	for _, alias := range f[:len(f)-1] {
		d.addRecord(x.part(alias), alias, "CNAME", absolute(f[len(f)-1]), ttl)
	}
}

// service translates: srv-host=_SERVICE._PROTO.NAME[,TARGET[,PORT[,PRIORITY[,WEIGHT]]]].
func (d *dnsmasq) service(x directive) {
	at := []string{"", "", "1", "0", "0"}
	copy(at, x.fields)
	name := at[0]
	if strings.Count(name, ".") == 1 && d.domain != "" { // the domain is the default
		name += "." + d.domain
	}
	target := "."
	if at[1] != "" {
		target = absolute(at[1])
	}
	d.addRecord(x.place, name, "SRV", at[3]+" "+at[4]+" "+at[2]+" "+target, 0)
}
