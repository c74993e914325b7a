package dhcpsrv

import (
	"context"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// Handle6 is [Server.Handle] for DHCPv6. A packet whose Dst is a unicast address was sent by
// unicast, which clients must not use.
func (s *Server) Handle6(ctx context.Context, p Packet) (Reply, bool) {
	return s.handle(ctx, &job{pkt: p, v6: true})
}

// run6 is [Server.run] for DHCPv6; the address to probe is in j.probe6.
func (s *Server) run6(ctx context.Context, j *job) (again bool) {
	// A panic leaves finished false: the job is then lost to the pool, since other goroutines may
	// still hold it, and the packet is counted as dropped.
	finished := false
	defer func() {
		if !finished {
			j.lost = true
			s.drop(j, dropPanic)
		}
	}()
	defer s.recovered("IPv6 packet")
	w, _ := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)
	r, d := &w.r6, &w.d6
	if why := r.parse(j.pkt); why != 0 {
		finished = true
		s.drop(j, why)
		return false
	}
	// A packet returns here after its probe; it counts, and is limited, only the first time.
	if j.asked == 0 && j.answer == nil {
		s.stats.received6[r.Type].Add(1)
		if s.rate.exceeded(r.duid, time.Now()) {
			finished = true
			s.drop(j, dropRate)
			return false
		}
	}
	d.reset(s.cfg.OfferHold)
	d.answer = j.answer
	stored, again := s.decide6(ctx, d, r, j)
	// The job belongs to the call of Hosts from here on.
	if d.awaits {
		finished = true
		s.unpark(d.gone, dropHostPending)
		return false
	}
	if again {
		finished = true
		return true
	}
	if d.reply == 0 {
		finished = true
		s.silence(j, d.reason, stored)
		return false
	}
	j.keep(s.reply6(ctx, &w.w6, d, r))
	finished = true
	s.stats.sent6[d.reply].Add(1)
	if d.reason != 0 {
		s.stats.reasons[d.reason].Add(1)
	}
	// The reply leaves when the change is on disk: an acknowledged lease survives a crash.
	if stored {
		j.step()
	} else {
		j.end(true)
	}
	return false
}

// decide6 decides and applies under the lock, and queues what must become durable.
func (s *Server) decide6(ctx context.Context, d *decision6, r *request6, j *job) (stored, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.now = time.Unix(0, s.now())
	// Leases of the partner may be in the past only because its newer versions have not arrived
	// yet.
	if !s.recovering(d.now.UnixNano()) {
		for _, v := range s.vrfs {
			s.enqueue(v.v6.expire(d.now, expireChunk))
		}
	}
	// The disk is slower than the packets. To be silent is better than to queue without bound:
	// clients ask again.
	if len(s.pending) > maxPending {
		d.silent(dropBacklog)
		return false, false
	}
	var why Reason
	if d.vrf, why = s.selectVRF(r.vss, r.pkt.Link); why != 0 {
		d.silent(why)
		return false, false
	}
	t := d.vrf.v6
	// Only an offer is probed; what a REQUEST names is granted or not.
	d.probes = s.cfg.Prober != nil && j.asked < probeTries && r.Type == wire6.Solicit
	t.decide(d, r)
	if d.awaits {
		d.gone = s.park(ctx, j, r.hostQuery(d))
		return false, false
	}
	s.warnHost(d.host, d.hostErr)
	if j.gaveUp() && s.wouldProbe6(d) != nil {
		d.silent(dropProbing)
		return false, false
	}
	ia := s.mustProbe6(d, j)
	for i := range d.ias {
		if a := &d.ias[i]; a.by == byHash || a.by == byStock || a.by == byAge {
			at, _ := a.sub.aheadOf(a.addr)
			s.noteDemand(at, true, a == ia)
		}
	}
	if ia != nil {
		// The address is held during the probe, so that no other client is offered the same one.
		t.hold(d, ia, r)
		j.vrf, j.probe6 = d.vrf, t.byAddr[ia.addr]
		j.probe6.probing = true
		return false, true
	}
	d.withholdDeclined()
	changes := t.apply(d, r)
	if len(changes) > 0 {
		changes[len(changes)-1].job = j
	}
	s.enqueue(changes)
	return len(changes) > 0, false
}
