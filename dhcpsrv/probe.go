package dhcpsrv

import (
	"context"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

const (
	maxProbes    = 256         // under way at once; further offers are made without
	probeTries   = 3           // addresses probed for one DISCOVER
	probeTimeout = time.Second // of one probe
)

// ProberFunc makes a function a [Prober].
type ProberFunc func(ctx context.Context, link string, addr netip.Addr) (inUse bool, err error)

// Probe calls f.
func (f ProberFunc) Probe(ctx context.Context, link string, addr netip.Addr) (bool, error) {
	return f(ctx, link, addr)
}

// wouldProbe reports whether the address of a decision is to be probed before it is offered: when the client does not hold
// it already, and it has not just been probed. The caller holds s.mu.
func (s *Server) wouldProbe(d *decision) bool {
	if s.cfg.Prober == nil || d.addr == 0 || d.reply != wire.Offer && !d.rapid {
		return false
	}
	e := s.table.byAddr[d.addr]
	return e == nil || !e.mine(d.key) || !e.live(d.now) || e.state == offered && !e.probed
}

// mustProbe takes a place among the probes under way for a job that needs one. Without a place it goes on unprobed.
func (s *Server) mustProbe(d *decision, j *job) bool {
	if j.asked >= probeTries || !s.wouldProbe(d) {
		return false
	}
	select {
	case s.probes <- struct{}{}:
		return true
	default:
		s.stats.probesMissed.Add(1)
		return false
	}
}

// probe asks about the address of j.probe and notes the answer. An address in use goes into quarantine, and the next run of
// the job picks another.
func (s *Server) probe(ctx context.Context, j *job) {
	defer func() { <-s.probes }()
	j.asked++
	s.stats.probes.Add(1)
	inUse := s.askProber(ctx, j.probe)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := j.probe
	if s.table.byAddr[e.addr] != e || !e.probing {
		return // the offer has lapsed, or the client has already taken it
	}
	e.probing, e.probed = false, !inUse
	if inUse {
		s.log.Warn("address in use, not offered", "ip", e.addr.addr(), "subnet", e.subnetName)
		s.table.changes = s.table.changes[:0]
		s.table.quarantine(e, Conflict, time.Now().UnixNano())
		s.enqueue(s.table.changes)
	}
}

func (s *Server) askProber(ctx context.Context, e *entry) (inUse bool) {
	defer s.recovered("prober")
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s.mu.Lock()
	link, addr := "", e.addr.addr()
	if e.sub != nil {
		link = e.sub.Link
	}
	s.mu.Unlock()
	inUse, err := s.cfg.Prober.Probe(ctx, link, addr)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("probe failed", "ip", addr, "err", err)
	}
	return inUse && err == nil
}
