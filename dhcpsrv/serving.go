package dhcpsrv

import (
	"net/netip"
	"slices"

	"github.com/gomaas/maas/dhcpsrv/failover"
)

// serving is a snapshot with the indexes to serve from. The spaces belong to the table. What
// [Server.Reserve] and [Server.SetSubnet] change is read and written under the server's lock.
type serving struct {
	subnets  []*subnet // by prefix
	byName   map[string]*subnet
	byLink   map[string]*sharedNetwork
	networks []*sharedNetwork
	byClient map[string][]*Reservation // by identity: key of a link address or of a client identifier
	byAddr   map[addr4]*Reservation
	byRelay  map[addr4]*subnet // by the addresses in Subnet.Relays
	site     Options
	classes  []Class
	partners map[string]failover.Partner
	v6       *serving6

	subscribed bool // some reservation is, or was, by subscriber
}

// sharedNetwork is a broadcast domain with its subnets in the order of the snapshot.
type sharedNetwork struct {
	name       string
	subnets    []*subnet
	byClientID bool // any of the subnets says so
	mode       Mode
	watch      *watch // nil unless mode is ModeAuto; belongs to the server
}

type subnet struct {
	Subnet
	seg      *sharedNetwork
	partner  *partner // nil = none; belongs to the server
	lo, hi   addr4
	options  Options // site < fields < subnet options, without the options of pools and hosts
	space    *space
	poolOpts []Options // by index of space.ranges
	formerly formerly
}

// usable reports whether a host of the subnet can have the address.
func (s *subnet) usable(a addr4) bool {
	if s.Prefix.Bits() >= 31 {
		return a >= s.lo && a <= s.hi
	}
	return a > s.lo && a < s.hi
}

func (s *subnet) contains(a addr4) bool { return a >= s.lo && a <= s.hi }

// find returns the subnet that contains the address, or nil.
func (c *serving) find(a addr4) *subnet {
	i, found := slices.BinarySearchFunc(c.subnets, a, func(s *subnet, a addr4) int {
		switch {
		case s.hi < a:
			return -1
		case s.lo > a:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return c.subnets[i]
}

// serving6 is the IPv6 part of serving.
type serving6 struct {
	subnets []*subnet6
	sorted  []*subnet6 // by prefix

	delegated []*delegated // pools of prefixes
	byName    map[string]*subnet6
	byLink    map[string]*sharedNetwork6
	byClient  map[string][]*Reservation // by key of a DUID or of a link address
	byAddr    map[netip.Addr]*Reservation
	byRelay   map[netip.Addr]*subnet6
	site      Options
	classes   []Class
}

// sharedNetwork6 is a broadcast domain with its IPv6 subnets in the order of the snapshot.
type sharedNetwork6 struct {
	name    string
	subnets []*subnet6
	duid    []byte // of this server in the shared network
}

type subnet6 struct {
	Subnet
	seg           *sharedNetwork6
	partner       *partner // nil = none; belongs to the server
	options       Options  // site < fields < subnet options
	sizes         []uint64
	total         uint64    // addresses in the pools
	parities      [2]uint64 // of these, even and odd ones
	used          [2]uint64 // of these, those that have an entry or are kept; belongs to the table
	ended         [2]list6  // ended leases, least recently used first; with a partner by lowest bit; belongs to the table
	ahead         []ahead   // by pool: what was probed ahead; belongs to the table
	endedPrefixes [2]list6  // ended leases of prefixes, least recently used first; with a partner by half; belongs to the table
	offers        list6     // entries held for an offer, oldest first; belongs to the table
	declined      list6     // declined addresses, the first to end first; belongs to the table

	formerly formerly
}

// usable reports whether a host of the subnet can have the address: the first one belongs to the
// routers (RFC 4291 section 2.6.1).
func (s *subnet6) usable(a netip.Addr) bool {
	return s.Prefix.Contains(a) && (a != s.Prefix.Addr() || s.Prefix.Bits() >= 127)
}

// pool returns the number of the pool that holds an address, or -1.
func (s *subnet6) pool(a netip.Addr) int {
	return slices.IndexFunc(s.Pools, func(p Pool) bool { return !a.Less(p.First) && !p.Last.Less(a) })
}

// at returns the address at a place in the pools.
func (s *subnet6) at(n uint64) netip.Addr {
	for i, size := range s.sizes {
		if n < size {
			return add6(s.Pools[i].First, n)
		}
		n -= size
	}
	return netip.Addr{}
}

// find returns the subnet that contains the address, or delegates it as part of a prefix, or nil.
func (c *serving6) find(a netip.Addr) *subnet6 {
	i, found := slices.BinarySearchFunc(c.sorted, a, func(s *subnet6, a netip.Addr) int { return s.Prefix.Addr().Compare(a) })
	if !found {
		i-- // the last one that begins before
	}
	if i >= 0 && c.sorted[i].Prefix.Contains(a) {
		return c.sorted[i]
	}
	if p := c.findDelegated(a); p != nil {
		return p.sub
	}
	return nil
}

// scope returns the subnet a reservation is for; nil = any.
func (c *serving6) scope(r *Reservation) *subnet6 {
	if r.Addr.IsValid() {
		return c.find(r.Addr)
	}
	return c.byName[r.Subnet]
}

// scope returns the subnet a reservation is for; nil = any.
func (c *serving) scope(r *Reservation) *subnet {
	if r.Addr.IsValid() {
		return c.find(addr4From(r.Addr))
	}
	return c.byName[r.Subnet]
}

func (c *serving) sameScope(a, b *Reservation) bool { return c.scope(a) == c.scope(b) }

func newServing6(site Options) *serving6 {
	return &serving6{
		byName: make(map[string]*subnet6), byLink: make(map[string]*sharedNetwork6), byClient: make(map[string][]*Reservation),
		byAddr: make(map[netip.Addr]*Reservation), byRelay: make(map[netip.Addr]*subnet6), site: site,
	}
}
