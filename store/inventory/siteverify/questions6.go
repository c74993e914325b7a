package siteverify

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/store/inventory/siteimport"
)

// questions6 returns the packets of IPv6: a known host and an unknown client solicit an address,
// request it of the server that answered, renew and rebind it; leases are bound again, firmware
// solicits, and clients ask for information.
func (s *site) questions6(leases []siteimport.Lease, now time.Time, most int) (out []Question) {
	// SOLICIT, the REQUEST that follows, and the RENEW and REBIND of the address that was given.
	ask := func(q Question) {
		q.six, q.kind, q.iaid = true, solicit, 1
		out = append(out, q)
		name := q.Name
		q.Name, q.kind, q.after = name+" that requests it", request6, len(out)
		out = append(out, q)
		q.after = len(out)
		q.Name, q.kind = name+" that renews", renew
		out = append(out, q)
		q.Name, q.kind = name+" that rebinds", rebind
		out = append(out, q)
	}
	var known []Question
	for _, r := range s.doc.Reserved {
		mac, err1 := net.ParseMAC(r.MAC)
		addr, err2 := netip.ParseAddr(r.IP)
		if p, ok := s.subnetOf6(addr); err1 == nil && err2 == nil && ok && len(mac) == 6 {
			known = append(known, Question{Name: "known host " + r.MAC + " of IPv6", Known: true, Relay: s.relays[p], mac: mac})
		}
	}
	for i := 0; i < len(known); i += stride(len(known), max(1, most/5)) {
		ask(known[i])
	}
	out = append(out, s.rebinds(leases, now, max(1, most/4))...)
	next := 1 << 19
	client := func(q Question) Question {
		q.mac = unknownMAC(next)
		next++
		return q
	}
	for i := 0; i < len(s.subnets6); i += stride(len(s.subnets6), max(1, most/50)) {
		p := s.subnets6[i]
		relay, where := s.relays[p], p.String()
		ask(client(Question{Name: "unknown client in " + where, Relay: relay}))
		q := client(Question{Name: "information in " + where, Relay: relay})
		q.six, q.kind, q.iaid = true, inform, 1
		out = append(out, q)
		for _, f := range firmware {
			if f.arch == 0 { // BIOS has IPv4 alone
				continue
			}
			class := fmt.Sprintf("PXEClient:Arch:%05d:UNDI:003000", f.arch)
			if f.arch == 16 {
				class = fmt.Sprintf("HTTPClient:Arch:%05d:UNDI:003000", f.arch)
			}
			q := client(Question{Name: f.name + " firmware in " + where, Relay: relay})
			q.six, q.kind, q.iaid = true, solicit, 1
			q.extra = map[byte][]byte{opt6Arch: binary.BigEndian.AppendUint16(nil, f.arch), opt6VendorClass: vendorClass6(class)}
			out = append(out, q)
		}
	}
	return out
}

// rebinds asks for leases that last as renewals does. Rebinding names no server, so that both
// answer one packet.
func (s *site) rebinds(leases []siteimport.Lease, now time.Time, most int) (out []Question) {
	var lasting []siteimport.Lease
	for _, l := range leases {
		if _, ok := s.subnetOf6(l.Addr); ok && l.End.After(now) && len(l.DUID) > 0 && l.Bits == 0 && !l.Declined {
			lasting = append(lasting, l)
		}
	}
	for i := 0; i < len(lasting); i += stride(len(lasting), most) {
		l := lasting[i]
		p, _ := s.subnetOf6(l.Addr)
		out = append(out, Question{Name: "lease of " + l.Addr.String() + " that is bound again", Known: true, Relay: s.relays[p],
			mac: l.MAC, kind: rebind, have: l.Addr, six: true, duid: l.DUID, iaid: l.IAID})
	}
	return out
}

// vendorClass6 writes a vendor class of Intel, as firmware has it (UEFI 2.10 section 24.3).
func vendorClass6(class string) []byte {
	b := binary.BigEndian.AppendUint32(nil, 343)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(class))), class...)
}

func (s *site) subnetOf6(a netip.Addr) (best netip.Prefix, ok bool) {
	for _, p := range s.subnets6 {
		if p.Contains(a) && (!ok || p.Bits() > best.Bits()) {
			best, ok = p, true
		}
	}
	return best, ok
}
