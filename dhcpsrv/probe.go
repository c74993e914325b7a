package dhcpsrv

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

const (
	maxProbes      = 256         // in progress at once; further offers are made without a probe
	maxBatchProbes = 4096        // the same with a BatchProber
	probeTries     = 3           // addresses probed for one DISCOVER
	probeTimeout   = time.Second // of one probe
)

// ProberFunc makes a function a [Prober].
type ProberFunc func(ctx context.Context, link string, addr netip.Addr) (inUse bool, err error)

// Probe calls f.
func (f ProberFunc) Probe(ctx context.Context, link string, addr netip.Addr) (bool, error) {
	return f(ctx, link, addr)
}

// gaveUp reports whether so many addresses were found in use for a packet that its client must ask
// again: what is next in the pool may be in use as well, and must not be offered unprobed.
func (j *job) gaveUp() bool { return j.clash >= probeTries }

// wouldProbe reports whether the address of a decision must be probed before it is offered: the
// client does not hold it, and it has not just been probed. The caller holds s.mu.
func (s *Server) wouldProbe(d *decision) bool {
	if s.cfg.Prober == nil || d.addr == 0 || d.reply != wire.Offer && !d.rapid {
		return false
	}
	t := d.vrf.v4
	if !d.sub.canProbe() || t.probedAhead(d.addr, d.now) {
		return false
	}
	e := t.byAddr[d.addr]
	return e == nil || !e.mine(d.key) || !e.live(d.now) || e.state == offered && !e.probed
}

// canProbe reports whether the host can ask whether an address of the subnet is in use. In a VRF
// that it has no link of, it would ask about the same address of another network.
func (s *Subnet) canProbe() bool { return s.VRF == "" || s.Link != "" }

// mustProbe reserves one of the probes in progress for a job that needs one. When none is free the
// address is offered unprobed: a flood must not stop the service.
func (s *Server) mustProbe(d *decision, j *job) bool {
	if !s.wouldProbe(d) {
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

// wouldProbe6 returns the first IA whose address is to be probed before it is offered, or nil.
func (s *Server) wouldProbe6(d *decision6) *ia6 {
	if s.cfg.Prober == nil || d.reply != wire6.Advertise && !d.rapid {
		return nil
	}
	for i := range d.ias {
		ia := &d.ias[i]
		if !ia.addr.IsValid() || !ia.sub.canProbe() {
			continue
		}
		e := d.vrf.v6.byAddr[ia.addr]
		if !d.vrf.v6.probedAhead(ia.addr, d.now.UnixNano()) && (e == nil || !e.mine(ia.key) || !e.live(d.now) || e.lease.State == offered && !e.probed) {
			return ia
		}
	}
	return nil
}

// mustProbe6 is [Server.mustProbe] for DHCPv6. A message with many IAs gets some of its addresses
// unprobed.
func (s *Server) mustProbe6(d *decision6, j *job) *ia6 {
	if j.asked >= probeTries {
		return nil
	}
	ia := s.wouldProbe6(d)
	if ia == nil {
		return nil
	}
	if e := d.vrf.v6.byAddr[ia.addr]; e != nil && e.live(d.now) && !e.mine(ia.key) && ia.by == byReservation {
		return nil // a reserved address that passes from one stage of a machine to the next
	}
	select {
	case s.probes <- struct{}{}:
		return ia
	default:
		s.stats.probesMissed.Add(1)
		return nil
	}
}

// probe probes the address of a job and records the answer. An address in use is declined, and the
// next run of the job picks another.
func (s *Server) probe(ctx context.Context, j *job) {
	defer func() { <-s.probes }()
	j.asked++
	s.stats.probes.Add(1)
	s.mu.Lock()
	link, addr := j.probed()
	s.mu.Unlock()
	owner, inUse := s.askProber(ctx, link, addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.v6 {
		s.probed6(j, owner, inUse)
		return
	}
	e, t := j.probe, j.vrf.v4
	inUse = inUse && string(owner) != e.mac() && !t.cur.byAddr[e.addr].isFor(owner)
	if t.byAddr[e.addr] != e || !e.probing {
		return // the offer has lapsed, or the client has accepted it
	}
	e.probing, e.probed = false, !inUse
	if inUse {
		j.clash++
		s.faults.Warn("address in use, not offered", "ip", e.addr.addr(), "subnet", e.subnetName, "mac", owner.String())
		t.changes = t.changes[:0]
		t.decline(e, Conflict, s.now())
		s.enqueue(t.changes)
	}
}

// probed6 records the answer to the probe of an IPv6 address.
func (s *Server) probed6(j *job, owner net.HardwareAddr, inUse bool) {
	e, t := j.probe6, j.vrf.v6
	inUse = inUse && !(len(owner) > 0 && bytes.Equal(owner, e.lease.MAC)) && !t.cur.byAddr[e.lease.Addr].isFor(owner)
	if t.byAddr[e.lease.Addr] != e || !e.probing {
		return
	}
	e.probing, e.probed = false, !inUse
	if inUse && e.sub != nil {
		j.clash++
		s.faults.Warn("address in use, not offered", "ip", e.lease.Addr, "subnet", e.lease.Subnet, "mac", owner.String())
		s.enqueue([]change{t.decline(e, Conflict, time.Unix(0, s.now()))})
	}
}

// probed returns the address that a job asks about, and its link. The caller holds s.mu.
func (j *job) probed() (link string, addr netip.Addr) {
	if j.v6 {
		if addr = j.probe6.lease.Addr; j.probe6.sub != nil {
			link = j.probe6.sub.Link
		}
		return link, addr
	}
	if addr = j.probe.addr.addr(); j.probe.sub != nil {
		link = j.probe.sub.Link
	}
	return link, addr
}

// isFor reports whether a link address is one of the reservation's client. A nil reservation is for
// none.
func (r *Reservation) isFor(mac net.HardwareAddr) bool {
	if r == nil || len(mac) == 0 {
		return false
	}
	return bytes.Equal(r.MAC, mac) || slices.ContainsFunc(r.Aliases, func(a net.HardwareAddr) bool { return bytes.Equal(a, mac) })
}

// askProber probes an address. owner is the link address of the host that answers, nil when the
// prober does not know it.
func (s *Server) askProber(ctx context.Context, link string, addr netip.Addr) (owner net.HardwareAddr, inUse bool) {
	defer s.recovered("prober")
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var err error
	if p, ok := s.cfg.Prober.(OwnerProber); ok {
		owner, inUse, err = p.ProbeOwner(ctx, link, addr)
	} else {
		inUse, err = s.cfg.Prober.Probe(ctx, link, addr)
	}
	if err != nil && ctx.Err() == nil {
		s.faults.Warn("probe failed", "ip", addr, "err", err)
	}
	return owner, inUse && err == nil
}
