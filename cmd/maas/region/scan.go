package region

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// scanService sweeps subnets through racks. It implements [maasapi.Scanner].
type scanService struct {
	region *Region
	mu     sync.Mutex // guards the fields below
	recent []*startedScan
}

// startedScan is a scan in which one or more racks take part.
type startedScan struct {
	report maasapi.Scan
	claims []claim
}

// claim is a subnet that a rack sweeps.
type claim struct {
	rack   string
	subnet int64
}

const (
	keptScans = 32
	callTime  = 10 * time.Second // limit for a rack's answer, as in MAAS
)

// holdTime returns a time in which a rack sweeps the subnets for certain. After it other racks may
// claim them: the rack is gone.
func holdTime(subnets []ipam.Subnet, slow bool) time.Duration {
	rate := discovery.FastRate
	if slow {
		rate = discovery.SlowRate
	}
	questions := 0
	for _, s := range subnets {
		if free := s.Prefix.Addr().BitLen() - s.Prefix.Bits(); free <= 16 { // larger subnets are swept by multicast, in no time
			questions += 2 << free
		}
	}
	return time.Minute + time.Duration(questions)*time.Second*3/2/time.Duration(rate)
}

// scanWish selects the subnets of a scan.
type scanWish struct {
	wanted   func(ipam.Subnet) bool
	parts    []netip.Prefix // of the selected subnets; nil = all of each
	interval time.Duration  // least time since the last sweep; 0 = any
	slow     bool
}

// Scan starts a scan and returns its first status.
func (s *scanService) Scan(ctx context.Context, prefixes []netip.Prefix, slow bool) (maasapi.Scan, error) {
	model, err := s.region.inv.Model(ctx)
	if err != nil {
		return maasapi.Scan{}, err
	}
	wish := scanWish{slow: slow, parts: prefixes, wanted: func(sub ipam.Subnet) bool { return len(prefixes) == 0 || len(partsOf(sub, prefixes)) > 0 }}
	report := s.start(ctx, model, wish)
	if report.ID == "" {
		return report, nil
	}
	return s.ScanStatus(ctx, report.ID)
}

// partsOf returns the prefixes that lie in a subnet.
func partsOf(s ipam.Subnet, prefixes []netip.Prefix) (parts []netip.Prefix) {
	for _, p := range prefixes {
		if s.Prefix.Bits() <= p.Bits() && s.Prefix.Contains(p.Addr()) {
			parts = append(parts, p)
		}
	}
	return parts
}

// start starts a scan on the racks that have an address in the subnets. Subnets that are being
// swept, or were within the interval, are skipped.
func (s *scanService) start(ctx context.Context, model *inventory.Model, wish scanWish) maasapi.Scan {
	report := maasapi.Scan{
		Attempted: []string{}, Started: []string{}, Failed: []string{}, NotFound: []string{}, TimedOut: []string{}, Racks: []maasapi.RackScan{},
		Skipped: map[string]string{},
	}
	plans, left := inventory.PlanScan(model, s.region.rpc.Racks(), wish.wanted)
	for _, sub := range left {
		report.Skipped[sub.Prefix.String()] = "no rack that is connected has an address in it"
	}
	started := &startedScan{}
	// The regions share no scans, so IDs are random: another region finds a scan by asking racks.
	id := rand.Text()
	for _, plan := range plans {
		s.startOn(ctx, id, plan, wish, &report, started)
	}
	report.Result = summary(report)
	if len(report.Started) > 0 {
		report.ID, report.Running = id, true
		started.report = report
		s.mu.Lock()
		defer s.mu.Unlock()
		s.recent = append(s.recent, started)
		// The oldest is forgotten though it may run: racks end it by themselves, and its claims
		// expire.
		if len(s.recent) > keptScans {
			s.recent = slices.Delete(s.recent, 0, 1)
		}
	}
	return report
}

