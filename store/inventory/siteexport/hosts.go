package siteexport

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory/siteimport"
)

// writeHosts writes hosts(5), and ethers(5) with the MAC addresses of IPv4 addresses.
func writeHosts(p *page) {
	names := p.hostNames()
	var hosts, ethers text
	hosts.line("# %s", written)
	ethers.line("# %s", written)
	var order []netip.Addr
	byAddr := map[netip.Addr][]string{}
	add := func(a netip.Addr, name string) {
		if byAddr[a] == nil {
			order = append(order, a)
		}
		if !slices.Contains(byAddr[a], name) {
			byAddr[a] = append(byAddr[a], name)
		}
	}
	n := 0
	ether := func(mac string, a netip.Addr) {
		if mac != "" && a.Is4() {
			ethers.line("%s %s", strings.ToLower(mac), a)
			n++
		}
	}
	for _, h := range names {
		add(h.addr, h.name)
		ether(h.mac, h.addr)
	}
	for _, r := range p.records() {
		a, ok := r.addrRecord()
		if !ok || strings.HasPrefix(r.name, "*") {
			p.left("a hosts file has names with addresses alone", &r.doc.Domain, &r.doc.Name, &r.doc.Type, &r.doc.Data)
			continue
		}
		add(a, r.name)
		p.taken("a line with its address", &r.doc.Domain, &r.doc.Name, &r.doc.Data)
		p.changed("follows from the address", &r.doc.Type)
	}
	for i := range p.doc.Reserved {
		r := &p.doc.Reserved[i]
		a, err := netip.ParseAddr(r.IP)
		if err != nil || !a.Is4() {
			p.left("ethers has IPv4 addresses alone", &r.IP, &r.MAC)
			continue
		}
		ether(r.MAC, a)
		p.taken("a line of ethers", &r.IP, &r.MAC)
	}
	p.ethersOf()
	p.namesOf()
	slices.SortStableFunc(order, netip.Addr.Compare)
	for _, a := range order {
		hosts.line("%s %s", a, strings.Join(byAddr[a], " "))
	}
	if len(order) > 0 {
		p.add("hosts", hosts.String())
	}
	if n > 0 {
		p.add("ethers", ethers.String())
	}
}

// ethersOf decides on the MAC addresses of interfaces: those with an IPv4 address are written.
func (p *page) ethersOf() {
	for _, list := range p.interfaces() {
		for i := range list {
			x := &list[i]
			o, why := siteimport.LeftOut, "the interface has no IPv4 address"
			for _, l := range x.Links {
				if a, err := netip.ParseAddr(l.IP); err == nil && a.Is4() {
					o, why = siteimport.Taken, "a line of ethers"
				}
			}
			p.settle(o, why, []any{&x.MAC})
		}
	}
}
