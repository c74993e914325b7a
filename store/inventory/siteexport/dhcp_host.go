package siteexport

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// hosts makes the hosts of machines, devices and reserved IPs. What has the same MAC address is one
// host: a bond and its first interface, or a device and its reserved IP.
func (b *dhcpBuilder) hosts() {
	b.nodes = map[string]*host{}
	for i := range b.doc.Machines {
		m := &b.doc.Machines[i]
		b.node(m.Hostname, m.Domain, m.Description, m.Interfaces, &m.Hostname, &m.Description)
	}
	for i := range b.doc.Devices {
		d := &b.doc.Devices[i]
		b.node(d.Hostname, d.Domain, d.Description, d.Interfaces, &d.Hostname, &d.Description)
	}
	for i := range b.doc.Reserved {
		r := &b.doc.Reserved[i]
		mac, err1 := net.ParseMAC(r.MAC)
		a, err2 := netip.ParseAddr(r.IP)
		if err1 != nil || err2 != nil || b.subnetOf(a) == nil {
			b.left("is no address of a subnet with a MAC address; correct it", &r.IP, &r.MAC, &r.Comment)
			continue
		}
		h := b.byMAC[mac.String()]
		if h == nil {
			name := hostLabel(r.Comment)
			if name == "" || b.names[name] {
				name = "reserved-" + strings.Trim(strings.NewReplacer(".", "-", ":", "-").Replace(a.String()), "-")
			}
			h = b.host(name, mac)
			if h.name == r.Comment {
				b.taken("the name of the host", &r.Comment)
			} else {
				h.comment = r.Comment
				b.changed("a comment of the host, or part of its name", &r.Comment)
			}
		} else {
			b.left("the host has the name of a machine, of a device or of another address", &r.Comment)
		}
		b.fixed(h, a)
		b.taken("a fixed address", &r.IP, &r.MAC)
	}
	for _, h := range b.site.hosts {
		for _, a := range h.addrs {
			s := b.subnetOf(a)
			if len(s.hosts) == 0 || s.hosts[len(s.hosts)-1] != h {
				s.hosts = append(s.hosts, h)
			}
		}
	}
	for i := range b.doc.Addresses { // no client gets what a user has
		x := &b.doc.Addresses[i]
		if a, err := netip.ParseAddr(x.IP); err == nil {
			b.reserved.Add(a)
		}
		b.changed("no pool has it", &x.IP)
	}
}

// node makes the hosts of the interfaces with a MAC address.
func (b *dhcpBuilder) node(hostname, domain, description string, interfaces []sitedoc.Interface, name, comment any) {
	first, wrote := true, false
	for i := range interfaces {
		x := &interfaces[i]
		mac, err := net.ParseMAC(x.MAC)
		if err != nil || len(mac) != 6 {
			b.left("a host is known by the MAC address of its interface", &x.Name)
			continue
		}
		label := hostname
		if !first {
			label += "-" + x.Name
			b.taken("part of the name of the host", &x.Name)
		} else {
			b.left("the host has the name of the machine or device", &x.Name)
		}
		h := b.byMAC[mac.String()]
		if h == nil {
			h = b.host(hostLabel(label), mac)
			h.node = true
			b.taken("a host", &x.MAC)
			if first {
				h.comment, wrote = description, true
			}
		} else {
			b.changed("one host has the addresses of all interfaces with this MAC address", &x.MAC)
			b.left("another interface has the MAC address", &x.Name)
		}
		if first {
			b.nodes[strings.ToLower(fqdn(hostname, b.domainOf(domain)))] = h
		}
		first = false
		for n := range x.Links {
			l := &x.Links[n]
			a, err := netip.ParseAddr(l.IP)
			if err != nil || b.subnetOf(a) == nil {
				b.left("the address is not known before the interface asks for one", &l.Mode, &l.Subnet)
				continue
			}
			b.fixed(h, a)
			b.taken("a fixed address", &l.IP)
			b.left("follows from the address", &l.Mode, &l.Subnet)
		}
	}
	if wrote {
		b.taken("the name of the host", name)
		b.taken("a comment", comment)
		return
	}
	b.left("no host without an interface with a MAC address of its own", name, comment)
}

// domainOf returns a domain by its name, or the default one.
func (p *page) domainOf(name string) string {
	for _, d := range p.doc.Domains {
		if name == "" && d.Default {
			return d.Name
		}
	}
	return name
}

// fqdn is the full name of a host.
func fqdn(hostname, domain string) string { return strings.Trim(hostname+"."+domain, ".") }

// host makes a host with a name that no other one has.
func (b *dhcpBuilder) host(name string, mac net.HardwareAddr) *host {
	base := name
	for n := 2; b.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	h := &host{name: name, mac: mac}
	b.names[name], b.byMAC[mac.String()] = true, h
	b.site.hosts = append(b.site.hosts, h)
	return h
}

func (b *dhcpBuilder) fixed(h *host, a netip.Addr) {
	b.reserved.Add(a)
	if !slices.Contains(h.addrs, a) {
		h.addrs = append(h.addrs, a)
	}
}

// hostLabel makes a name for a declaration of a text: letters, digits, dashes and dots.
func hostLabel(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '-'
	}, text), "-.")
}