// startOn starts a rack's part of a scan.
func (s *scanService) startOn(ctx context.Context, id string, plan inventory.ScanPlan, wish scanWish, report *maasapi.Scan, started *startedScan) {
	part := maasapi.RackScan{Rack: plan.Rack, Subnets: []string{}}
	request := discoveryrpc.ScanRequest{ID: id, Slow: wish.slow}
	var claims []claim
	for _, sub := range plan.Subnets {
		why := s.claim(ctx, sub, plan.Rack, wish.interval, holdTime(plan.Subnets, wish.slow))
		if why != "" {
			report.Skipped[sub.Prefix.String()] = why
			continue
		}
		claims = append(claims, claim{plan.Rack, sub.ID})
		parts := partsOf(sub, wish.parts)
		if len(parts) == 0 {
			parts = []netip.Prefix{sub.Prefix}
		}
		for _, p := range parts {
			request.Prefixes = append(request.Prefixes, p)
			part.Subnets = append(part.Subnets, p.String())
		}
	}
	if len(claims) == 0 {
		return
	}
	report.Attempted = append(report.Attempted, plan.Rack)
	// A rack starts the sweep and answers at once; one that hangs must not hold up the others.
	callCtx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err := discoveryrpc.StartScan(callCtx, s.region.rack(plan.Rack), request)
	switch {
	case err == nil:
		report.Started = append(report.Started, plan.Rack)
		part.Running = true
		report.Racks = append(report.Racks, part)
		started.claims = append(started.claims, claims...)
		return
	case errors.Is(err, fs.ErrExist):
		report.Failed = append(report.Failed, plan.Rack)
	case errors.Is(err, context.DeadlineExceeded):
		report.TimedOut = append(report.TimedOut, plan.Rack)
	case errors.Is(err, rpc.ErrUnavailable):
		report.NotFound = append(report.NotFound, plan.Rack)
	default:
		report.Failed = append(report.Failed, plan.Rack)
		s.region.log.Warn("scan refused by a rack", "rack", plan.Rack, "err", err)
	}
	part.Error = err.Error()
	report.Racks = append(report.Racks, part)
	// The rack does not sweep, so others may.
	s.release(ctx, claims)
}

// claim reserves a subnet for a rack, across all regions: two sweeps at once would double the load
// of its network. If it is refused, why is the reason.
func (s *scanService) claim(ctx context.Context, sub ipam.Subnet, rack string, interval, hold time.Duration) (why string) {
	ok, err := s.region.inv.Scans.Claim(ctx, sub.ID, rack, time.Now(), interval, hold)
	switch {
	case err != nil:
		s.region.log.Error("scan not claimed", "subnet", sub.Prefix, "err", err)
		return "the database refused"
	case !ok:
		return "it is being scanned, or was lately"
	}
	return ""
}

// release ends the claims of a rack on subnets.
func (s *scanService) release(ctx context.Context, claims []claim) {
	for _, c := range claims {
		// Also if the client has gone: a claim that stays would block the subnet for holdTime.
		if err := s.region.inv.Scans.End(context.WithoutCancel(ctx), c.subnet, c.rack, time.Now()); err != nil {
			s.region.log.Error("scan not released", "rack", c.rack, "err", err)
		}
	}
}

// summary returns the text of MAAS' answer.
func summary(r maasapi.Scan) string {
	var parts []string
	for _, p := range []struct {
		text  string
		racks []string
	}{
		{"Scanning is in progress on", r.Started}, {"Could not connect to", r.NotFound}, {"Timed out on", r.TimedOut},
		{"A scan was already in progress, or failed to start, on", r.Failed},
	} {
		if len(p.racks) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s.", p.text, strings.Join(p.racks, ", ")))
		}
	}
	if len(parts) == 0 {
		return "Nothing is scanned."
	}
	return strings.Join(parts, " ")
}

