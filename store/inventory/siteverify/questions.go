package siteverify

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"go4.org/netipx"

	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// DefaultPackets is the number of packets that are asked unless Options say otherwise. A server
// answers them in a second or two.
const DefaultPackets = 1000

// bounds are the numbers of questions of each sort; of more objects each n-th is asked.
type bounds struct{ known, renewals, classes, subnets int }

func boundsOf(packets int) bounds {
	return bounds{max(2, packets*2/5), max(1, packets/4), max(1, packets/20), max(1, packets*3/100)}
}

// site holds the document with what depends on addresses.
type site struct {
	doc      sitedoc.Document
	subnets  []netip.Prefix // of IPv4
	subnets6 []netip.Prefix
	ranges   []netipx.IPRange // dynamic
	taken    map[netip.Addr]bool
	reserve  map[netip.Addr]string // MAC addresses by reserved IP
	relays   map[netip.Prefix]netip.Addr
	servers  map[netip.Prefix]netip.Addr
}

func newSite(doc sitedoc.Document) *site {
	s := &site{doc: doc, taken: map[netip.Addr]bool{}, reserve: map[netip.Addr]string{}, relays: map[netip.Prefix]netip.Addr{}, servers: map[netip.Prefix]netip.Addr{}}
	for _, r := range doc.Reserved {
		if a, err := netip.ParseAddr(r.IP); err == nil {
			s.taken[a], s.reserve[a] = true, r.MAC
		}
	}
	for _, r := range doc.Ranges {
		first, _ := netip.ParseAddr(r.Start)
		last, _ := netip.ParseAddr(r.End)
		if r.Type == "dynamic" && first.IsValid() {
			s.ranges = append(s.ranges, netipx.IPRangeFrom(first, last))
		}
	}
	for _, sub := range doc.Subnets {
		p, err := netip.ParsePrefix(sub.CIDR)
		if err != nil || p.Addr().BitLen()-p.Bits() < 3 { // a smaller one has no room for a relay and a server
			continue
		}
		if p.Addr().Is4() {
			s.subnets = append(s.subnets, p)
		} else {
			s.subnets6 = append(s.subnets6, p)
		}
		gateway, _ := netip.ParseAddr(sub.Gateway)
		s.taken[gateway] = true
		if s.servers[p] = s.free(p); gateway.IsValid() {
			s.relays[p] = gateway // relays are routers
		} else {
			s.relays[p] = s.free(p)
		}
	}
	return s
}

// free takes an address of a subnet that no host and no dynamic range has: from its end, where
// configurations have the fewest.
func (s *site) free(p netip.Prefix) netip.Addr {
	a := netipx.PrefixLastIP(p).Prev()
	for range 4096 {
		if !s.taken[a] && !s.dynamic(a) && p.Contains(a) {
			break
		}
		a = a.Prev()
	}
	if !p.Contains(a) || a == p.Addr() || s.dynamic(a) { // the whole subnet is a range: one of its addresses it is
		a = netipx.PrefixLastIP(p).Prev()
	}
	s.taken[a] = true
	return a
}

