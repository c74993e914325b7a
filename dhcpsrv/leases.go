package dhcpsrv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// LeaseFilter selects leases. Fields that are zero select all.
type LeaseFilter struct {
	Prefix   netip.Prefix     // of the addresses
	State    LeaseState       // Bound includes leases that have run out a moment ago
	Subnet   string           // name of the subnet when the lease was given
	MAC      net.HardwareAddr // of the client
	Hostname string           // the client's own name, in any case
}

func (f *LeaseFilter) fits(l *Lease) bool {
	return (f.State == 0 || l.State == f.State) && (f.Subnet == "" || l.Subnet == f.Subnet) &&
		(len(f.MAC) == 0 || bytes.Equal(l.MAC, f.MAC)) && (f.Hostname == "" || strings.EqualFold(l.Hostname, f.Hostname))
}

// Leases returns the leases that fit all filters, ended and declined ones included, in the order of
// their addresses. It locks the server for one lease at a time.
func (s *Server) Leases(filters ...LeaseFilter) iter.Seq[Lease] {
	inPrefix := func(a netip.Addr) bool {
		return !slices.ContainsFunc(filters, func(f LeaseFilter) bool { return f.Prefix.IsValid() && !f.Prefix.Contains(a) })
	}
	return func(yield func(Lease) bool) {
		s.mu.Lock()
		// Only the addresses are copied under the lock; a million leases would hold packets up for
		// a second.
		addrs := slices.Collect(maps.Keys(s.table.byAddr))
		addrs6 := slices.Collect(maps.Keys(s.table6.byAddr))
		s.mu.Unlock()
		addrs = slices.DeleteFunc(addrs, func(a addr4) bool { return !inPrefix(a.addr()) })
		addrs6 = slices.DeleteFunc(addrs6, func(a netip.Addr) bool { return !inPrefix(a) })
		slices.Sort(addrs)
		slices.SortFunc(addrs6, netip.Addr.Compare)
		give := func(l Lease, ok bool) (more bool) {
			misfit := !ok || slices.ContainsFunc(filters, func(f LeaseFilter) bool { return !f.fits(&l) })
			return misfit || yield(l)
		}
		for _, a := range addrs {
			if !give(s.lease(a)) {
				return
			}
		}
		for _, a := range addrs6 {
			if !give(s.lease6(a)) {
				return
			}
		}
	}
}

func (s *Server) lease(a addr4) (Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.table.byAddr[a]
	// An offer is no lease: the client may choose another server.
	if e == nil || e.state == offered {
		return Lease{}, false
	}
	return e.lease(), true
}

func (s *Server) lease6(a netip.Addr) (Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.table6.byAddr[a]
	if e == nil || e.lease.State == offered {
		return Lease{}, false
	}
	return e.lease.clone(), true
}

// Lookup returns the lease that is bound to addr now.
func (s *Server) Lookup(addr netip.Addr) (Lease, bool) {
	l, ok := s.lease6(addr)
	if addr = addr.Unmap(); addr.Is4() {
		l, ok = s.lease(addr4From(addr))
	}
	s.mu.Lock()
	now := s.now()
	s.mu.Unlock()
	return l, ok && l.State == Bound && l.End.UnixNano() > now
}

// Release ends the lease of an address as its client would, and returns once that is durable and
// its event is reported. Without a lease that is bound now the error satisfies errors.Is(err,
// fs.ErrNotExist). The client is not told: it uses the address until it renews, and gets it again
// then unless another client has it, a reservation is against it, or [Hosts] refuses it.
func (s *Server) Release(ctx context.Context, addr netip.Addr) error {
	ended := make(chan bool, 1)
	j := &job{done: func(_ Reply, stored bool) { ended <- stored }}
	if !s.release(addr.Unmap(), j) {
		return fmt.Errorf("dhcpsrv: release %v: no lease is bound to it: %w", addr, fs.ErrNotExist)
	}
	j.step()
	select {
	case stored := <-ended:
		if !stored {
			return fmt.Errorf("dhcpsrv: release %v: %w", addr, errNotStored)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("dhcpsrv: release %v: %w", addr, context.Cause(ctx))
	}
}

var errNotStored = errors.New("the lease store failed; see the log")

// release ends a lease, if there is one, and lets a job wait for the store.
func (s *Server) release(addr netip.Addr, j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var changes []change
	if addr.Is4() {
		e := s.table.byAddr[addr4From(addr)]
		if e == nil || e.state != Bound || !e.live(now) {
			return false
		}
		s.table.changes = s.table.changes[:0]
		s.table.end(e, Released, now)
		changes = s.table.changes
	} else {
		e := s.table6.byAddr[addr]
		if e == nil || e.lease.State != Bound || !e.live(time.Unix(0, now)) {
			return false
		}
		changes = []change{s.table6.end(e, Released, time.Unix(0, now))}
	}
	changes[len(changes)-1].job = j
	s.enqueue(changes)
	return true
}