// find returns a scan that this region started.
func (s *scanService) find(id string) (*startedScan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, started := range s.recent {
		if started.report.ID == id {
			return started, nil
		}
	}
	return nil, fmt.Errorf("scan %s: %w", id, fs.ErrNotExist)
}

// ScanStatus returns the progress of a scan on all its racks.
func (s *scanService) ScanStatus(ctx context.Context, id string) (maasapi.Scan, error) {
	return s.ask(ctx, id, discoveryrpc.StatusOfScan)
}

// CancelScan ends a scan on all its racks.
func (s *scanService) CancelScan(ctx context.Context, id string) (maasapi.Scan, error) {
	return s.ask(ctx, id, discoveryrpc.CancelScan)
}

// ask calls each rack of a scan and sums up their progress. After the last rack has ended, it
// releases the subnets.
func (s *scanService) ask(ctx context.Context, id string, call func(context.Context, rpc.Caller, string) (discoveryrpc.ScanStatus, error)) (maasapi.Scan, error) {
	started, err := s.find(id)
	if err != nil {
		return s.elsewhere(ctx, id, call)
	}
	s.mu.Lock()
	report := started.report
	report.Racks = slices.Clone(report.Racks)
	s.mu.Unlock()
	if !report.Running {
		return report, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	report.Running = false
	report.Total, report.Done, report.Found = 0, 0, 0
	for i := range report.Racks {
		part := &report.Racks[i]
		if part.Running {
			status, err := call(ctx, s.region.rack(part.Rack), id)
			if err != nil {
				// A rack that is slow still sweeps; one that is away has lost the scan.
				part.Running, part.Error = errors.Is(err, context.DeadlineExceeded), err.Error()
			} else {
				part.Running, part.Error, part.SweepProgress = status.Running, status.Error, status.SweepProgress
			}
		}
		report.Running = report.Running || part.Running
		report.Total, report.Done, report.Found = report.Total+part.Total, report.Done+part.Done, report.Found+part.Found
	}
	s.mu.Lock()
	ended := started.report.Running && !report.Running
	started.report = report
	s.mu.Unlock()
	if ended {
		s.release(ctx, started.claims)
	}
	return report, nil
}

// elsewhere asks all racks about a scan that another region started.
func (s *scanService) elsewhere(ctx context.Context, id string, call func(context.Context, rpc.Caller, string) (discoveryrpc.ScanStatus, error)) (maasapi.Scan, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	report := maasapi.Scan{
		ID: id, Attempted: []string{}, Started: []string{}, Failed: []string{}, NotFound: []string{}, TimedOut: []string{},
		Racks: []maasapi.RackScan{}, Skipped: map[string]string{},
	}
	for _, rack := range s.region.rpc.Racks() {
		status, err := call(ctx, s.region.rack(rack), id)
		if err != nil {
			continue // the rack has no part in the scan, or is away
		}
		report.Attempted, report.Started = append(report.Attempted, rack), append(report.Started, rack)
		report.Racks = append(report.Racks, maasapi.RackScan{
			Rack: rack, Subnets: []string{}, Running: status.Running, Error: status.Error, SweepProgress: status.SweepProgress,
		})
		report.Running = report.Running || status.Running
		report.Total, report.Done, report.Found = report.Total+status.Total, report.Done+status.Done, report.Found+status.Found
	}
	if len(report.Racks) == 0 {
		return maasapi.Scan{}, fmt.Errorf("scan %s: %w", id, fs.ErrNotExist)
	}
	report.Result = summary(report)
	return report, nil
}

// settle follows running scans, so that their subnets are released even if no client asks for their
// status.
func (s *scanService) settle(ctx context.Context) {
	s.mu.Lock()
	var ids []string
	for _, started := range s.recent {
		if started.report.Running {
			ids = append(ids, started.report.ID)
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		if _, err := s.ScanStatus(ctx, id); err != nil {
			s.region.log.Debug("state of a scan unknown", "err", err)
		}
	}
}
