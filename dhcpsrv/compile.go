package dhcpsrv

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// maxPool bounds the dynamic addresses of one subnet: a /8, 2 MiB of bitmap.
const maxPool = 1 << 24

// compile checks a snapshot and builds the indexes that the server serves from, so that no check
// remains on the path of a packet.
func compile(snap *Snapshot) (*serving, error) {
	c := newServing(snap)
	// Every check runs here. An error leaves the server with its previous snapshot, so that a
	// typing error of an operator never ends a service that works.
	if err := checkOptions("site", snap.Options); err != nil {
		return nil, err
	}
	if err := checkOptions6("site", snap.Options6); err != nil {
		return nil, err
	}
	if err := c.setClasses(snap.Classes); err != nil {
		return nil, err
	}
	if err := c.addSubnets(snap.Subnets); err != nil {
		return nil, err
	}
	if err := c.checkModes(); err != nil {
		return nil, err
	}
	if err := c.checkPartners(snap); err != nil {
		return nil, err
	}
	for i := range snap.Reservations {
		if err := c.reserveEither(&snap.Reservations[i]); err != nil {
			return nil, err
		}
		// A site has 100,000 reservations; their check must not starve the packets meanwhile.
		rest(i)
	}
	return c, nil
}

func newServing(snap *Snapshot) *serving {
	return &serving{
		byName:   make(map[string]*subnet, len(snap.Subnets)),
		byLink:   make(map[string]*sharedNetwork),
		byClient: make(map[string][]*Reservation, len(snap.Reservations)),
		byAddr:   make(map[addr4]*Reservation, len(snap.Reservations)),
		byRelay:  make(map[addr4]*subnet),
		site:     snap.Options,
		v6:       newServing6(snap.Options6),
	}
}

// addSubnets enters the subnets of both families, and refuses subnets that overlap or share a name.
func (c *serving) addSubnets(subnets []Subnet) error {
	byNetwork, byNetwork6 := make(map[string]*sharedNetwork), make(map[string]*sharedNetwork6)
	for i := range subnets {
		if conf := &subnets[i]; conf.Prefix.Addr().Is6() {
			if err := c.v6.add(*conf, byNetwork6); err != nil {
				return err
			}
			continue
		}
		sub, err := c.newSubnet(subnets[i])
		if err != nil {
			return err
		}
		if err := c.join(sub, byNetwork); err != nil {
			return err
		}
	}
	// Once sorted, only neighbors can overlap, so that one pass finds all overlaps.
	slices.SortFunc(c.subnets, func(a, b *subnet) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	for i, sub := range c.subnets[min(1, len(c.subnets)):] {
		if before := c.subnets[i]; before.hi >= sub.lo {
			return fmt.Errorf("subnet %q: prefix %v overlaps %v of subnet %q", sub.Name, sub.Prefix, before.Prefix, before.Name)
		}
	}
	if err := c.v6.sort(); err != nil {
		return err
	}
	for _, sub := range c.v6.subnets {
		if c.byName[sub.Name] != nil {
			return fmt.Errorf("subnet %q: two subnets have this name", sub.Name)
		}
	}
	return nil
}

// join puts a subnet into its shared network and into the indexes.
func (c *serving) join(sub *subnet, byNetwork map[string]*sharedNetwork) error {
	if c.byName[sub.Name] != nil {
		return fmt.Errorf("subnet %q: two subnets have this name", sub.Name)
	}
	byLink := c.byLink[sub.Link]
	seg := byLink
	if sub.Link == "" {
		seg = nil
	}
	if sub.SharedNetwork != "" {
		named := byNetwork[sub.SharedNetwork]
		if seg != nil && seg != named {
			return fmt.Errorf("subnet %q: link %q already belongs to shared network %q, not %q", sub.Name, sub.Link, seg.name, sub.SharedNetwork)
		}
		seg = named
	}
	if seg == nil {
		seg = &sharedNetwork{name: sub.SharedNetwork}
		if seg.name == "" {
			seg.name = sub.Link
		}
		c.networks = append(c.networks, seg)
	}
	if sub.SharedNetwork != "" {
		byNetwork[sub.SharedNetwork] = seg
	}
	if sub.Link != "" {
		c.byLink[sub.Link] = seg
	}
	sub.seg = seg
	seg.subnets = append(seg.subnets, sub)
	seg.byClientID = seg.byClientID || sub.ByClientID
	for _, relay := range sub.Relays {
		a := addr4From(relay)
		if other := c.byRelay[a]; other != nil && other.seg != seg {
			return fmt.Errorf("subnet %q: relay %v already belongs to subnet %q of another shared network", sub.Name, relay, other.Name)
		} else if other == nil {
			c.byRelay[a] = sub
		}
	}
	c.subnets = append(c.subnets, sub)
	c.byName[sub.Name] = sub
	return nil
}

// newSubnet checks a subnet of IPv4 and derives what does not change while it is served.
func (c *serving) newSubnet(conf Subnet) (*subnet, error) {
	if conf.Name == "" {
		return nil, fmt.Errorf("subnet %v: has no name", conf.Prefix)
	}
	fail := func(format string, args ...any) (*subnet, error) {
		return nil, fmt.Errorf("subnet %q: %s", conf.Name, fmt.Sprintf(format, args...))
	}
	if !conf.Prefix.IsValid() || !conf.Prefix.Addr().Is4() || conf.Prefix.Bits() < 1 {
		return fail("prefix %v is not an IPv4 prefix", conf.Prefix)
	}
	// The server address becomes the server identifier (option 54), to which clients send renewals.
	if !conf.Server.IsValid() {
		return fail("has no server address: clients could not renew")
	}
	if conf.Prefix = conf.Prefix.Masked(); !conf.Server.Is4() || conf.Server.IsUnspecified() {
		return fail("server address %v is not an IPv4 address: clients could not renew", conf.Server)
	}
	sub := &subnet{Subnet: conf}
	sub.lo, sub.hi = prefixRange(conf.Prefix)
	if err := sub.setTimes(); err != nil {
		return fail("%v", err)
	}
	if err := sub.checkFields(); err != nil {
		return fail("%v", err)
	}
	if err := checkOptions(fmt.Sprintf("subnet %q", conf.Name), conf.Options); err != nil {
		return nil, err
	}
	// Explicit options override the fields of the subnet, and these override the site's options.
	sub.options = merge(c.site, sub.fieldOptions(), conf.Options)
	if err := cmp.Or(sub.setPools(), checkPoolClasses(conf.Pools, c.classes)); err != nil {
		return fail("%v", err)
	}
	return sub, nil
}

// setTimes sets the default times and checks all times.
func (s *subnet) setTimes() error {
	if s.LeaseTime == 0 {
		s.LeaseTime = DefaultLeaseTime
	}
	if s.BootLeaseTime == 0 {
		s.BootLeaseTime = s.LeaseTime
	}
	if s.DeclineTime == 0 {
		s.DeclineTime = defaultDeclineTime
	}
	// In a fixed order: the error must not name a BootLeaseTime that was only copied from
	// LeaseTime.
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"LeaseTime", s.LeaseTime}, {"BootLeaseTime", s.BootLeaseTime}, {"DeclineTime", s.DeclineTime}} {
		if f.d < time.Second || f.d >= math.MaxUint32*time.Second {
			return fmt.Errorf("%s %v is not between 1 s and 136 years", f.name, f.d)
		}
	}
	return nil
}