func (s *site) dynamic(a netip.Addr) bool {
	for _, r := range s.ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

func (s *site) subnetOf(a netip.Addr) (best netip.Prefix, ok bool) {
	for _, p := range s.subnets {
		if p.Contains(a) && (!ok || p.Bits() > best.Bits()) {
			best, ok = p, true
		}
	}
	return best, ok
}

// stride returns the step by which at most most of n objects are asked.
func stride(n, most int) int { return max(1, (n+most-1)/most) }

// unknownMAC is the address of a client that no configuration has: 0a is locally administered.
func unknownMAC(n int) net.HardwareAddr {
	return net.HardwareAddr{0x0a, 0x76, 0x65, byte(n >> 16), byte(n >> 8), byte(n)}
}

// firmware are the architectures that are asked for (RFC 4578, and the numbers of IANA after it).
var firmware = []struct {
	arch uint16
	name string
}{{0, "BIOS"}, {6, "UEFI of 32 bits"}, {7, "UEFI"}, {9, "UEFI, by its other number"}, {11, "UEFI of ARM64"}, {16, "UEFI over HTTP"}}

// questions returns the packets in their order.
func (s *site) questions(leases []siteimport.Lease, now time.Time, most bounds) (out []Question) {
	out = append(out, s.known(most.known)...)
	out = append(out, s.renewals(leases, now, most.renewals)...)
	next := 0
	client := func(q Question) {
		q.mac, q.kind = unknownMAC(next), discover
		next++
		out = append(out, q)
	}
	for i := 0; i < len(s.subnets); i += stride(len(s.subnets), most.subnets) {
		relay, where := s.relays[s.subnets[i]], s.subnets[i].String()
		client(Question{Name: "unknown client in " + where, Relay: relay})
		client(Question{Name: "unknown client with identifier in " + where, Relay: relay, extra: map[byte][]byte{optClientID: {0, 'v', 'e', 'r', 'i', 'f', 'y'}}})
		for _, f := range firmware {
			vendor := fmt.Sprintf("PXEClient:Arch:%05d:UNDI:003000", f.arch)
			if f.arch == 16 {
				vendor = fmt.Sprintf("HTTPClient:Arch:%05d:UNDI:003000", f.arch)
			}
			client(Question{Name: f.name + " firmware in " + where, Relay: relay, extra: map[byte][]byte{optVendorClass: []byte(vendor), optArch: {0, byte(f.arch)}}})
		}
		client(Question{Name: "iPXE in " + where, Relay: relay, extra: map[byte][]byte{optUserClass: []byte("iPXE"), optArch: {0, 7}, optVendorClass: []byte("PXEClient:Arch:00007:UNDI:003000")}})
		// A client that moved here from another network: an authoritative server refuses its
		// address.
		q := Question{Name: "client of another network in " + where, Known: true, Relay: relay, kind: request, want: netip.AddrFrom4([4]byte{100, 127, 255, 9}), mac: unknownMAC(1 << 20)}
		out = append(out, q)
	}
	for i := 0; i < len(s.doc.Classes) && len(s.subnets) > 0; i += stride(len(s.doc.Classes), most.classes) {
		for _, q := range s.ofClass(s.doc.Classes[i]) {
			q.mac[5] = byte(i)
			out = append(out, q)
		}
	}
	return out
}

// known asks for reserved IPs: by MAC address, with the client identifier that most systems make of
// it, and as a client that has the address already.
func (s *site) known(most int) (out []Question) {
	for i := 0; i < len(s.doc.Reserved); i += stride(len(s.doc.Reserved), most/2) {
		r := s.doc.Reserved[i]
		mac, err := net.ParseMAC(r.MAC)
		addr, err2 := netip.ParseAddr(r.IP)
		p, ok := s.subnetOf(addr)
		if err != nil || err2 != nil || !ok {
			continue
		}
		q := Question{Name: "known host " + r.MAC, Known: true, Relay: s.relays[p], mac: mac, kind: discover}
		again := q
		again.Name, again.kind, again.want = q.Name+" that restarts", request, addr
		again.extra = map[byte][]byte{optClientID: append([]byte{1}, mac...)}
		out = append(out, q, again)
	}
	return out
}

// renewals asks for leases that last: rebinding, which is broadcast and so relayed.
func (s *site) renewals(leases []siteimport.Lease, now time.Time, most int) (out []Question) {
	for i := 0; i < len(leases); i += stride(len(leases), most) {
		l := leases[i]
		p, ok := s.subnetOf(l.Addr)
		if !ok || !l.End.After(now) || len(l.MAC) != 6 || l.Declined {
			continue
		}
		q := Question{Name: "renewal of " + l.Addr.String(), Known: true, Relay: s.relays[p], mac: l.MAC, kind: request, have: l.Addr}
		if len(l.ClientID) > 0 {
			q.extra = map[byte][]byte{optClientID: l.ClientID}
		}
		out = append(out, q)
	}
	return out
}

// ofClass asks as a client of a class, in the subnet of its range or else in the first one.
func (s *site) ofClass(c sitedoc.Class) []Question {
	at := s.subnets[0]
	for _, r := range s.doc.Ranges {
		first, _ := netip.ParseAddr(r.Start)
		if p, ok := s.subnetOf(first); ok && r.Class == c.Name {
			at = p
			break
		}
	}
	q := Question{Name: "client of class " + c.Name, Relay: s.relays[at], mac: unknownMAC(2 << 20), kind: discover, extra: map[byte][]byte{}}
	if c.VendorClass != "" {
		q.extra[optVendorClass] = []byte(c.VendorClass)
	}
	if c.UserClass != "" {
		q.extra[optUserClass] = []byte(c.UserClass)
	}
	if len(c.Arch) > 0 {
		q.extra[optArch] = []byte{byte(c.Arch[0] >> 8), byte(c.Arch[0])}
	}
	if c.CircuitID != "" {
		id := []byte(c.CircuitID)
		if raw, err := hex.DecodeString(strings.TrimPrefix(c.CircuitID, "0x")); err == nil && strings.HasPrefix(c.CircuitID, "0x") {
			id = raw
		}
		q.extra[optRelay] = append([]byte{1, byte(len(id))}, id...)
	}
	if prefix, err := hex.DecodeString(strings.ReplaceAll(c.MACPrefix, ":", "")); err == nil && len(prefix) <= 6 {
		copy(q.mac, prefix)
		if len(prefix) == 6 {
			return nil // the last byte numbers the questions
		}
	}
	return []Question{q}
}
