package dhcpsrv

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// DefaultTakeover is the default of Partner.TakeoverAfter.
const DefaultTakeover = time.Hour

// recoverWait bounds the silence of a server that has just started in shared subnets while its
// partner cannot be reached: clients must not wait for a partner that is down as well.
const recoverWait = 10 * time.Second

// Partner is another server that serves the subnets that name it as well. DESIGN.md describes
// failover.
type Partner struct {
	Name string // of the other server; unique in the snapshot
	Self string // this server's name at the partner; the two names also decide which addresses belong to which server
	// Addrs are the partner's addresses, the best one first. The server does not use them; the
	// caller of [Server.ServePartner] may.
	Addrs []netip.Addr
	// TakeoverAfter is the time for which the partner must be away before this server takes its
	// addresses as well; 0 = DefaultTakeover, at least a minute. The longest lease time passes
	// before the first of them is given out.
	TakeoverAfter time.Duration
}

// PartnerState is the state of failover with one partner.
type PartnerState uint8

// The states of a partner. In all but Recovering, leases of both servers are renewed and
// reservations answered.
const (
	Recovering PartnerState = iota // just started: silent until the partner's leases have arrived, or for ten seconds
	// the partner is not heard: all clients are answered, new addresses come from this server's own
	Interrupted
	// away for TakeoverAfter: the partner's addresses are used as well, once its last leases are
	// over
	PartnerDown
	Normal // each answers the clients of its own buckets
)

var partnerStateNames = [...]string{"recovering", "interrupted", "partner-down", "normal"}

// String returns the state in lower case, such as "partner-down".
func (s PartnerState) String() string {
	if int(s) < len(partnerStateNames) {
		return partnerStateNames[s]
	}
	return "unknown"
}

