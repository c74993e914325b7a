package siteverify

import (
	"context"
	"net"
	"net/netip"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// model answers as the document says, without the plan: known hosts have their address, unknown
// clients one of a range of their link, and a subnet its gateway and DNS servers.
type model struct{ *site }

func (m model) ask(ctx context.Context, all []Question) ([]Answer, error) {
	out := make([]Answer, len(all))
	for i, q := range all {
		out[i] = m.answer(q)
	}
	return out, ctx.Err()
}

func (m model) answer(q Question) Answer {
	p, _ := m.subnetOf(q.Relay)
	a := Answer{Type: offer, Options: map[byte][]byte{1: net.CIDRMask(p.Bits(), 32)}}
	if q.kind == request {
		a.Type = ack
	}
	sub := m.subnet(p)
	if gateway, err := netip.ParseAddr(sub.Gateway); err == nil {
		a.Options[3] = gateway.AsSlice()
	}
	for _, text := range sub.DNSServers {
		if server, err := netip.ParseAddr(text); err == nil && server.Is4() {
			a.Options[6] = append(a.Options[6], server.AsSlice()...)
		}
	}
	switch {
	case q.have.IsValid():
		a.Addr = q.have
	case q.want.IsValid() && !p.Contains(q.want):
		return Answer{Type: nak}
	case q.Known:
		a.Addr = m.reservedFor(q.mac, p)
	default:
		if a.Addr = m.firstOf(p); !a.Addr.IsValid() {
			return Answer{}
		}
	}
	for _, c := range m.doc.Classes {
		if c.Ignore && q.Name == "client of class "+c.Name {
			return Answer{}
		}
	}
	return a
}

func (m model) subnet(p netip.Prefix) (none sitedoc.Subnet) {
	for _, sub := range m.doc.Subnets {
		if sub.CIDR == p.String() {
			return sub
		}
	}
	return none
}

// reservedFor returns the address of a host in a subnet.
func (m model) reservedFor(mac net.HardwareAddr, p netip.Prefix) (none netip.Addr) {
	for a, of := range m.reserve {
		if p.Contains(a) && of == mac.String() {
			return a
		}
	}
	return none
}

// firstOf returns an address of a range without a class, of the subnet or of another one on its
// VLAN: these share the wire.
func (m model) firstOf(p netip.Prefix) (none netip.Addr) {
	for _, r := range m.doc.Ranges {
		first, err := netip.ParseAddr(r.Start)
		in, ok := m.subnetOf(first)
		if err == nil && ok && r.Type == "dynamic" && r.Class == "" && m.subnet(in).VLAN == m.subnet(p).VLAN {
			return first
		}
	}
	return none
}
