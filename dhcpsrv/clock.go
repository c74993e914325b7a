package dhcpsrv

import (
	"context"
	"time"
)

// ShiftStore is an optional ability of a [LeaseStore]: leases keep the time that they have left
// when the clock is set. Without it, leases end too early or too late after a restart, unless their
// clients have renewed them since.
type ShiftStore interface {
	// Shift adds by to Start, End and Changed of every stored lease, of all or of none, and returns
	// once the change would survive a power failure. A Changed of zero stays so. It is never called
	// concurrently with itself or with Commit.
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
	for _, v := range s.vrfs {
		v.shift(by)
	}
	// A clock that was set may mean that the machine slept, during which hosts came.
	s.forgetAhead()
	for _, p := range s.failover.partners {
		p.shift(by, s.now())
	}
}

func (v *vrf) shift(by int64) {
	v.v4.shift(by)
	v.v6.shift(time.Duration(by))
	for client := range v.v4.heard {
		v.v4.heard[client] += by
	}
	for _, sub := range v.v4.cur.subnets {
		sub.formerly.until += by
	}
	for _, sub := range v.v6.cur.subnets {
		sub.formerly.until += by
	}
}

func (t *table) shift(by int64) {
	for _, e := range t.byAddr {
		e.shift(by)
	}
}

func (e *entry) shift(by int64) {
	e.start, e.end, e.changed = e.start+by, e.end+by, e.changed+by
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

// clockStep is by how much the wall clock must have been set for the server to follow it.
const clockStep = time.Second

// reckoning is the time by which leases run. It follows the wall clock in steps that the server
// decides on, so that no packet is handled by a clock that was set under the leases. The lock of
// the server guards it.
type reckoning struct {
	made     time.Time // when the reckoning began
	base     int64     // its time then, see now
	wall     int64     // what the wall clock would have shown then, as it is set now
	readWall func() int64
	uptime   func(wall int64) (boot string, up time.Duration)

	behind  bool          // the wall clock showed less at the start than the server remembered
	skipped time.Duration // by how much it showed more than the uptime accounts for: the machine may have been paused
	shifted int64         // sum of all times by which the clock has been set since

	// The store keeps its own time until it has moved as well.
	moved   int64  // of shifted, what the store does not know yet
	toMove  bool   // the committer is to try again
	moving  bool   // it is trying
	moveErr string // why it failed, as logged; "" = nothing logged; belongs to the committer
}

// wallOf returns what reads a wall clock in Unix nanoseconds; nil is the host's clock.
func wallOf(clock func() time.Time) func() int64 {
	if clock == nil {
		clock = time.Now
	}
	return func() int64 { return clock().UnixNano() }
}

// now returns the time in Unix nanoseconds.
func (r *reckoning) now() int64 { return r.base + int64(time.Since(r.made)) }

// start begins the reckoning and returns by how much the wall clock was set while the server was
// away.
//
// When the machine has run since the server was last alive, its uptime counts the time in between
// (counted), and the rest of what the wall clock shows was set. Otherwise, when the wall clock
// shows less than the server has already lived, it has lost its battery, or was ahead before; it is
// not known how long the server was away, so it goes on from when it was last alive. A virtual
// machine that was paused does not count that time either; only partners have to know (skipped).
func (r *reckoning) start(alive time.Time, boot string, up time.Duration) (by time.Duration, counted bool) {
	wall := r.readWall()
	r.made, r.base, r.wall = time.Now(), wall, wall
	if alive.IsZero() {
		return 0, false
	}
	then := alive.UnixNano()
	if sameBoot, now := r.uptime(wall); sameBoot != "" && sameBoot == boot && now >= up {
		then += int64(now - up)
		if by = time.Duration(wall - then); by.Abs() < clockStep {
			return 0, true
		}
		r.skipped = max(by, 0)
		counted = true
	} else if then > wall {
		by, r.behind = time.Duration(wall-then), true
	} else {
		return 0, false
	}
	r.base = then
	return by, counted
}

// step returns by how much the wall clock has been set since the last step, and by how much the
// reckoning must move to follow.
func (r *reckoning) step() (set, by time.Duration) {
	wall := r.readWall()
	if set = time.Duration(wall - int64(time.Since(r.made)) - r.wall); set.Abs() < clockStep {
		return 0, 0
	}
	r.wall += int64(set)
	if by = time.Duration(wall - r.now()); by.Abs() < clockStep {
		by = 0
	}
	return set, by
}

// shift moves the reckoning, which the store has to follow.
func (r *reckoning) shift(by int64) {
	r.base += by
	r.shifted += by
	r.moved, r.toMove = r.moved+by, true
}

// beginMove returns by how much the store is behind, and whether the committer is to move it now.
func (r *reckoning) beginMove() (by int64, try bool) {
	try = r.toMove
	r.toMove, r.moving = false, try
	return r.moved, try
}

// storeBehind reports whether the committer still has to move the store, or is doing so.
func (r *reckoning) storeBehind() bool { return r.toMove || r.moving }

// now returns the time by which leases run, in Unix nanoseconds. The caller holds s.mu.
func (s *Server) now() int64 { return s.clock.now() }
