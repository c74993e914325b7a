package dhcpsrv

import (
	"bytes"
	"context"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// expireChunk bounds the entries that one packet ends on its way, and so the time that its client
// waits for others.
const expireChunk = 64

// Handle answers one packet without a socket: it decides, makes the lease durable and returns the
// reply. The answer false is silence; [Server.Stats] counts the reason and [Server.Explain] returns
// it. The reply owns its data.
func (s *Server) Handle(ctx context.Context, p Packet) (Reply, bool) {
	r, ok := s.handle(ctx, &job{pkt: p})
	r.HW = bytes.Clone(r.HW)
	return r, ok
}

// handle runs a job of its own for one packet that did not arrive through a Conn.
func (s *Server) handle(ctx context.Context, j *job) (reply Reply, ok bool) {
	done := make(chan struct{})
	j.done = func(r Reply, sent bool) {
		reply, ok = r, sent
		close(done)
	}
	for s.run(ctx, j) {
		s.probe(ctx, j)
	}
	select {
	case <-done:
		return reply, ok
	case <-ctx.Done():
		return Reply{}, false
	}
}

// run takes a packet from its bytes to its reply. When it returns true, the address in j.probe must
// be probed and the job run again; otherwise the job has ended, or will once the lease is durable.
func (s *Server) run(ctx context.Context, j *job) (again bool) {
	if j.v6 {
		return s.run6(ctx, j)
	}
	finished := false
	defer func() {
		if !finished {
			j.lost = true
			s.drop(j, dropPanic)
		}
	}()
	defer s.recovered("packet")
	w, _ := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)
	r, d := &w.r, &w.d
	if why := r.parse(j.pkt); why != 0 {
		finished = true
		s.drop(j, why)
		return false
	}
	if j.asked == 0 && j.answer == nil {
		s.stats.receive(r.kind)
		if s.rate.exceeded(r.CHAddr(), time.Now()) {
			finished = true
			s.drop(j, dropRate)
			return false
		}
	}
	*d = decision{hold: int64(s.cfg.OfferHold), answer: j.answer}
	stored, again := s.decide(ctx, d, r, j)
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
	s.reportWatched(d)
	s.askBoot(ctx, d, r)
	if d.reply == noReply {
		finished = true
		s.silence(j, d.reason, stored)
		return false
	}
	j.keep(s.reply(d, r, w.buf[:]))
	finished = true
	s.count(d)
	if stored {
		j.step()
	} else {
		j.end(true)
	}
	return false
}

// scratch is memory for the handling of one packet.
type scratch struct {
	r   request
	d   decision
	r6  request6
	d6  decision6
	w6  wire6.Writer
	buf [wire.MaxSize]byte
}

// keep copies a reply into memory of the job: the scratch buffer is used again before the reply
// leaves.
func (j *job) keep(r Reply) {
	j.out = append(j.out[:0], r.Data...)
	j.reply, j.reply.Data = r, j.out
}

// decide decides and applies under the lock, and queues the changes that must become durable.
// stored reports whether there are any; again, that an address must be probed first.
func (s *Server) decide(ctx context.Context, d *decision, r *request, j *job) (stored, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.now = s.now()
	if !s.recovering(d.now) {
		s.expireSoon(d.now)
	}
	if len(s.pending) > maxPending {
		d.silent(dropBacklog)
		return false, false
	}
	var why Reason
	if d.vrf, why = s.selectVRF(r.vss, r.pkt.Link); why != 0 {
		d.silent(why)
		return false, false
	}
	t := d.vrf.v4
	d.probes = s.cfg.Prober != nil && !j.gaveUp()
	t.decide(d, r)
	if d.awaits {
		d.gone = s.park(ctx, j, t.hostQuery(d, r))
		return false, false
	}
	s.warnHost(d.host, d.hostErr)
	if j.gaveUp() && s.wouldProbe(d) {
		d.silent(dropProbing)
		return false, false
	}
	must := s.mustProbe(d, j)
	if d.by == byHash || d.by == byStock || d.by == byAge {
		at, _ := d.sub.space.aheadOf(d.addr)
		s.noteDemand(at, false, must)
	}
	if d.by == byDecline && !must {
		d.silent(dropPoolExhausted)
		return false, false
	}
	if must {
		t.hold(d, r)
		j.vrf, j.probe = d.vrf, t.byAddr[d.addr]
		j.probe.probing = true
		return false, true
	}
	changes := t.apply(d, r)
	if len(changes) > 0 {
		changes[len(changes)-1].job = j
	}
	s.enqueue(changes)
	return len(changes) > 0, false
}

// expireSoon ends a few IPv4 leases that have run out. The caller holds s.mu.
func (s *Server) expireSoon(now int64) {
	for _, v := range s.vrfs {
		s.enqueue(v.v4.expire(now, expireChunk))
	}
}

func (s *Server) drop(j *job, why Reason) {
	s.stats.reasons[why].Add(1)
	j.end(false)
}

// silence ends a packet without answer, once what it changed (a RELEASE, a DECLINE) is durable.
func (s *Server) silence(j *job, why Reason, stored bool) {
	if !stored {
		s.drop(j, why)
		return
	}
	s.stats.reasons[why].Add(1)
	j.silent = true
	j.step()
}

func (s *Server) count(d *decision) {
	s.stats.sent[d.reply].Add(1)
	if d.reply == wire.Nak {
		s.stats.reasons[d.reason].Add(1)
	}
}
