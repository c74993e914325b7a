package dhcpsrv

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// add checks a subnet of IPv6 and enters it into its shared network and into the indexes.
func (c *serving6) add(conf Subnet, byNetwork map[string]*sharedNetwork6) error {
	sub, err := c.newSubnet(conf)
	if err != nil {
		return fmt.Errorf("subnet %q: %w", conf.Name, err)
	}
	if c.byName[sub.Name] != nil {
		return fmt.Errorf("subnet %q: two subnets have this name", sub.Name)
	}
	seg := c.byLink[sub.Link]
	if sub.SharedNetwork != "" {
		named := byNetwork[sub.SharedNetwork]
		if seg != nil && seg != named {
			return fmt.Errorf("subnet %q: link %q already belongs to shared network %q, not %q", sub.Name, sub.Link, seg.name, sub.SharedNetwork)
		}
		seg = named
	}
	if seg == nil {
		seg = &sharedNetwork6{name: sub.SharedNetwork, duid: serverDUID(sub.Server)}
		if seg.name == "" {
			seg.name = sub.Link
		}
	}
	if sub.SharedNetwork != "" {
		byNetwork[sub.SharedNetwork] = seg
	}
	if sub.Link != "" {
		c.byLink[sub.Link] = seg
	}
	sub.seg = seg
	for _, relay := range sub.Relays {
		if other := c.byRelay[relay]; other != nil && other.seg != seg {
			return fmt.Errorf("subnet %q: relay %v already belongs to subnet %q of another shared network", sub.Name, relay, other.Name)
		} else if other == nil {
			c.byRelay[relay] = sub
		}
	}
	if err := c.delegate(sub); err != nil {
		return fmt.Errorf("subnet %q: %w", sub.Name, err)
	}
	seg.subnets = append(seg.subnets, sub)
	c.subnets = append(c.subnets, sub)
	c.byName[sub.Name] = sub
	return nil
}

