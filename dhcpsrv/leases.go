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
// their addresses, VRF by VRF. It locks the server for one lease at a time.
func (s *Server) Leases(filters ...LeaseFilter) iter.Seq[Lease] {
	return s.leasesOf(func(string) bool { return true }, filters)
}

// leasesOf is Leases of some VRFs.
func (s *Server) leasesOf(wanted func(vrf string) bool, filters []LeaseFilter) iter.Seq[Lease] {
	return func(yield func(Lease) bool) {
		s.mu.Lock()
		all := slices.Clone(s.vrfs)
		s.mu.Unlock()
		for _, v := range all {
			if wanted(v.name) && !s.yieldLeases(v, filters, yield) {
				return
			}
		}
	}
}

// yieldLeases yields the leases of a VRF until yield returns false, and reports whether it did not.
func (s *Server) yieldLeases(v *vrf, filters []LeaseFilter, yield func(Lease) bool) bool {
	outside := func(a netip.Addr) bool {
		return slices.ContainsFunc(filters, func(f LeaseFilter) bool { return f.Prefix.IsValid() && !f.Prefix.Contains(a) })
	}
	s.mu.Lock()
	// Only the addresses are copied under the lock; a million leases would hold packets up for a
	// second.
	addrs := slices.Collect(maps.Keys(v.v4.byAddr))
	addrs6 := slices.Collect(maps.Keys(v.v6.byAddr))
	s.mu.Unlock()
	addrs = slices.DeleteFunc(addrs, func(a addr4) bool { return outside(a.addr()) })
	addrs6 = slices.DeleteFunc(addrs6, outside)
	slices.Sort(addrs)
	slices.SortFunc(addrs6, netip.Addr.Compare)
	give := func(l Lease, ok bool) (more bool) {
		misfit := !ok || slices.ContainsFunc(filters, func(f LeaseFilter) bool { return !f.fits(&l) })
		return misfit || yield(l)
	}
	for _, a := range addrs {
		if !give(s.lease(v, a)) {
			return false
		}
	}
	for _, a := range addrs6 {
		if !give(s.lease6(v, a, false)) {
			return false
		}
	}
	return true
}

func (s *Server) lease(v *vrf, a addr4) (Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := v.v4.byAddr[a]
	// An offer is no lease: the client may choose another server.
	if e == nil || e.state == offered {
		return Lease{}, false
	}
	return v.v4.lease(e), true
}

// lease6 returns the lease of an address, or with inside the one of the prefix that contains it.
func (s *Server) lease6(v *vrf, a netip.Addr, inside bool) (Lease, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := v.v6.byAddr[a]
	if inside {
		e = v.v6.entryOf(a)
	}
	if e == nil || e.lease.State == offered {
		return Lease{}, false
	}
	return e.lease.clone(), true
}

// Lookup returns the lease that is bound to addr in the global VRF now, or to the delegated prefix
// that contains it. See [Server.VRF] for others.
func (s *Server) Lookup(addr netip.Addr) (Lease, bool) { return s.lookup("", addr) }

func (s *Server) lookup(name string, addr netip.Addr) (l Lease, ok bool) {
	s.mu.Lock()
	v, now := s.vrf(name), s.now()
	s.mu.Unlock()
	switch addr = addr.Unmap(); {
	case v == nil:
	case addr.Is4():
		l, ok = s.lease(v, addr4From(addr))
	default:
		l, ok = s.lease6(v, addr, true)
	}
	return l, ok && l.State == Bound && l.End.UnixNano() > now
}

// Release ends the lease of an address of the global VRF, or of the delegated prefix that contains
// it, as its client would, and returns once that is durable and its event is reported. Without a
// lease that is bound now the error satisfies errors.Is(err, fs.ErrNotExist). The client is not
// told: it uses the address until it renews, and gets it again then unless another client has it, a
// reservation is against it, or [Hosts] refuses it.
func (s *Server) Release(ctx context.Context, addr netip.Addr) error {
	return s.releaseIn(ctx, "", addr)
}

func (s *Server) releaseIn(ctx context.Context, vrf string, addr netip.Addr) error {
	ended := make(chan bool, 1)
	j := &job{done: func(_ Reply, stored bool) { ended <- stored }}
	if !s.release(vrf, addr.Unmap(), j) {
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
func (s *Server) release(name string, addr netip.Addr, j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, now := s.vrf(name), s.now()
	if v == nil {
		return false
	}
	var changes []change
	if addr.Is4() {
		e := v.v4.byAddr[addr4From(addr)]
		if e == nil || e.state != Bound || !e.live(now) {
			return false
		}
		v.v4.changes = v.v4.changes[:0]
		v.v4.end(e, Released, now)
		changes = v.v4.changes
	} else {
		e := v.v6.entryOf(addr)
		if e == nil || e.lease.State != Bound || !e.live(time.Unix(0, now)) {
			return false
		}
		changes = []change{v.v6.end(e, Released, time.Unix(0, now))}
	}
	changes[len(changes)-1].job = j
	s.enqueue(changes)
	return true
}