// MarshalText returns the state as String does.
func (s PartnerState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// PartnerStatus is the status of one partner now.
type PartnerStatus struct {
	Name      string
	State     PartnerState
	Connected bool
	Contact   time.Time // when it was last heard; zero = never
	Waiting   int       // lease changes that the partner has not confirmed; counted only while connected
	// how far the partner's clock was ahead when it connected, the transit of its hello included
	Skew     time.Duration
	Takeover time.Time // when its addresses will be, or were, taken over; zero while it is connected
}

// Partners returns the status of each partner, in the order of their names.
func (s *Server) Partners() (all []PartnerStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, p := range s.failover.partners {
		st := PartnerStatus{Name: p.Name, State: p.state(now), Connected: p.link != nil, Skew: p.skew}
		if p.met {
			st.Contact = time.Unix(0, p.contact)
		}
		if p.link == nil {
			st.Takeover = time.Unix(0, p.takeover())
		} else {
			st.Contact = time.Unix(0, now)
			st.Waiting = int(p.seq - p.acked)
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b PartnerStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// partner holds the state of failover with one partner. The server's lock guards it.
type partner struct {
	Partner
	bit      byte          // lowest bit of this server's own addresses
	maxLease time.Duration // longest lease of the shared subnets
	subnets  []string      // their names and prefixes, to notice a change

	met     bool  // it has been connected before, in any process
	contact int64 // when it was last heard, or when this server began to wait for it
	waiting int64 // end of the recovering state; 0 = not recovering
	ownFrom int64 // no own address goes to a new client before this time; 0 = no limit
	skew    time.Duration

	link    *failoverLink // nil = not connected
	greeted bool          // it is connected, or about to be, and that is saved
	synced  bool          // all leases that it had before this connection have arrived
	ready   bool          // it reports the same of this server's leases

	incarnation  uint64 // of the partner's process, as its last hello said
	seq          uint64 // of the last change
	acked        uint64 // it has all changes up to this one
	log          []logged
	compactAbove int
}

func newPartner(conf Partner) *partner {
	p := &partner{Partner: conf, compactAbove: minCompact}
	p.configure(conf)
	return p
}

func (p *partner) configure(conf Partner) {
	p.Partner = conf
	if p.TakeoverAfter == 0 {
		p.TakeoverAfter = DefaultTakeover
	}
	p.bit = 0
	if p.Name < p.Self {
		p.bit = 1
	}
}

func (p *partner) state(now int64) PartnerState {
	switch {
	case p.link != nil && p.synced && p.ready:
		return Normal
	case now < p.waiting && !p.synced:
		return Recovering
	case p.link == nil && now-p.contact >= int64(p.TakeoverAfter):
		return PartnerDown
	}
	return Interrupted
}

// takeover returns the time from which the partner's addresses may be given out: the partner could
// grant its last lease until TakeoverAfter had passed.
func (p *partner) takeover() int64 { return p.contact + int64(p.TakeoverAfter) + int64(p.maxLease) }

// takesOver reports whether this server may give out every address on which it knows no running
// lease.
func (p *partner) takesOver(now int64) bool { return p.link == nil && now >= p.takeover() }

// owns reports whether this server may give an address with this lowest bit to a new client.
func (p *partner) owns(bit byte, now int64) bool { return bit == p.bit && now >= p.ownFrom }

// lost records that the connection has ended.
func (p *partner) lost(now int64) {
	p.link, p.greeted, p.synced, p.ready, p.contact = nil, false, false, false, now
	p.log = nil
}

// checkPartners refuses partners and subnets that contradict each other.
func (c *serving) checkPartners(snap *Snapshot) error {
	c.partners = make(map[string]Partner, len(snap.Partners))
	for _, p := range snap.Partners {
		_, twice := c.partners[p.Name]
		switch {
		case p.Name == "" || p.Self == "" || p.Name == p.Self:
			return fmt.Errorf("partner %q: the names %q and %q must be two", p.Name, p.Name, p.Self)
		case twice:
			return fmt.Errorf("partner %q: two partners have this name", p.Name)
		case p.TakeoverAfter != 0 && p.TakeoverAfter < time.Minute:
			return fmt.Errorf("partner %q: TakeoverAfter %v is under a minute", p.Name, p.TakeoverAfter)
		}
		c.partners[p.Name] = p
	}
	for i := range snap.Subnets {
		sub := &snap.Subnets[i]
		if _, known := c.partners[sub.Partner]; sub.Partner != "" && !known {
			return fmt.Errorf("subnet %q: there is no partner %q", sub.Name, sub.Partner)
		}
		if sub.PartnerServer.IsValid() && sub.PartnerServer == sub.Server {
			return fmt.Errorf("subnet %q: %v is the address of this server, and cannot be that of partner %q", sub.Name, sub.Server, sub.Partner)
		}
	}
	return nil
}

// shared calls do for each subnet that has a partner.
func (c *serving) shared(do func(conf *Subnet, set func(*partner))) {
	for _, sub := range c.subnets {
		if sub.Partner != "" {
			do(&sub.Subnet, func(p *partner) { sub.partner = p })
		}
	}
	for _, sub := range c.v6.subnets {
		if sub.Partner != "" {
			do(&sub.Subnet, func(p *partner) { sub.partner = p })
		}
	}
}

// repartner gives the shared subnets of a new snapshot their partners. The caller holds s.mu.
func (s *Server) repartner(c *serving, now int64) {
	former := s.failover.partners
	s.failover.partners = make(map[string]*partner, len(c.partners))
	before := make(map[string][]string)
	for name, conf := range c.partners {
		p := former[name]
		if p == nil {
			p = newPartner(conf)
		} else {
			p.configure(conf)
		}
		before[name], p.subnets, p.maxLease = p.subnets, nil, 0
		s.failover.partners[name] = p
	}
	secondary := make(map[string]bool)
	c.shared(func(conf *Subnet, set func(*partner)) {
		p := s.failover.partners[conf.Partner]
		set(p)
		what := conf.Name + " " + conf.Prefix.String()
		secondary[p.Name] = secondary[p.Name] || conf.Secondary && !slices.Contains(before[p.Name], what)
		p.subnets = append(p.subnets, what)
		p.maxLease = max(p.maxLease, conf.LeaseTime, conf.BootLeaseTime)
	})
	for name, p := range s.failover.partners {
		slices.Sort(p.subnets)
		switch {
		case former[name] == nil:
			s.meet(p, secondary[name], now)
		case !slices.Equal(before[name], p.subnets):
			p.share(secondary[name], now)
		}
	}
	for name, p := range former {
		if s.failover.partners[name] == nil && p.link != nil {
			p.link.cut("no partner any more")
		}
	}
	s.failover.served = s.failover.served || len(c.subnets)+len(c.v6.subnets) > 0
}

// share makes both servers exchange all leases again, since they share other subnets than before.
// As the secondary, this server must know what the partner served alone until now before it gives
// out anything new.
func (p *partner) share(secondary bool, now int64) {
	p.incarnation, p.synced = 0, false
	if secondary {
		p.ownFrom = now + int64(p.TakeoverAfter+p.maxLease)
	}
	if p.link != nil {
		p.link.cut("other subnets are shared")
	}
}

// meet prepares for a new partner. A server that was away for longer than a lease lasts may have
// been taken for dead, so it gives out nothing new until it has the partner's leases, or the last
// of them has ended. A restart does not shorten that time.
func (s *Server) meet(p *partner, secondary bool, now int64) {
	p.contact = now
	known := s.failover.memory.Partners[p.Name]
	if secondary && (s.failover.served || !known.Met) {
		p.ownFrom = now + int64(p.TakeoverAfter+p.maxLease)
	}
	if s.failover.served {
		return // and a primary has served the subnet alone until now
	}
	p.waiting, p.met = now+int64(recoverWait), known.Met
	switch away := now - s.failover.memory.Alive.UnixNano() + int64(s.clock.skipped); {
	case p.ownFrom != 0:
	case s.failover.memory.Alive.IsZero() || s.clock.behind || away >= int64(p.maxLease):
		p.ownFrom = now + int64(p.maxLease)
	case known.Met && !known.Connected:
		p.contact = known.Last.UnixNano()
	}
	if !known.OwnFrom.IsZero() {
		p.ownFrom = max(p.ownFrom, known.OwnFrom.UnixNano())
	}
}

// recovering reports whether leases must not be ended yet, since the partner may have newer
// versions. The caller holds s.mu.
func (s *Server) recovering(now int64) bool {
	for _, p := range s.failover.partners {
		if p.state(now) == Recovering {
			return true
		}
	}
	return false
}