// sort makes subnets findable by their addresses, and refuses those that overlap.
func (c *serving6) sort() error {
	c.sorted = slices.SortedFunc(slices.Values(c.subnets), func(a, b *subnet6) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	for i, sub := range c.sorted[min(1, len(c.sorted)):] {
		if before := c.sorted[i]; before.Prefix.Overlaps(sub.Prefix) {
			return fmt.Errorf("subnet %q: prefix %v overlaps %v of subnet %q", sub.Name, sub.Prefix, before.Prefix, before.Name)
		}
	}
	return c.checkDelegated()
}

// serverDUID returns a DUID that outlives restarts and lost disks: a DUID-UUID (RFC 6355) made from
// the server's address. A server with another DUID could not answer the RENEW of a lease that it
// gave before it was reinstalled.
func serverDUID(a netip.Addr) []byte {
	sum := sha256.Sum256(append([]byte("gomaas dhcpsrv "), a.AsSlice()...))
	uuid := sum[:16]
	uuid[6], uuid[8] = uuid[6]&0x0f|0x80, uuid[8]&0x3f|0x80 // version 8, a hash of the maker's choice (RFC 9562)
	return append([]byte{0, 4}, uuid...)
}

// newSubnet checks a subnet of IPv6. Fields that DHCPv6 cannot carry are refused rather than
// ignored: an operator who sets them expects machines to receive them.
func (c *serving6) newSubnet(conf Subnet) (*subnet6, error) {
	if conf.Prefix = conf.Prefix.Masked(); conf.Prefix.Addr().Is4In6() || conf.Prefix.Bits() < 8 {
		return nil, fmt.Errorf("prefix %v is not an IPv6 prefix of /8 or longer", conf.Prefix)
	}
	switch {
	case conf.Name == "":
		return nil, fmt.Errorf("prefix %v has no name", conf.Prefix)
	case !conf.Server.IsValid():
		return nil, fmt.Errorf("has no server address")
	case !is6(conf.Server) || conf.Server.IsUnspecified() || conf.Server.Zone() != "":
		return nil, fmt.Errorf("server address %v is not an IPv6 address", conf.Server)
	case conf.Mode != ModeServe:
		return nil, fmt.Errorf("mode %v is of IPv4: DHCPv6 has no proxies", conf.Mode)
	case len(conf.Routers) > 0 || len(conf.Routes) > 0 || conf.MTU != 0:
		return nil, fmt.Errorf("fields Routers, Routes and MTU are not carried by DHCPv6; advertise them (package radv)")
	}
	for _, group := range [][]netip.Addr{conf.DNS, conf.NTP} {
		for _, a := range group {
			if !is6(a) {
				return nil, fmt.Errorf("DNS or NTP server %v is not an IPv6 address", a)
			}
		}
		if len(group) > 63 {
			return nil, fmt.Errorf("%d DNS or NTP servers are more than 63", len(group))
		}
	}
	for _, a := range conf.Relays {
		if !is6(a) || a.IsUnspecified() || a.Zone() != "" {
			return nil, fmt.Errorf("relay %v is not an IPv6 address", a)
		}
	}
	times := subnet{Subnet: conf}
	if err := cmp.Or(times.setTimes(), conf.checkQuota()); err != nil {
		return nil, err
	}
	sub := &subnet6{Subnet: times.Subnet}
	if err := checkOptions6("subnet", conf.Options); err != nil {
		return nil, err
	}
	sub.options = merge(c.site, sub.fieldOptions(), conf.Options)
	return sub, cmp.Or(sub.setPools(), checkPoolClasses(conf.Pools, c.classes))
}

// fieldOptions turns the fields of the subnet into options.
func (s *subnet6) fieldOptions() (opts Options) {
	// DHCPv6 has no domain name option. Clients take the first name of the search list for their
	// own (RFC 3646 section 4).
	names := s.Search
	if s.Domain != "" && !slices.Contains(names, s.Domain) {
		names = append([]string{s.Domain}, names...)
	}
	for _, o := range []Option{
		{Code: wire6.OptDNS, Data: wire6.Addrs(s.DNS)}, {Code: wire6.OptDomains, Data: wire6.Domains(names)},
		{Code: wire6.OptNTP, Data: wire6.NTPServers(s.NTP)},
	} {
		if len(o.Data) > 0 {
			opts = append(opts, o)
		}
	}
	return opts
}

// setPools checks the pools and counts their addresses. Pools of IPv6 are too large for a bitmap.
func (s *subnet6) setPools() error {
	for i, p := range s.Pools {
		switch {
		case !is6(p.First) || !is6(p.Last) || p.Last.Less(p.First):
			return fmt.Errorf("pool %v-%v is not a range of IPv6 addresses", p.First, p.Last)
		case !s.usable(p.First) || !s.usable(p.Last):
			return fmt.Errorf("pool %v-%v leaves the usable addresses of %v", p.First, p.Last, s.Prefix)
		}
		if err := checkOptions6(fmt.Sprintf("pool %v-%v", p.First, p.Last), p.Options); err != nil {
			return err
		}
		for _, o := range s.Pools[:i] {
			if !p.Last.Less(o.First) && !o.Last.Less(p.First) {
				return fmt.Errorf("pool %v-%v overlaps pool %v-%v", p.First, p.Last, o.First, o.Last)
			}
		}
		n := span6(p.First, p.Last)
		s.sizes, s.ahead = append(s.sizes, n), append(s.ahead, ahead{})
		// A sum of several /64s would overflow; a bound of 2^62 is as good as any larger number.
		s.total = min(s.total+n, 1<<62)
		// Failover partners divide the addresses by their lowest bit, and each needs to know its
		// share.
		s.parities[bit6(p.First)] += (n + 1) / 2
		s.parities[bit6(p.First)^1] += n / 2
	}
	return nil
}

// wants reports whether a reservation can apply to clients of DHCPv6, and whether it applies to
// them only.
func (c *serving6) wants(r *Reservation) (wants, only bool) {
	switch {
	// With an address the family is evident; without one the reservation applies to every family
	// that can identify the client.
	case r.Addr.IsValid():
		return is6(r.Addr), is6(r.Addr)
	case r.Prefix.IsValid():
		return true, true
	case r.Subnet != "":
		return c.byName[r.Subnet] != nil, c.byName[r.Subnet] != nil
	}
	return len(c.subnets) > 0 && (len(r.MAC) > 0 || len(r.DUID) > 0 || r.Subscriber != ""), len(r.MAC) == 0 && r.Subscriber == "" && len(r.ClientID) == 0 && len(r.DUID) > 0
}

// reserve checks a reservation and enters it.
func (c *serving6) reserve(r *Reservation) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("reservation %s: %s", r.label(), fmt.Sprintf(format, args...))
	}
	if len(r.MAC) == 0 && len(r.DUID) == 0 && r.Subscriber == "" {
		return fail("names neither a MAC nor a DUID nor a subscriber")
	}
	if r.Addr.IsValid() {
		if err := checkOptions6("reservation "+r.label(), r.Options); err != nil {
			return err
		}
		sub := c.find(r.Addr)
		switch {
		case sub == nil:
			return fail("%v is in no subnet", r.Addr)
		case !sub.usable(r.Addr) || r.Addr == sub.Server:
			return fail("%v is the address of a router or of this server in subnet %q", r.Addr, sub.Name)
		case r.Subnet != "" && r.Subnet != sub.Name:
			return fail("%v is in subnet %q, not in %q", r.Addr, sub.Name, r.Subnet)
		case c.byAddr[r.Addr] != nil:
			return fail("%v is already reserved for %s", r.Addr, c.byAddr[r.Addr].label())
		}
		c.byAddr[r.Addr] = r
	}
	if err := c.reservePrefix(r); err != nil {
		return fail("%v", err)
	}
	// As with IPv4: one reservation per client and scope.
	for _, id := range r.identities6() {
		for _, other := range c.byClient[id] {
			if c.scope(r) == c.scope(other) {
				return fail("the same client already has reservation %s there", other.label())
			}
		}
		c.byClient[id] = append(c.byClient[id], r)
	}
	return nil
}

// ownOption6 reports whether the server makes the option itself.
func ownOption6(code uint8) bool {
	switch code {
	case 0, wire6.OptClientID, wire6.OptServerID, wire6.OptIANA, wire6.OptIATA, wire6.OptIAAddr, wire6.OptRequest,
		wire6.OptPreference, wire6.OptRelayMessage, wire6.OptUnicast, wire6.OptStatus, wire6.OptRapidCommit,
		wire6.OptInterfaceID, wire6.OptReconfigure, wire6.OptIAPD:
		return true
	}
	return false
}

func checkOptions6(where string, opts Options) error {
	return checkLevel(where, " of DHCPv6", opts, ownOption6)
}
