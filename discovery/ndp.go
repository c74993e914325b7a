package discovery

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// ICMPv6 types (RFC 4443, RFC 4861).
const (
	icmpParameterProblem = 4
	icmpEchoRequest      = 128
	icmpEchoReply        = 129
	icmpRouterSolicit    = 133
	icmpRouterAdvert     = 134
	icmpNeighbourSolicit = 135
	icmpNeighbourAdvert  = 136
)

// Options of neighbour discovery.
const (
	optSourceLink = 1
	optTargetLink = 2
	optPrefix     = 3
	optRDNSS      = 25
)

// DecodeNDP reads neighbour and router discovery of IPv6 (RFC 4861). A device that asks whether an address is free (RFC 4862)
// is a tentative sighting.
func DecodeNDP(f Frame) (Sighting, error) {
	d, ok := ipPacket(f)
	if !ok || d.proto != protoICMPv6 || f.Type != etherIPv6 || len(d.body) < 8 {
		return Sighting{}, ErrMalformed
	}
	if d.body[0] < icmpRouterSolicit || d.body[0] > icmpNeighbourAdvert {
		return Sighting{}, ErrNoSighting
	}
	// Routers do not forward what has come with 255: the packet is from this link (RFC 4861 section 6.1).
	if d.hops != 255 || d.body[1] != 0 {
		return Sighting{}, ErrMalformed
	}
	s := Sighting{MAC: f.Src, VID: f.VID, Source: NDP}
	var options []byte
	link := byte(optSourceLink)
	switch d.body[0] {
	case icmpNeighbourSolicit, icmpNeighbourAdvert:
		if len(d.body) < 24 {
			return Sighting{}, ErrMalformed
		}
		target := netip.AddrFrom16([16]byte(d.body[8:24]))
		options, s.Addr = d.body[24:], d.src
		if d.body[0] == icmpNeighbourAdvert {
			s.Addr, link = target, optTargetLink
		} else if d.src.IsUnspecified() {
			s.Addr, s.Tentative = target, true
		}
	case icmpRouterSolicit:
		options, s.Addr = d.body[8:], d.src
	case icmpRouterAdvert:
		if len(d.body) < 16 || !d.src.IsLinkLocalUnicast() {
			return Sighting{}, ErrMalformed
		}
		options, s.Addr = d.body[16:], d.src
	}
	mac, err := linkOption(options, link)
	if err != nil {
		return Sighting{}, err
	}
	if mac.Unicast() && !s.Tentative {
		s.MAC = mac
	}
	if !usable(s.Addr) || !s.MAC.Unicast() {
		return Sighting{}, ErrNoSighting
	}
	if d.body[0] == icmpRouterAdvert {
		s.Info = &Info{Router: router(d.body)}
	}
	return s, nil
}

// linkOption walks the options and returns the link address in the one of that type, zero when there is none.
func linkOption(options []byte, kind byte) (mac MAC, err error) {
	for len(options) > 0 {
		if len(options) < 2 || options[1] == 0 || int(options[1])*8 > len(options) {
			return MAC{}, ErrMalformed
		}
		if options[0] == kind {
			copy(mac[:], options[2:8])
		}
		options = options[int(options[1])*8:]
	}
	return mac, nil
}

// maxRouterItems bounds what is kept of one advertisement.
const maxRouterItems = 16

// router reads an advertisement whose options have been checked.
func router(b []byte) *Router {
	r := &Router{
		Managed: b[5]&0x80 != 0, Other: b[5]&0x40 != 0, Lifetime: time.Duration(binary.BigEndian.Uint16(b[6:])) * time.Second,
	}
	for o := b[16:]; len(o) > 0; o = o[int(o[1])*8:] {
		option := o[:int(o[1])*8]
		switch {
		case option[0] == optPrefix && len(option) == 32 && option[3]&0x80 != 0 && option[2] <= 128 && len(r.Prefixes) < maxRouterItems:
			p := netip.PrefixFrom(netip.AddrFrom16([16]byte(option[16:32])), int(option[2]))
			r.Prefixes = append(r.Prefixes, p.Masked())
		case option[0] == optRDNSS && len(option) >= 24:
			for a := option[8:]; len(a) >= 16 && len(r.DNS) < maxRouterItems; a = a[16:] {
				r.DNS = append(r.DNS, netip.AddrFrom16([16]byte(a[:16])))
			}
		}
	}
	return r
}
