package dhcpsrv

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// DefaultAdvertiseInterval is the default of Advertisement.Interval.
const DefaultAdvertiseInterval = 200 * time.Second

// Advertisement is what the hosts of one link are told by router advertisements (RFC 4861). A link without one hears
// nothing from this server. The zero value but for Link says "there is no router here, and no IPv6 configuration": hosts
// that wait for a router go on at once: with iPXE a machine runs Linux after 6 s, not 21 s.
type Advertisement struct {
	Link string // interface; one advertisement for each

	Managed bool // M flag: addresses are to be had by DHCPv6
	Other   bool // O flag: other configuration is to be had by DHCPv6; implied by Managed

	// RouterLifetime is how long hosts may use this host as their default router after each advertisement; 0 = it is none,
	// and their default route comes from elsewhere. Seconds, up to 9,000 s, and not under Interval.
	RouterLifetime time.Duration
	// Prefixes are on the link. The autonomous flag stays clear: hosts make no addresses of their own from them.
	Prefixes []netip.Prefix
	MTU      int           // 0 = not sent, else 1280..65535
	Interval time.Duration // the longest time between two advertisements, 4 s to 1,800 s; 0 = DefaultAdvertiseInterval
}

// check fills defaults and refuses what hosts would refuse.
func (a *Advertisement) check() error {
	if a.Interval == 0 {
		a.Interval = DefaultAdvertiseInterval
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

func checkAdvertisements(ads []Advertisement) (map[string]*Advertisement, error) {
	byLink := make(map[string]*Advertisement, len(ads))
	for _, a := range ads {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("advertisement on %q: %w", a.Link, err)
		}
		if byLink[a.Link] != nil {
			return nil, fmt.Errorf("advertisement on %q: there is another one", a.Link)
		}
		byLink[a.Link] = &a
	}
	return byLink, nil
}

// ICMPv6 types and options of RFC 4861.
const (
	icmpSolicit    = 133
	icmpAdvertise  = 134
	ndPrefix       = 3
	ndMTU          = 5
	flagManaged    = 0x80
	flagOther      = 0x40
	flagOnLink     = 0x80
	hopLimit       = 64
	solicitHeader  = 8
	prefixLifetime = math.MaxUint32 // for ever: what is on a link does not lapse because this server is away
)

// message returns the advertisement as an ICMPv6 message without its checksum, which the kernel fills in.
func (a *Advertisement) message(lifetime time.Duration) []byte {
	flags := byte(0)
	if a.Managed {
		flags = flagManaged
	}
	if a.Other || a.Managed {
		flags |= flagOther
	}
	b := []byte{icmpAdvertise, 0, 0, 0, hopLimit, flags}
	b = binary.BigEndian.AppendUint16(b, uint16(lifetime/time.Second))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // reachable time and retransmission: the hosts' own
	if a.MTU != 0 {
		b = append(b, ndMTU, 1, 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(a.MTU))
	}
	for _, p := range a.Prefixes {
		b = append(b, ndPrefix, 4, byte(p.Bits()), flagOnLink)
		b = binary.BigEndian.AppendUint32(b, prefixLifetime)
		b = binary.BigEndian.AppendUint32(b, prefixLifetime)
		b = append(b, 0, 0, 0, 0)
		b = append(b, p.Masked().Addr().AsSlice()...)
	}
	return b
}
