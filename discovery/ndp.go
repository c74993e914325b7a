package discovery

import (
	"bytes"
	"net/netip"

	"github.com/mdlayher/ndp"
)

// ICMPv6 types (RFC 4443, RFC 4861).
const (
	icmpParameterProblem  = 4
	icmpEchoRequest       = 128
	icmpEchoReply         = 129
	icmpRouterSolicit     = 133
	icmpRouterAdvert      = 134
	icmpNeighborSolicit   = 135
	icmpNeighborAdvert    = 136
	ndpSourceLink         = 1 // option: link address of the sender
	ndpTargetLink         = 2 // option: link address of the target of an advertisement
	ndpHopLimit           = 255
	ndpNeighborHeader     = 24 // octets before the options
	ndpRouterAdvertHeader = 16
)

// decodeNDP reads neighbor and router discovery of IPv6 (RFC 4861). A device that asks whether an
// address is free (RFC 4862) is a tentative observation.
//
// Neighbor messages are read in place: they are most of the IPv6 frames of a link, and package ndp
// allocates for each.
func decodeNDP(f Frame) (Observation, error) {
	d, ok := ipPacket(f)
	if !ok || d.proto != protoICMPv6 || f.Type != etherIPv6 || len(d.body) < 8 {
		return Observation{}, ErrMalformed
	}
	if d.body[0] < icmpRouterSolicit || d.body[0] > icmpNeighborAdvert {
		return Observation{}, ErrNoObservation
	}
	// Routers decrement the limit, so that a packet with 255 is from this link (RFC 4861 section
	// 6.1).
	if d.hops != ndpHopLimit || d.body[1] != 0 {
		return Observation{}, ErrMalformed
	}
	s := Observation{Addr: d.src, MAC: f.Src, VID: f.VID, Source: NDP, Own: true}
	var options []byte
	link := byte(ndpSourceLink)
	switch d.body[0] {
	case icmpNeighborSolicit, icmpNeighborAdvert:
		if len(d.body) < ndpNeighborHeader {
			return Observation{}, ErrMalformed
		}
		target := netip.AddrFrom16([16]byte(d.body[8:24]))
		options = d.body[ndpNeighborHeader:]
		if d.body[0] == icmpNeighborAdvert {
			s.Addr, link = target, ndpTargetLink
			s.Own = target == d.src // a proxy answers from its own address (RFC 4389 section 4.1.3.3)
		} else if d.src.IsUnspecified() {
			s.Addr, s.Tentative = target, true
		}
	case icmpRouterSolicit:
		options = d.body[8:]
	case icmpRouterAdvert:
		if len(d.body) < ndpRouterAdvertHeader || !d.src.IsLinkLocalUnicast() {
			return Observation{}, ErrMalformed
		}
		options = d.body[ndpRouterAdvertHeader:]
	}
	mac, err := linkOption(options, link)
	if err != nil {
		return Observation{}, err
	}
	if mac.Unicast() && !s.Tentative {
		s.MAC = mac
	}
	if !usable(s.Addr) || !s.MAC.Unicast() {
		return Observation{}, ErrNoObservation
	}
	if d.body[0] == icmpRouterAdvert {
		if s.Info, err = routerInfo(d.body); err != nil {
			return Observation{}, err
		}
	}
	return s, nil
}

// isRouterAdvert reports whether an ICMPv6 frame is a router advertisement, which takes memory to
// read.
func isRouterAdvert(f Frame) bool {
	d, ok := ipPacket(f)
	return ok && len(d.body) > 0 && d.body[0] == icmpRouterAdvert
}

// linkOption walks the options and returns the link address in the one of that type, zero if none
// has it.
func linkOption(options []byte, kind byte) (mac MAC, err error) {
	for len(options) > 0 {
		// An option of length zero would never end (RFC 4861 section 4.6).
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

// routerInfo returns what a router advertises. The library refuses a message for one bad option;
// the header alone still shows that this is a router, which matters more than its options.
func routerInfo(body []byte) (*Info, error) {
	m, err := ndp.ParseMessage(body)
	if err != nil {
		header := bytes.Clone(body[:ndpRouterAdvertHeader])
		header[5] &^= 0x18 // the reserved router preference counts as the default one (RFC 4191 section 2.2)
		m, err = ndp.ParseMessage(header)
	}
	ra, ok := m.(*ndp.RouterAdvertisement)
	if err != nil || !ok {
		return nil, ErrMalformed
	}
	r := &Router{Managed: ra.ManagedConfiguration, Other: ra.OtherConfiguration, Lifetime: ra.RouterLifetime}
	for _, o := range ra.Options {
		switch o := o.(type) {
		case *ndp.PrefixInformation:
			p := netip.PrefixFrom(o.Prefix, int(o.PrefixLength))
			if o.OnLink && p.IsValid() && len(r.Prefixes) < maxRouterItems {
				r.Prefixes = append(r.Prefixes, p.Masked())
			}
		case *ndp.RecursiveDNSServer:
			r.DNS = append(r.DNS, o.Servers[:min(len(o.Servers), maxRouterItems-len(r.DNS))]...)
		}
	}
	return &Info{Router: r}, nil
}
