package dhcpsrv

import (
	"context"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// expireChunk bounds how many entries one packet ends on its way.
const expireChunk = 64

// Handle answers one packet without a socket: it decides, makes the lease durable and returns the reply. The answer false
// is silence; [Server.Stats] counts why, [Server.Explain] tells. The reply owns its data.
func (s *Server) Handle(ctx context.Context, p Packet) (Reply, bool) {
	var reply Reply
	var ok bool
	done := make(chan struct{})
	j := &job{pkt: p, send: func(r Reply, sent bool) {
		reply, ok = r, sent
		close(done)
	}}
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

// job is one packet on its way through the server.
type job struct {
	pkt  Packet
	v6   bool
	send func(Reply, bool) // called exactly once, from any goroutine

	asked int    // probes made for it
	probe *entry // address to probe before the next run
}

// run takes a packet from its bytes to its reply. When it returns true, the address in j.probe must be probed and the job
// run again; otherwise j.send has been called, or will be once the lease is durable.
func (s *Server) run(ctx context.Context, j *job) (again bool) {
	if j.v6 {
		s.run6(ctx, j)
		return false
	}
	finished := false
	defer func() {
		if !finished {
			s.drop(j, DropPanic)
		}
	}()
	defer s.recovered("packet")
	var r request
	if why := r.parse(j.pkt); why != 0 {
		finished = true
		s.drop(j, why)
		return false
	}
	if j.asked == 0 {
		s.stats.receive(r.kind)
		if s.rate.exceeded(r.CHAddr(), time.Now()) {
			finished = true
			s.drop(j, DropRate)
			return false
		}
	}
	d := decision{now: time.Now().UnixNano(), hold: int64(s.cfg.OfferHold)}
	out, again := s.settle(&d, &r, j)
	if again {
		finished = true
		return true
	}
	s.askBoot(ctx, &d, &r)
	if d.reply == noReply {
		finished = true
		s.silence(j, d.reason, out)
		return false
	}
	reply := s.reply(&d, &r, make([]byte, wire.MaxSize))
	finished = true
	s.count(&d)
	if out == nil {
		j.send(reply, true)
		return false
	}
	out.reply = reply
	out.step()
	return false
}

// settle decides and applies under the lock, and queues what must become durable.
func (s *Server) settle(d *decision, r *request, j *job) (out *outgoing, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(s.table.expire(d.now, expireChunk))
	if len(s.pending) > maxPending {
		d.silent(DropBacklog)
		return nil, false
	}
	s.table.decide(d, r)
	if s.mustProbe(d, j) {
		s.table.hold(d, r)
		j.probe = s.table.byAddr[d.addr]
		j.probe.probing = true
		return nil, true
	}
	changes := s.table.apply(d, r)
	if len(changes) > 0 {
		out = &outgoing{send: j.send}
		changes[len(changes)-1].out = out
	}
	s.enqueue(changes)
	return out, false
}

func (s *Server) drop(j *job, why Reason) {
	s.stats.reasons[why].Add(1)
	j.send(Reply{}, false)
}

// silence ends a packet without answer, once what it changed (a RELEASE, a DECLINE) is durable.
func (s *Server) silence(j *job, why Reason, out *outgoing) {
	if out == nil {
		s.drop(j, why)
		return
	}
	s.stats.reasons[why].Add(1)
	out.silent = true
	out.step()
}

func (s *Server) count(d *decision) {
	s.stats.sent[d.reply].Add(1)
	if d.reply == wire.Nak {
		s.stats.reasons[d.reason].Add(1)
	}
}
