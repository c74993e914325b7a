package siteimport

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// hostDecl is a host declaration.
type hostDecl struct {
	name  string
	at    *scope
	item  int
	mac   string
	addrs []hostAddr
}

// hostAddr is a statement with the fixed addresses of a host.
type hostAddr struct {
	addrs []netip.Addr
	item  int
}

func (b *builder) finishHosts() {
	reserved, names, macs := map[netip.Addr]bool{}, map[string]string{}, map[string]bool{}
	for _, h := range b.hosts {
		options := h.at.inherited("subnet", "shared-network", "pool", "")
		if h.mac == "" {
			b.settle(h.item, LeftOut, "the host has no MAC address; add one")
			for _, f := range h.addrs {
				b.settle(f.item, LeftOut, "the host has no MAC address")
			}
			for _, o := range h.at.options {
				b.settle(o.item, LeftOut, "the host has no MAC address")
			}
			continue
		}
		kept := b.reserve(h, reserved)
		if kept > 0 {
			b.settle(h.item, Taken, "reserved IP")
		}
		if len(options) == 0 && len(h.addrs) > 0 && !h.isNamed() {
			if kept == 0 {
				b.settle(h.item, LeftOut, "none of its addresses can be reserved")
			}
			continue
		}
		name, err := inventory.HostName("device", strings.ReplaceAll(strings.SplitN(h.name, ".", 2)[0], "_", "-"))
		if err == nil && names[name] == h.mac && kept > 0 && len(options) == 0 { // its address of the other family
			b.settle(h.item, Taken, "reserved IP of device %s", name)
			continue
		}
		if err != nil || names[name] != "" || macs[h.mac] || dhcpsrv.ClientName(name, "") == "" {
			b.settle(h.item, LeftOut, "another host has its name or MAC address, or the name is not a host name; rename it")
			if kept > 0 {
				b.settle(h.item, Changed, "reserved IP alone: another host has its name or MAC address, or the name is not a host name")
			}
			for _, o := range h.at.options {
				b.settle(o.item, LeftOut, "the host is no device; rename it")
			}
			continue
		}
		names[name], macs[h.mac] = h.mac, true
		b.out.Document.Devices = append(b.out.Document.Devices, sitedoc.Device{
			Hostname: name, Description: b.kind + " host " + clip(h.name), Interfaces: []sitedoc.Interface{{Name: "eth0", MAC: h.mac}},
		})
		if b.settle(h.item, Taken, "device %s", name); kept > 0 {
			b.settle(h.item, Taken, "reserved IP and device %s", name)
		}
		b.snippet(sitedoc.Snippet{Name: b.kind + " host " + name, Device: name}, options)
	}
}

// isNamed reports whether the host gets its name from the server.
func (h *hostDecl) isNamed() bool {
	if h.name == "" {
		return false
	}
	in := h.at
	for in != nil && !in.named {
		in = in.parent
	}
	return in != nil
}

// reserve makes the reserved IPs of a host, and returns how many.
func (b *builder) reserve(h *hostDecl, reserved map[netip.Addr]bool) (n int) {
	for _, f := range h.addrs {
		var kept, not []string
		for _, a := range f.addrs {
			s := b.subnetOf(a)
			switch {
			case s == nil:
				not = append(not, a.String()+" lies in no declared subnet")
			case reserved[a]:
				not = append(not, a.String()+" is of another host, too")
			case s.macs[h.mac]:
				not = append(not, "a MAC address has one address of a subnet, so "+a.String()+" is not kept")
			case slices.Contains(edges(s.prefix), a):
				not = append(not, a.String()+" is the subnet's own")
			default:
				reserved[a], s.macs[h.mac] = true, true
				s.taken = append(s.taken, a)
				kept = append(kept, a.String())
				b.out.Document.Reserved = append(b.out.Document.Reserved, sitedoc.ReservedIP{IP: a.String(), MAC: h.mac, Comment: clip(h.name)})
			}
		}
		n += len(kept)
		switch {
		case len(not) == 0:
			b.settle(f.item, Taken, "reserved IP %s", strings.Join(kept, ", "))
		case len(kept) == 0:
			b.settle(f.item, LeftOut, "%s; correct it", strings.Join(not, "; "))
		default:
			b.settle(f.item, Changed, "reserved IP %s; %s", strings.Join(kept, ", "), strings.Join(not, "; "))
		}
	}
	return n
}

// addHost declares a host.
func (b *builder) addHost(p place, name string, in *scope) *hostDecl {
	h := &hostDecl{name: name, item: b.put(p, Taken, "")}
	h.at = &scope{parent: in, kind: "host", subnet: in.subnet, host: h}
	b.hosts = append(b.hosts, h)
	return h
}

// setMAC sets the MAC address of a host: of an Ethernet interface, since racks know no other.
func (b *builder) setMAC(p place, h *hostDecl, text string) {
	mac, err := net.ParseMAC(padMAC(text))
	switch {
	case err != nil || len(mac) != 6:
		b.put(p, LeftOut, "is not the MAC address of an Ethernet interface; correct it")
	case h.mac != "":
		b.put(p, LeftOut, "the host has a MAC address already; declare another host")
	default:
		h.mac = mac.String()
		b.put(p, Taken, "MAC address %s", h.mac)
	}
}

// setAddrs adds fixed addresses to a host.
func (b *builder) setAddrs(p place, h *hostDecl, addrs ...netip.Addr) {
	h.addrs = append(h.addrs, hostAddr{addrs: addrs, item: b.put(p, Taken, "")})
}

// padMAC writes the bytes of a MAC address with two digits: dhcpd takes 0:1:2:a:b:c, too.
func padMAC(text string) string {
	parts := strings.Split(text, ":")
	for i, p := range parts {
		if len(p) == 1 && p != "*" {
			parts[i] = "0" + p
		}
	}
	return strings.Join(parts, ":")
}
