package dnssrv

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// notices holds the changed zones that secondaries have not been notified of.
type notices struct {
	wake chan struct{}

	mu      sync.Mutex // guards the fields below
	pending map[netip.AddrPort]map[string]bool
	busy    map[netip.AddrPort]bool
}

// notify queues a NOTIFY of each changed zone for its secondaries.
func (s *Server) notify(changed map[string]uint32) {
	p := s.policy.Load()
	for zone := range changed {
		for _, target := range p.notify(zone) {
			s.notices.add(zone, target)
		}
	}
}

// greet remembers to tell secondaries that are new of the zones: they may have asked before they
// were allowed to.
func (s *Server) greet(old, p *policy) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for zone := range s.data.zones {
		had := old.notify(zone)
		for _, target := range p.notify(zone) {
			if !slices.Contains(had, target) {
				s.notices.add(zone, target)
			}
		}
	}
}

func (n *notices) add(zone string, target netip.AddrPort) {
	n.mu.Lock()
	if n.pending[target] == nil {
		n.pending[target] = map[string]bool{}
	}
	n.pending[target][zone] = true
	n.mu.Unlock()
	select {
	// One token is enough: the sender takes all that is pending.
	case n.wake <- struct{}{}:
	default:
	}
}

// begin returns the targets that have no sender at the moment; the caller starts one for each.
func (n *notices) begin() (targets []netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for target := range n.pending {
		if !n.busy[target] {
			n.busy[target] = true
			targets = append(targets, target)
		}
	}
	return targets
}

// next removes and returns the zones pending for a target. Nil ends the target's sender.
func (n *notices) next(target netip.AddrPort) map[string]bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	zones := n.pending[target]
	delete(n.pending, target)
	if zones == nil {
		delete(n.busy, target)
	}
	return zones
}

// SendNotifies notifies the secondaries of [Access] of each zone that changes until ctx ends, and
// then returns nil. Changes that occur while a NOTIFY is sent share the next one. Secondaries do
// not wait for each other.
func (s *Server) SendNotifies(ctx context.Context) error {
	var senders sync.WaitGroup
	defer senders.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.notices.wake:
		}
		for _, target := range s.notices.begin() {
			senders.Go(func() { s.sendAll(ctx, target) })
		}
	}
}

// sendAll sends one secondary all pending notices. One that does not answer is not sent the rest:
// it polls by itself.
func (s *Server) sendAll(ctx context.Context, target netip.AddrPort) {
	for zones := s.notices.next(target); zones != nil; zones = s.notices.next(target) {
		for zone := range zones {
			if err := s.sendNotify(ctx, zone, target); err != nil {
				if ctx.Err() == nil {
					s.log.Warn("secondary did not acknowledge NOTIFY", "zone", zone, "server", target, "err", err)
				}
				// Its refresh timer brings the rest.
				break
			}
		}
	}
}

// sendNotify sends one NOTIFY, repeated with a doubled wait: UDP may lose it.
func (s *Server) sendNotify(ctx context.Context, zone string, target netip.AddrPort) error {
	s.mu.RLock()
	z := s.data.zones[zone]
	var soa *dns.SOA
	if z != nil {
		soa = z.soa
	}
	s.mu.RUnlock()
	if soa == nil {
		return nil
	}
	m := new(dns.Msg).SetNotify(zone)
	m.Answer = []dns.RR{soa}
	var err error
	for wait := time.Second; wait <= 4*time.Second && ctx.Err() == nil; wait *= 2 {
		if _, _, err = (&dns.Client{Timeout: wait}).ExchangeContext(ctx, m, target.String()); err == nil {
			return nil
		}
	}
	return err
}
