package dhcpsrv

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/dhcpsrv/failover"
)

// recoverWait bounds the silence of a server that has just started in shared subnets while its
// partner cannot be reached: clients must not wait for a partner that is down as well.
const recoverWait = 10 * time.Second

// Partners returns the status of each partner, in the order of their names.
func (s *Server) Partners() (all []failover.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, p := range s.failover.partners {
		st := failover.Status{Name: p.Name, State: p.state(now), Connected: p.link != nil, Skew: p.skew}
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
	slices.SortFunc(all, func(a, b failover.Status) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// partner holds the state of failover with one partner. The server's lock guards it.
type partner struct {
	failover.Partner
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

func newPartner(conf failover.Partner) *partner {
	p := &partner{Partner: conf, compactAbove: minCompact}
	p.configure(conf)
	return p
}

func (p *partner) configure(conf failover.Partner) {
	p.Partner = conf
	if p.TakeoverAfter == 0 {
		p.TakeoverAfter = failover.DefaultTakeover
	}
	p.bit = 0
	if p.Name < p.Self {
		p.bit = 1
	}
}

func (p *partner) state(now int64) failover.State {
	switch {
	case p.link != nil && p.synced && p.ready:
		return failover.Normal
	case now < p.waiting && !p.synced:
		return failover.Recovering
	case p.link == nil && now-p.contact >= int64(p.TakeoverAfter):
		return failover.PartnerDown
	}
	return failover.Interrupted
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
	c.partners = make(map[string]failover.Partner, len(snap.Partners))
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

// repartner gives the shared subnets of a new snapshot, of all VRFs, their partners. The caller
// holds s.mu.
func (s *Server) repartner(next []*serving, now int64) {
	former, partners := s.failover.partners, next[0].partners // the same in all
	s.failover.partners = make(map[string]*partner, len(partners))
	before := make(map[string][]string)
	for name, conf := range partners {
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
	share := func(conf *Subnet, set func(*partner)) {
		p := s.failover.partners[conf.Partner]
		set(p)
		what := fmt.Sprint(conf.Name, " ", conf.Prefix, conf.Delegate, conf.VRF)
		secondary[p.Name] = secondary[p.Name] || conf.Secondary && !slices.Contains(before[p.Name], what)
		p.subnets = append(p.subnets, what)
		p.maxLease = max(p.maxLease, conf.LeaseTime, conf.BootLeaseTime)
	}
	for _, c := range next {
		c.shared(share)
	}
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
	for _, c := range next {
		s.failover.served = s.failover.served || len(c.subnets)+len(c.v6.subnets) > 0
	}
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
		if p.state(now) == failover.Recovering {
			return true
		}
	}
	return false
}

// partnership holds what a server knows of its partners and of its own past. The lock of the server
// guards all but saving and memoryErr.
type partnership struct {
	partners    map[string]*partner
	incarnation uint64 // of this process, for partners
	waiting     []*heldReplies
	memory      memory
	saved       bool // memory, by this process; false when the last attempt failed
	served      bool // a snapshot with subnets was in use

	saving    sync.Mutex // held while memory is saved
	memoryErr string     // why memory was not saved, as logged; "" = nothing logged; guarded by saving
}

// memory holds what is saved about this server and its partners, in the time of the stored leases.
type memory struct {
	Alive    time.Time          `json:"alive"` // never later than the server was alive
	Boot     string             `json:"boot,omitempty"`
	Up       time.Duration      `json:"up,omitempty"` // of the machine when the server was alive, since its start named Boot
	Partners map[string]contact `json:"partners"`
}

// shift moves the times.
func (m *memory) shift(by time.Duration) {
	m.Alive = m.Alive.Add(by)
	for name, c := range m.Partners {
		c.Last = c.Last.Add(by)
		if !c.OwnFrom.IsZero() {
			c.OwnFrom = c.OwnFrom.Add(by)
		}
		m.Partners[name] = c
	}
}

// contact holds what is saved about a partner. A partner must not be taken for longer away than it
// was, so a connection is saved before it is used.
type contact struct {
	Connected bool      `json:"connected,omitempty"`
	Met       bool      `json:"met,omitempty"` // its leases have been here in some process
	Last      time.Time `json:"last"`          // when it was last heard, unless connected
	// OwnFrom is the time before which nothing new is given out, since the partner may have taken
	// over; zero = no limit.
	OwnFrom time.Time `json:"ownFrom,omitzero"`
}

func (s *Server) loadMemory(ctx context.Context) {
	store, ok := s.cfg.Store.(failover.Store)
	if !ok {
		return
	}
	data, err := store.LoadPartners(ctx)
	if err == nil {
		err = json.Unmarshal(data, &s.failover.memory)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.failover.memory = memory{} // as after a first start: slower, but not wrong
		s.log.Warn("liveness record unreadable; time away unknown", "err", err)
	}
}

// remember calls memorize and ignores its error, which is logged.
func (s *Server) remember(ctx context.Context, now bool) { _ = s.memorize(ctx, now) }

// memorize saves the memory, now or when the last time was long enough ago. After a failure the
// next call tries again.
func (s *Server) memorize(ctx context.Context, now bool) error {
	store, ok := s.cfg.Store.(failover.Store)
	if !ok {
		return nil
	}
	s.failover.saving.Lock()
	defer s.failover.saving.Unlock()
	data, err := s.memories(now)
	if data == nil || err != nil {
		return err
	}
	err = store.SavePartners(ctx, data)
	s.mu.Lock()
	s.failover.saved = err == nil
	s.mu.Unlock()
	s.logMemory(err)
	return err
}

// logMemory logs why the memory was not saved, once for each reason, and when it is saved again.
// The caller holds s.failover.saving.
func (s *Server) logMemory(err error) {
	switch {
	case err == nil && s.failover.memoryErr != "":
		s.failover.memoryErr = ""
		s.log.Info("liveness record saved again")
	case err != nil && s.failover.memoryErr != err.Error():
		s.failover.memoryErr = err.Error()
		s.log.Warn("liveness record not saved; a restart will wait for the partner", "err", err)
	}
}

// remembered returns what to save about a partner. moved is how far this server's time is ahead of
// the store's.
func (p *partner) remembered(moved int64) contact {
	c := contact{Connected: p.greeted, Met: p.met, Last: time.Unix(0, p.contact-moved)}
	if p.ownFrom != 0 {
		c.OwnFrom = time.Unix(0, p.ownFrom-moved)
	}
	return c
}

// memories returns what to save, or nil when it is too early.
func (s *Server) memories(must bool) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, every := time.Unix(0, s.now()-s.clock.moved), time.Minute
	for _, p := range s.failover.partners {
		every = min(every, 15*time.Second, p.maxLease/20)
	}
	since := now.Sub(s.failover.memory.Alive)
	if !must && s.failover.saved && since >= 0 && since < every {
		return nil, nil
	}
	s.failover.saved = true
	s.failover.memory = memory{Alive: now, Partners: make(map[string]contact, len(s.failover.partners))}
	s.failover.memory.Boot, s.failover.memory.Up = s.clock.uptime(s.clock.readWall())
	for name, p := range s.failover.partners {
		s.failover.memory.Partners[name] = p.remembered(s.clock.moved)
	}
	return json.Marshal(s.failover.memory)
}
