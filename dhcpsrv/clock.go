package dhcpsrv

import (
	"context"
	"time"
)

// clockStep is by how much the wall clock must have been set for the server to follow it.
const clockStep = time.Second

// ShiftStore is what a [LeaseStore] may have besides, so that leases keep the time that they have left when the clock is
// set. Without it, leases end too early or too late after a restart, unless their clients have renewed them since.
type ShiftStore interface {
	// Shift adds by to Start and End of every stored lease, of all or of none, and returns once that would survive a power
	// failure. Never called concurrently with itself or with Commit.
	Shift(ctx context.Context, by time.Duration) error
}

// now is the time by which this server's leases run, in Unix nanoseconds. It is the wall clock's, but between two looks at
// that it goes on by itself, so that no packet is handled by a clock that has been set under the leases. The caller holds
// s.mu.
func (s *Server) now() int64 { return s.base + int64(time.Since(s.made)) }

// startClock starts the time of the server, after its leases are loaded: by the wall clock. If the machine has not been
// started anew since the server was last there, it tells how much time has passed, and what the wall clock shows beyond that
// is by how much it was set, then or before the stored leases could move. Else, when the wall clock shows less than the server
// has already lived, it has lost its battery, or was ahead before, and how long the server was away is not known: then it has
// been set by the difference. A virtual machine that was paused does not count that either; only partners have to know.
func (s *Server) startClock(wall int64) {
	s.made, s.base, s.wall = time.Now(), wall, wall
	if s.memory.Alive.IsZero() {
		return
	}
	then := s.memory.Alive.UnixNano()
	if boot, up := s.uptime(wall); boot != "" && boot == s.memory.Boot && up >= s.memory.Up {
		then += int64(up - s.memory.Up)
		by := time.Duration(wall - then)
		if by.Abs() < clockStep {
			return
		}
		s.log.Warn("the clock is not what the stored leases go by; they keep the time they have left", "by", by)
		s.skipped = max(by, 0)
	} else if then > wall {
		s.log.Warn("the clock is behind; leases go on from when this server was last there", "by", time.Duration(then-wall))
		s.behind = true
	} else {
		return
	}
	s.base = then
	s.memory.shift(time.Duration(wall - then))
	s.shift(wall - then)
}

// mindClock looks whether the wall clock has been set, and moves all times with it, so that leases keep what they have left.
func (s *Server) mindClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	wall := s.readWall()
	if s.moved != 0 {
		s.toMove = true // the store would not take it
		s.wakeCommitter()
	}
	set := wall - int64(time.Since(s.made)) - s.wall
	if time.Duration(set).Abs() < clockStep {
		return
	}
	s.wall += set
	if by := wall - s.now(); time.Duration(by).Abs() >= clockStep {
		s.shift(by)
		s.wakeCommitter()
	}
	s.stats.clockSet.Add(1)
	s.log.Warn("the clock has been set; leases keep the time they have left", "by", time.Duration(set))
}

// shift moves all times. What is on its way to the store follows when it gets there; what is in it, when the committer runs.
func (s *Server) shift(by int64) {
	s.base += by
	s.shifted += by
	s.moved, s.toMove = s.moved+by, true
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
	for _, p := range s.partners {
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

// shift leaves Changed alone, by which two servers tell versions of a lease apart.
func (l *Lease) shift(by time.Duration) { l.Start, l.End = l.Start.Add(by), l.End.Add(by) }

// shift moves the times of a partner, so that it is not taken for long away because this server learned the time. A clock
// that jumps by hours may also mean that this server slept, and the partner has taken it for dead.
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
		p.skew -= time.Duration(by)          // of what has arrived already
		p.link.cut("the clock has been set") // each must know by how much the clocks differ
	}
}

// catchUp moves the times of a change that was made before the clock was set. The caller holds s.mu.
func (s *Server) catchUp(c *change) {
	by := s.shifted - c.shifted
	if by == 0 {
		return
	}
	c.shifted = s.shifted
	c.lease.shift(time.Duration(by))
	c.before.shift(by)
	if c.before6 != nil {
		c.before6.shift(time.Duration(by))
	}
}

// shiftStore moves the times in the store, and reports whether it took that. When the process ends in between, leases live
// too long rather than too short: what is noted of the store's time is the earlier one. So the store goes back only after
// that is noted: else the next start would take its times back a second time.
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
		s.hasMoved(-by) // it has not, after all
		s.remember(ctx, true)
	}
	return err == nil
}

// hasMoved takes down by how much the store's time has moved.
func (s *Server) hasMoved(by int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved -= by
}

// logMove tells why the store would not move its times, once for each reason, and when it has.
func (s *Server) logMove(by int64, err error) {
	switch {
	case err == nil && s.moveErr != "":
		s.moveErr = ""
		s.log.Info("the stored leases have moved with the clock", "by", time.Duration(by))
	case err != nil && s.moveErr != err.Error():
		s.moveErr = err.Error()
		s.log.Error("the stored leases cannot move with the clock; new ones are stored by its former time meanwhile", "by", time.Duration(by), "err", err)
	}
}
