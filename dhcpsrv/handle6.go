package dhcpsrv

import (
	"context"
	"time"
)

// Handle6 is [Server.Handle] for DHCPv6. A packet whose Dst is an address of this host, and not a group, came by unicast,
// which clients are told not to use.
func (s *Server) Handle6(ctx context.Context, p Packet) (Reply, bool) {
	var reply Reply
	var ok bool
	done := make(chan struct{})
	s.run6(ctx, &job{pkt: p, v6: true, send: func(r Reply, sent bool) {
		reply, ok = r, sent
		close(done)
	}})
	select {
	case <-done:
		return reply, ok
	case <-ctx.Done():
		return Reply{}, false
	}
}

// Serve6 is [Server.Serve] for DHCPv6, on a conn from [Listen6].
func (s *Server) Serve6(ctx context.Context, conn Conn) error {
	return s.serve(ctx, conn, job{v6: true})
}

// run6 takes a packet from its bytes to its reply; j.send has been called then, or will be once the lease is durable.
func (s *Server) run6(ctx context.Context, j *job) {
	finished := false
	defer func() {
		if !finished {
			s.drop(j, DropPanic)
		}
	}()
	defer s.recovered("IPv6 packet")
	var r request6
	if why := r.parse(j.pkt); why != 0 {
		finished = true
		s.drop(j, why)
		return
	}
	s.stats.received6[r.Type].Add(1)
	if s.rate.exceeded(r.duid, time.Now()) {
		finished = true
		s.drop(j, DropRate)
		return
	}
	d := decision6{now: time.Now(), hold: s.cfg.OfferHold}
	out := s.settle6(&d, &r, j)
	if d.reply == 0 {
		finished = true
		s.silence(j, d.reason, out)
		return
	}
	reply := s.reply6(ctx, &d, &r)
	finished = true
	s.stats.sent6[d.reply].Add(1)
	if d.reason != 0 {
		s.stats.reasons[d.reason].Add(1)
	}
	if out == nil {
		j.send(reply, true)
		return
	}
	out.reply = reply
	out.step()
}

// settle6 decides and applies under the lock, and queues what must become durable.
func (s *Server) settle6(d *decision6, r *request6, j *job) (out *outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(s.table6.expire(d.now, expireChunk))
	if len(s.pending) > maxPending {
		d.silent(DropBacklog)
		return nil
	}
	s.table6.decide(d, r)
	changes := s.table6.apply(d, r)
	if len(changes) > 0 {
		out = &outgoing{send: j.send}
		changes[len(changes)-1].out = out
	}
	s.enqueue(changes)
	return out
}