// checkFields checks the fields that become options, so that an option never fails to be written.
func (s *subnet) checkFields() error {
	// 68 is the smallest MTU that option 26 may carry (RFC 2132 section 5.1).
	if s.MTU != 0 && (s.MTU < 68 || s.MTU > 65535) {
		return fmt.Errorf("MTU %d is not between 68 and 65535", s.MTU)
	}
	if err := s.checkQuota(); err != nil {
		return err
	}
	for name, addrs := range map[string][]netip.Addr{"router": s.Routers, "DNS server": s.DNS, "NTP server": s.NTP} {
		for _, a := range addrs {
			if !a.Is4() {
				return fmt.Errorf("%s %v is not an IPv4 address", name, a)
			}
		}
		// An option holds 255 bytes, which are 63 addresses.
		if len(addrs) > 63 {
			return fmt.Errorf("%d %ss are more than an option holds (63)", len(addrs), name)
		}
	}
	if len(s.Delegate) > 0 || s.PrefixQuota != 0 {
		return fmt.Errorf("fields Delegate and PrefixQuota are of IPv6")
	}
	for _, a := range s.Relays {
		if !a.Is4() || a.IsUnspecified() {
			return fmt.Errorf("relay %v is not an IPv4 address", a)
		}
	}
	for _, r := range s.Routes {
		if !r.Dest.IsValid() || !r.Dest.Addr().Is4() || !r.Via.Is4() {
			return fmt.Errorf("route %v via %v is not an IPv4 route", r.Dest, r.Via)
		}
	}
	return nil
}

// fieldOptions turns the fields of the subnet into options.
func (s *subnet) fieldOptions() Options {
	mask := net.CIDRMask(s.Prefix.Bits(), 32)
	opts := Options{{Code: wire.OptMask, Data: mask, Always: true}}
	// A /31 and a /32 have no broadcast address (RFC 3021).
	if s.Prefix.Bits() < 31 {
		opts = append(opts, AddrOption(wire.OptBroadcast, s.hi.addr()))
	}
	for _, o := range []Option{
		AddrOption(wire.OptRouter, s.Routers...), AddrOption(wire.OptDNS, s.DNS...), AddrOption(wire.OptNTP, s.NTP...),
		TextOption(wire.OptDomain, s.Domain), DomainsOption(wire.OptSearch, s.Search...),
	} {
		if len(o.Data) > 0 {
			opts = append(opts, o)
		}
	}
	if s.MTU != 0 {
		opts = append(opts, uint16Option(wire.OptMTU, uint16(s.MTU)))
	}
	if len(s.Routes) > 0 {
		// Clients that understand option 121 ignore option 3 (RFC 3442), so the default route must
		// be in both.
		routes := slices.Clone(s.Routes)
		if len(s.Routers) > 0 {
			routes = append(routes, Route{Dest: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Via: s.Routers[0]})
		}
		opts = append(opts, routesOption(wire.OptClasslessRoute, routes...))
	}
	return opts
}

