package rack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
)

// scan is one scan of one or more subnets.
type scan struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex // guards the fields below
	status discoveryrpc.ScanStatus
}

// get returns a copy of the status.
func (s *scan) get() discoveryrpc.ScanStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// change changes the status.
func (s *scan) change(f func(*discoveryrpc.ScanStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

// keptScans is the number of scans whose status is kept.
const keptScans = 16

// leg is the part of a scan that uses one interface.
type leg struct {
	link     string
	prefixes []netip.Prefix
}

// Start starts a scan. It refuses while another scan runs, since both would share the rate limit of
// probes.
func (d *discoverer) Start(ctx context.Context, r discoveryrpc.ScanRequest) (discoveryrpc.ScanStatus, error) {
	if err := d.awaitPolicy(ctx, r.Prefixes); err != nil {
		return discoveryrpc.ScanStatus{}, err
	}
	legs, err := d.legs(r.Prefixes)
	if err != nil {
		return discoveryrpc.ScanStatus{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	life, err := d.running()
	if err != nil {
		return discoveryrpc.ScanStatus{}, err
	}
	if n := len(d.scans); n > 0 && d.scans[n-1].get().Running {
		return discoveryrpc.ScanStatus{}, fmt.Errorf("a scan is in progress: %w", fs.ErrExist)
	}
	life, cancel := context.WithCancel(life)
	s := &scan{cancel: cancel, done: make(chan struct{}), status: discoveryrpc.ScanStatus{ID: r.ID, Running: true}}
	d.scans = append(d.scans, s)
	if len(d.scans) > keptScans {
		d.scans = slices.Delete(d.scans, 0, 1)
	}
	go func() {
		defer close(s.done)
		defer cancel()
		d.sweep(life, s, legs, r.Slow)
	}()
	return s.get(), nil
}

// policyTime bounds the time that a scan waits for a policy that allows it: the call may arrive
// before the state that was published earlier.
const policyTime = 2 * time.Second

// awaitPolicy refuses subnets that the policy does not name. A region that lost its authority must
// not make racks scan foreign networks.
func (d *discoverer) awaitPolicy(ctx context.Context, prefixes []netip.Prefix) error {
	ctx, cancel := context.WithTimeout(ctx, policyTime)
	defer cancel()
	for {
		policy, changed := d.current()
		i := slices.IndexFunc(prefixes, func(p netip.Prefix) bool { return !policy.Covers(p) })
		if i < 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s is in no subnet that this rack is linked to", rpc.ErrInvalid, prefixes[i])
		}
	}
}

// legs finds the interfaces that lead to the subnets. It refuses a subnet that is not on one of
// them.
func (d *discoverer) legs(prefixes []netip.Prefix) ([]leg, error) {
	links, err := d.links()
	if err != nil {
		return nil, err
	}
	var legs []leg
	for _, p := range prefixes {
		i := slices.IndexFunc(links, func(l discovery.Interface) bool {
			return l.Up && l.Ethernet && slices.ContainsFunc(l.Addrs, func(a netip.Prefix) bool { return a.Bits() <= p.Bits() && a.Masked().Contains(p.Addr()) })
		})
		if i < 0 {
			return nil, fmt.Errorf("%w: no link of this rack that is up has an address in %s", rpc.ErrInvalid, p)
		}
		if at := slices.IndexFunc(legs, func(l leg) bool { return l.link == links[i].Name }); at >= 0 {
			legs[at].prefixes = append(legs[at].prefixes, p)
		} else {
			legs = append(legs, leg{links[i].Name, []netip.Prefix{p}})
		}
	}
	if len(legs) == 0 {
		return nil, fmt.Errorf("%w: no subnet was named", rpc.ErrInvalid)
	}
	return legs, nil
}

// sweep scans one interface after the other.
func (d *discoverer) sweep(ctx context.Context, s *scan, legs []leg, slow bool) {
	var before discovery.SweepProgress
	var errs []error
	for _, l := range legs {
		if ctx.Err() != nil {
			break
		}
		progress, err := d.sweepLeg(ctx, s, l, slow, before)
		before.Total, before.Done, before.Found = before.Total+progress.Total, before.Done+progress.Done, before.Found+progress.Found
		if err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
			d.log.Error("scan failed", "interface", l.link, "prefixes", l.prefixes, "err", err)
		}
	}
	s.change(func(status *discoveryrpc.ScanStatus) {
		status.Running, status.SweepProgress = false, before
		switch {
		case len(errs) > 0:
			status.Error = errors.Join(errs...).Error()
		case ctx.Err() != nil:
			status.Error = "cancelled"
		}
	})
}

// sweepLeg scans the subnets of one interface.
func (d *discoverer) sweepLeg(ctx context.Context, s *scan, l leg, slow bool, before discovery.SweepProgress) (discovery.SweepProgress, error) {
	conn, err := d.open(l.link, discovery.Scan)
	if err != nil {
		return discovery.SweepProgress{}, err
	}
	defer conn.Close()
	rate := discovery.FastRate
	if slow {
		rate = discovery.SlowRate
	}
	return discovery.Sweep(ctx, discovery.SweepConfig{
		Conn: conn, Prefixes: l.prefixes, Rate: rate, Names: true,
		Sink: func(seen discovery.Observation) {
			d.heard(seen)
			if e, ok := d.table.See(l.link, seen, time.Now()); ok {
				d.sink(e)
			}
		},
		Progress: func(p discovery.SweepProgress) {
			s.change(func(status *discoveryrpc.ScanStatus) {
				status.Total, status.Done, status.Found = before.Total+p.Total, before.Done+p.Done, before.Found+p.Found
			})
		},
	})
}

// find returns a scan that is kept.
func (d *discoverer) find(id string) (*scan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.scans {
		if s.get().ID == id {
			return s, nil
		}
	}
	return nil, fmt.Errorf("scan %s: %w", id, fs.ErrNotExist)
}

// Status returns the status of a scan.
func (d *discoverer) Status(_ context.Context, id string) (discoveryrpc.ScanStatus, error) {
	s, err := d.find(id)
	if err != nil {
		return discoveryrpc.ScanStatus{}, err
	}
	return s.get(), nil
}

// Cancel ends a scan and returns its last status.
func (d *discoverer) Cancel(ctx context.Context, id string) (discoveryrpc.ScanStatus, error) {
	s, err := d.find(id)
	if err != nil {
		return discoveryrpc.ScanStatus{}, err
	}
	s.cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		return discoveryrpc.ScanStatus{}, ctx.Err()
	}
	return s.get(), nil
}

// waitScans waits until no scan runs. Their context has ended before.
func (d *discoverer) waitScans() {
	d.mu.Lock()
	scans := slices.Clone(d.scans)
	d.mu.Unlock()
	for _, s := range scans {
		<-s.done
	}
}
