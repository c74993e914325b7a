package dhcpsrv

import "time"

// clockStep is by how much the wall clock must have been set for the server to follow it.
const clockStep = time.Second

// reckoning is the time by which leases run. It follows the wall clock in steps that the server
// decides on, so that no packet is handled by a clock that was set under the leases. The lock of
// the server guards it.
type reckoning struct {
	made     time.Time    // when the reckoning began
	base     int64        // its time then, see now
	wall     int64        // what the wall clock would have shown then, as it is set now
	readWall func() int64 // tests set the clock by it
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
