package dhcpsrv

import (
	"context"
	"time"
)

// ShiftStore is an optional ability of a [LeaseStore]: leases keep the time that they have left
// when the clock is set. Without it, leases end too early or too late after a restart, unless their
// clients have renewed them since.
type ShiftStore interface {
	// Shift adds by to Start and End of every stored lease, of all or of none, and returns once the
	// change would survive a power failure. It is never called concurrently with itself or with
	// Commit.
	Shift(ctx context.Context, by time.Duration) error
}

// startClock starts the time of the server, after its leases are loaded.
func (s *Server) startClock() {
	m := &s.failover.memory
	by, counted := s.clock.start(m.Alive, m.Boot, m.Up)
	switch {
	case by == 0:
		return
	case counted:
		s.log.Warn("clock differs from the time of the stored leases; leases keep the time they have left", "step", by)
	default:
		s.log.Warn("clock behind; leases go on from when this server was last alive", "step", -by)
	}
	m.shift(by)
	s.shift(int64(by))
}

// mindClock checks whether the wall clock has been set, and moves all times with it, so that leases
// keep the time they have left.
func (s *Server) mindClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clock.moved != 0 {
		s.clock.toMove = true // the store refused it before
		s.wakeCommitter()
	}
	set, by := s.clock.step()
	if set == 0 {
		return
	}
	if by != 0 {
		s.shift(int64(by))
		s.wakeCommitter()
	}
	s.stats.clockSet.Add(1)
	s.log.Warn("clock set; leases keep the time they have left", "step", set)
}

// shift moves all times. Changes on their way to the store follow in catchUp, and stored leases
// follow when the committer runs.
func (s *Server) shift(by int64) {
	s.clock.shift(by)
	s.table.shift(by)
	s.table6.shift(time.Duration(by))
	for client := range s.table.heard {
		s.table.heard[client] += by
	}
	for _, sub := range s.table.cur.subnets {
		sub.formerly.until += by
	}
	for _, sub := range s.table6.cur.subnets {
		sub.formerly.until += by
	}
	for _, p := range s.failover.partners {
		p.shift(by, s.now())
	}
}

func (t *table) shift(by int64) {
	for _, e := range t.byAddr {
		e.shift(by)
	}
}

func (e *entry) shift(by int64) {
	e.start, e.end = e.start+by, e.end+by
	if e.formerEnd != 0 {
		e.formerEnd += by
	}
}

func (t *table6) shift(by time.Duration) {
	for _, e := range t.byAddr {
		e.shift(by)
	}
}

func (e *entry6) shift(by time.Duration) {
	e.lease.shift(by)
	if !e.former.IsZero() {
		e.former = e.former.Add(by)
	}
}

// shift moves the times of a partner, so that a partner does not seem long away because this
// server's clock was set. A clock that jumps by hours may also mean that this server was suspended
// and the partner has taken it for dead.
func (p *partner) shift(by, now int64) {
	p.contact += by
	if p.waiting != 0 {
		p.waiting += by
	}
	if p.ownFrom != 0 {
		p.ownFrom += by
	}
	if by >= int64(p.TakeoverAfter) {
		p.ownFrom = max(p.ownFrom, now+int64(p.maxLease))
	}
	if p.link != nil {
		p.skew -= time.Duration(by)          // of leases that have already arrived
		p.link.cut("the clock has been set") // a new hello measures by how much the clocks differ now
	}
}

// catchUp moves the times of a change that was made before the clock was set. The caller holds
// s.mu.
func (s *Server) catchUp(c *change) {
	by := s.clock.shifted - c.shifted
	if by == 0 {
		return
	}
	c.shifted = s.clock.shifted
	c.lease.shift(time.Duration(by))
	c.before.shift(by)
	if c.before6 != nil {
		c.before6.shift(time.Duration(by))
	}
}

// shiftStore moves the times in the store and reports whether the store did so. If the process ends
// in between, leases must live too long rather than too short, so the earlier of both times is
// saved as the store's. That is why the store moves back only after the new time is saved:
// otherwise the next start would move it back a second time.
func (s *Server) shiftStore(by int64) bool {
	store, ok := s.cfg.Store.(ShiftStore)
	if !ok || by == 0 {
		s.hasMoved(by)
		return true
	}
	ctx := context.Background()
	var err error
	if by < 0 {
		s.hasMoved(by)
		err = s.memorize(ctx, true)
	}
	if err == nil {
		err = store.Shift(ctx, time.Duration(by))
	}
	s.logMove(by, err)
	switch {
	case by > 0 && err == nil:
		s.hasMoved(by)
		s.remember(ctx, true)
	case by < 0 && err != nil:
		s.hasMoved(-by) // the store did not move after all
		s.remember(ctx, true)
	}
	return err == nil
}

// hasMoved records by how much the store has moved.
func (s *Server) hasMoved(by int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.moved -= by
}

// logMove logs why the store did not move its times, once for each reason, and when it has moved
// them.
func (s *Server) logMove(by int64, err error) {
	switch {
	case err == nil && s.clock.moveErr != "":
		s.clock.moveErr = ""
		s.log.Info("stored leases moved with the clock", "step", time.Duration(by))
	case err != nil && s.clock.moveErr != err.Error():
		s.clock.moveErr = err.Error()
		s.log.Error("stored leases not moved with the clock; new ones are stored in its previous time", "step", time.Duration(by), "err", err)
	}
}
