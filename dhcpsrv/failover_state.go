package dhcpsrv

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"time"
)

// PartnerStore is an optional ability of a [LeaseStore]: after a restart the server knows how long
// it was away, how long its partners were, and whether the wall clock has lost the time. Without
// it, a server with partners waits after each start until it has its partner's leases, or until the
// last of them must be over.
type PartnerStore interface {
	// LoadPartners returns what was saved last, or fs.ErrNotExist.
	LoadPartners(ctx context.Context) ([]byte, error)
	// SavePartners replaces the saved data, whole or not at all, and returns once it would survive
	// a power failure. It is called every few seconds, or without partners every minute, never
	// concurrently.
	SavePartners(ctx context.Context, data []byte) error
}

// failover holds what a server knows of its partners and of its own past. The lock of the server
// guards all but saving and memoryErr.
type failover struct {
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
	store, ok := s.cfg.Store.(PartnerStore)
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
	store, ok := s.cfg.Store.(PartnerStore)
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
