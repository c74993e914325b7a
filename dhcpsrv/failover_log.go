package dhcpsrv

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// share logs a change for the partner of its subnet. The caller holds s.mu.
func (s *Server) share(c *change) {
	var p *partner
	var sh *shared
	var a netip.Addr
	switch {
	case c.from != nil:
		return
	case c.e6 != nil && c.e6.sub != nil:
		p, sh, a = c.e6.sub.partner, &c.e6.shared, c.e6.lease.Addr
	case c.e != nil && c.e.sub != nil:
		p, sh, a = c.e.sub.partner, &c.e.shared, c.lease.Addr
	}
	if p == nil {
		return
	}
	p.seq++
	sh.seq, sh.confirmed = p.seq, false
	c.with, c.seq = p, p.seq
	if p.link == nil || !p.link.helloIn {
		return
	}
	p.log = append(p.log, logged{p.seq, s.vrf(c.lease.VRF), a})
	if len(p.log) > p.compactAbove {
		s.compactLog(p)
	}
	p.link.poke()
}

// fillLog fills the log with what the partner has not acknowledged, in order. The caller holds
// s.mu.
func (s *Server) fillLog(p *partner) {
	p.log = p.log[:0]
	all := p.acked == 0
	add := func(v *vrf, sh *shared, a netip.Addr) {
		if all && sh.seq == 0 {
			p.seq++
			sh.seq = p.seq
		}
		if sh.seq > p.acked {
			p.log = append(p.log, logged{sh.seq, v, a})
		}
	}
	for _, v := range s.vrfs {
		for a, e := range v.v4.byAddr {
			if e.sub != nil && e.sub.partner == p && e.state != offered {
				add(v, &e.shared, a.addr())
			}
		}
		for a, e := range v.v6.byAddr {
			if e.sub != nil && e.sub.partner == p && e.lease.State != offered {
				add(v, &e.shared, a)
			}
		}
	}
	slices.SortFunc(p.log, func(a, b logged) int { return cmp.Compare(a.seq, b.seq) })
}

// trimLog drops entries that have been sent, once they are half of the log.
func (p *partner) trimLog(x *failoverLink) {
	if x.at == len(p.log) {
		p.log, x.at = p.log[:0], 0
	} else if x.at > len(p.log)/2 {
		p.log, x.at = slices.Delete(p.log, 0, x.at), 0
	}
}

// compactLog drops changes that later ones have replaced, so that a slow partner costs no more
// memory than the leases.
func (s *Server) compactLog(p *partner) {
	p.log = slices.Delete(p.log, 0, p.link.at)
	p.link.at = 0
	p.log = slices.DeleteFunc(p.log, func(item logged) bool {
		sh, _, ok := item.shared()
		return !ok || sh.seq != item.seq
	})
	p.compactAbove = max(minCompact, 2*len(p.log))
}

// heldReplies are the replies of one batch, held until the partner has acknowledged its leases.
type heldReplies struct {
	jobs []*job
	with *partner
	seq  uint64
	upto uint64 // changes finished when they are
	gone bool
}

// hasAll reports whether the partner has the leases, or is not connected, so that there is no
// reason to wait.
func (a *heldReplies) hasAll() bool {
	p := a.with
	return p.link == nil || !p.synced || !p.ready || p.acked >= a.seq
}

// committed holds the replies of a stored batch whose leases the partner does not have yet, and
// acknowledges the partner's updates that the batch stored. It returns the jobs to answer now.
func (s *Server) committed(batch []change, now []*job) []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wait []*heldReplies
	for i := range batch {
		c := &batch[i]
		if in := c.in; in != nil {
			if in.left--; in.left == 0 {
				in.x.onDisk(in)
			}
		}
		if c.job == nil {
			continue
		}
		if c.with == nil || (&heldReplies{with: c.with, seq: c.seq}).hasAll() {
			now = append(now, c.job)
			continue
		}
		at := slices.IndexFunc(wait, func(a *heldReplies) bool { return a.with == c.with })
		if at < 0 {
			at = len(wait)
			wait = append(wait, &heldReplies{with: c.with})
		}
		wait[at].jobs, wait[at].seq = append(wait[at].jobs, c.job), c.seq
	}
	for _, a := range wait {
		a.upto = s.finished + uint64(len(batch))
		s.failover.waiting = append(s.failover.waiting, a)
		time.AfterFunc(partnerWait, func() { s.waitedEnough(a) })
	}
	return now
}

// waitedEnough releases replies whose leases the partner has not confirmed in time: a slow partner
// must not cost clients their lease.
func (s *Server) waitedEnough(a *heldReplies) {
	s.mu.Lock()
	late := !a.gone
	if late {
		s.stats.partnerLate.Add(uint64(len(a.jobs)))
		s.failover.waiting = slices.DeleteFunc(s.failover.waiting, func(o *heldReplies) bool { return o == a })
	}
	a.gone = true
	s.mu.Unlock()
	if late {
		answer(a.jobs)
		s.mu.Lock()
		s.progress.Broadcast()
		s.mu.Unlock()
	}
}

// releaseLocked takes out the replies that need not wait any longer. The caller holds s.mu.
func (s *Server) releaseLocked() (jobs []*job) {
	s.failover.waiting = slices.DeleteFunc(s.failover.waiting, func(a *heldReplies) bool {
		if !a.hasAll() {
			return false
		}
		a.gone = true
		jobs = append(jobs, a.jobs...)
		return true
	})
	if len(jobs) > 0 {
		s.progress.Broadcast()
	}
	return jobs
}

// answer ends the wait for the commit of jobs whose leases are durable, and sends their replies in
// as few system calls as possible.
func answer(jobs []*job) {
	var box *outbox
	for _, j := range jobs {
		next := j.box // another goroutine may own the job after the step
		if next != box && box != nil {
			box.flush()
		}
		box = next
		j.step()
	}
	if box != nil {
		box.flush()
	}
}
