package radv

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/ndp"
)

// DefaultInterval is the default of Advertisement.Interval.
const DefaultInterval = 200 * time.Second

// Advertisement holds what router advertisements carry on one link. A link without one gets none.
// With all fields but Link zero it announces that there is neither a router nor any IPv6
// configuration: hosts that wait for a router go on at once. With iPXE a machine runs Linux after 6
// s instead of 21 s.
type Advertisement struct {
	Link string // interface; one advertisement for each

	Managed bool // M flag: DHCPv6 gives addresses
	Other   bool // O flag: DHCPv6 gives other configuration; implied by Managed

	// RouterLifetime is the time for which hosts may use this host as their default router after
	// each advertisement; 0 = it is no router, and their default route has another source. Whole
	// seconds, up to 9,000 s, and not under Interval.
	RouterLifetime time.Duration
	// Prefixes are on the link. The autonomous flag stays clear: hosts make no addresses of their
	// own from them.
	Prefixes []netip.Prefix
	MTU      int           // 0 = not sent, else 1280..65535
	Interval time.Duration // the longest time between two advertisements, 4 s to 1,800 s; 0 = DefaultInterval
	// Yield withholds the advertisement while another host advertises itself as a default router on
	// the link. The server asks for routers first, and is silent for the 1.5 s in which they
	// answer.
	Yield bool
}

// check fills defaults and refuses values that hosts would refuse.
func (a *Advertisement) check() error {
	if a.Interval == 0 {
		a.Interval = DefaultInterval
	}
	switch {
	case a.Link == "":
		return fmt.Errorf("names no link")
	case a.Interval < 4*time.Second || a.Interval > 1800*time.Second:
		return fmt.Errorf("interval %v is not between 4 s and 30 min", a.Interval)
	case a.RouterLifetime != 0 && (a.RouterLifetime < a.Interval || a.RouterLifetime > 9000*time.Second):
		return fmt.Errorf("router lifetime %v is not between the interval %v and 2h30m", a.RouterLifetime, a.Interval)
	case a.MTU != 0 && (a.MTU < 1280 || a.MTU > 65535):
		return fmt.Errorf("MTU %d is not between 1280 and 65535", a.MTU)
	case len(a.Prefixes) > 32:
		return fmt.Errorf("%d prefixes are more than fit (32)", len(a.Prefixes))
	}
	for _, p := range a.Prefixes {
		if !p.Addr().Is6() || p.Addr().Is4In6() || p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast() {
			return fmt.Errorf("prefix %v is not an IPv6 prefix of its own", p)
		}
	}
	return nil
}

// byLink checks the advertisements and returns them by link.
func byLink(ads []Advertisement) (map[string]*Advertisement, error) {
	links := make(map[string]*Advertisement, len(ads))
	for _, a := range ads {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("advertisement on %q: %w", a.Link, err)
		}
		if links[a.Link] != nil {
			return nil, fmt.Errorf("advertisement on %q: there is another one", a.Link)
		}
		links[a.Link] = &a
	}
	return links, nil
}

// hopLimit is the hop limit that hosts set in their own packets.
const hopLimit = 64

// message returns the advertisement as an ICMPv6 message without its checksum, which the kernel
// fills in.
func (a *Advertisement) message(lifetime time.Duration) ([]byte, error) {
	// Reachable time and retransmission timer stay zero: hosts have their own.
	m := &ndp.RouterAdvertisement{
		CurrentHopLimit: hopLimit, ManagedConfiguration: a.Managed, OtherConfiguration: a.Other || a.Managed, RouterLifetime: lifetime,
	}
	if a.MTU != 0 {
		m.Options = append(m.Options, &ndp.MTU{MTU: uint32(a.MTU)})
	}
	for _, p := range a.Prefixes {
		m.Options = append(m.Options, &ndp.PrefixInformation{
			PrefixLength: uint8(p.Bits()), OnLink: true, Prefix: p.Masked().Addr(),
			ValidLifetime: ndp.Infinity, PreferredLifetime: ndp.Infinity, // a prefix does not leave the link because this server is away
		})
	}
	return ndp.MarshalMessage(m)
}