// setPools checks the pools and builds the bitmap of their addresses.
func (s *subnet) setPools() error {
	var ranges []addrRange
	for _, p := range s.Pools {
		lo, hi := addr4From(p.First), addr4From(p.Last)
		switch {
		case !p.First.Is4() || !p.Last.Is4() || lo > hi:
			return fmt.Errorf("pool %v-%v is not a range of IPv4 addresses", p.First, p.Last)
		case !s.usable(lo) || !s.usable(hi):
			return fmt.Errorf("pool %v-%v leaves the usable addresses of %v", p.First, p.Last, s.Prefix)
		}
		if err := checkOptions(fmt.Sprintf("pool %v-%v", p.First, p.Last), p.Options); err != nil {
			return err
		}
		// Overlapping pools would give one address two places in the bitmap.
		for _, r := range ranges {
			if lo <= r.hi && r.lo <= hi {
				return fmt.Errorf("pool %v-%v overlaps pool %v-%v", p.First, p.Last, r.lo.addr(), r.hi.addr())
			}
		}
		ranges = append(ranges, addrRange{lo: lo, hi: hi})
		s.poolOpts = append(s.poolOpts, p.Options)
	}
	var err error
	if s.space, err = newSpace(ranges); err != nil {
		return err
	}
	// A pool may hold them, as MAAS allows, but no client gets them.
	for _, a := range []netip.Addr{s.Server, s.PartnerServer} {
		if a.Is4() {
			s.space.take(addr4From(a))
		}
	}
	return nil
}

// isServer reports whether an address is this server's or its partner's own.
func (s *subnet) isServer(a addr4) bool {
	return a == addr4From(s.Server) || a == addr4From(s.PartnerServer)
}

// rest yields the processor to packets, once every updateRest calls.
func rest(n int) {
	if n%updateRest == updateRest-1 {
		// a sleep, since after runtime.Gosched the scheduler does not poll the sockets
		time.Sleep(50 * time.Microsecond)
	}
}

// reserveEither enters a reservation for each family to which it can apply.
func (c *serving) reserveEither(r *Reservation) error {
	wants, only := c.v6.wants(r)
	if wants {
		if err := c.v6.reserve(r); err != nil {
			return err
		}
	}
	if only {
		return nil
	}
	return c.reserve(r)
}

// reserve checks a reservation and enters it.
func (c *serving) reserve(r *Reservation) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("reservation %s: %s", r.label(), fmt.Sprintf(format, args...))
	}
	if err := checkOptions("reservation "+r.label(), r.Options); err != nil {
		return err
	}
	if len(r.MAC) == 0 && len(r.ClientID) == 0 && r.Subscriber == "" {
		return fail("names neither a MAC nor a client identifier nor a subscriber")
	}
	if len(r.Hostname) > 255 {
		return fail("host name is longer than 255 bytes")
	}
	if r.Subnet != "" && c.byName[r.Subnet] == nil {
		return fail("there is no subnet %q", r.Subnet)
	}
	// The address is entered first: its error names the subnet, which helps more than a doubled
	// client.
	if r.Addr.IsValid() {
		if err := c.reserveAddr(r); err != nil {
			return fail("%v", err)
		}
	}
	c.subscribed = c.subscribed || r.Subscriber != ""
	// A client may have one reservation in each subnet, since machines move. Two in one scope would
	// make the answer depend on the order of the snapshot.
	for _, id := range r.identities() {
		for _, other := range c.byClient[id] {
			if c.sameScope(r, other) {
				return fail("the same client already has reservation %s there", other.label())
			}
		}
		c.byClient[id] = append(c.byClient[id], r)
	}
	return nil
}

// reserveAddr enters the address of a reservation. The address may lie outside all pools, as MAAS
// allows, but never where it would collide with this server or with the network itself.
func (c *serving) reserveAddr(r *Reservation) error {
	if !r.Addr.Is4() {
		return fmt.Errorf("%v is not an IPv4 address", r.Addr)
	}
	a := addr4From(r.Addr)
	sub := c.find(a)
	switch {
	case sub == nil:
		return fmt.Errorf("%v is in no subnet", r.Addr)
	case !sub.usable(a):
		return fmt.Errorf("%v is the network or broadcast address of subnet %q", r.Addr, sub.Name)
	case r.Addr == sub.Server:
		return fmt.Errorf("%v is the address of this server in subnet %q", r.Addr, sub.Name)
	case r.Subnet != "" && r.Subnet != sub.Name:
		return fmt.Errorf("%v is in subnet %q, not in %q", r.Addr, sub.Name, r.Subnet)
	}
	if other := c.byAddr[a]; other != nil {
		return fmt.Errorf("%v is already reserved for %s", r.Addr, other.label())
	}
	c.byAddr[a] = r
	return nil
}
