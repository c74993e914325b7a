package region

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// sweeper is a rack that sweeps by itself.
type sweeper struct {
	start   error
	hangs   bool // until the call's time is over
	started []discoveryrpc.ScanRequest
	status  discoveryrpc.ScanStatus
	ended   bool
}

func (s *sweeper) Start(ctx context.Context, r discoveryrpc.ScanRequest) (discoveryrpc.ScanStatus, error) {
	if s.hangs {
		<-ctx.Done()
		return discoveryrpc.ScanStatus{}, ctx.Err()
	}
	if s.start == nil {
		s.started = append(s.started, r)
		s.status = discoveryrpc.ScanStatus{ID: r.ID, Running: true, SweepProgress: discovery.SweepProgress{Total: 254, Done: 10, Found: 1}}
	}
	return s.status, s.start
}

func (s *sweeper) Status(ctx context.Context, id string) (discoveryrpc.ScanStatus, error) {
	switch {
	case s.hangs:
		<-ctx.Done()
		return discoveryrpc.ScanStatus{}, ctx.Err()
	case s.status.ID != id:
		return discoveryrpc.ScanStatus{}, fs.ErrNotExist
	}
	s.status.Running = s.status.Running && !s.ended
	return s.status, nil
}

func (s *sweeper) Cancel(ctx context.Context, id string) (discoveryrpc.ScanStatus, error) {
	s.ended = true
	return s.Status(ctx, id)
}

// connect makes a sweeper the rack "rack".
func connect(t *testing.T, r *Region, s *sweeper) (leave func()) {
	t.Helper()
	methods := new(rpc.Methods)
	discoveryrpc.OfferScans(methods, s)
	return r.rpc.Attach("rack", methods)
}

func scan(t *testing.T, r *Region, prefixes ...string) maasapi.Scan {
	t.Helper()
	var list []netip.Prefix
	for _, p := range prefixes {
		list = append(list, netip.MustParsePrefix(p))
	}
	report, err := r.scans.Scan(t.Context(), list, false)
	ok(t, err)
	return report
}

func TestScanFollowsTheRack(t *testing.T) {
	r, _ := opened(t)
	s := new(sweeper)
	defer connect(t, r, s)()
	report := scan(t, r)
	if !report.Running || report.ID == "" || report.Total != 254 || report.Done != 10 || !slices.Equal(report.Started, []string{"rack"}) {
		t.Errorf("started %+v", report)
	}
	if len(s.started) != 1 || s.started[0].Slow || s.started[0].Prefixes[0].String() != "192.0.2.0/24" {
		t.Errorf("asked for %+v", s.started)
	}
	// The subnet is this scan's until it has ended, at whichever region the next one is asked for.
	second := scan(t, r)
	if second.ID != "" || second.Skipped["192.0.2.0/24"] != "it is being scanned, or was lately" || second.Result != "Nothing is scanned." {
		t.Errorf("the second scan: %+v", second)
	}
	s.ended = true
	if report, err := r.scans.ScanStatus(t.Context(), report.ID); err != nil || report.Running || report.Found != 1 {
		t.Errorf("ended %+v, %v", report, err)
	}
	s.ended = false
	if third := scan(t, r, "192.0.2.64/26"); !third.Running || s.started[1].Prefixes[0].String() != "192.0.2.64/26" {
		t.Errorf("after the end: %+v of %+v", third, s.started)
	}
	if _, err := r.scans.CancelScan(t.Context(), "unknown"); err == nil {
		t.Error("a scan that no rack knows was canceled")
	}
	if last, err := r.scans.CancelScan(t.Context(), s.status.ID); err != nil || last.Running {
		t.Errorf("canceled %+v, %v", last, err)
	}
}

func TestScanReportsRacksThatDoNotStart(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		name   string
		rack   *sweeper // nil = not connected
		result string
		lists  func(maasapi.Scan) []string
	}{
		{"busy", &sweeper{start: fmt.Errorf("sweeping: %w", fs.ErrExist)}, "A scan was already in progress, or failed to start, on: rack.",
			func(s maasapi.Scan) []string { return s.Failed }},
		{"refusing", &sweeper{start: rpc.ErrInvalid}, "A scan was already in progress, or failed to start, on: rack.", func(s maasapi.Scan) []string { return s.Failed }},
		{"hanging", &sweeper{hangs: true}, "Timed out on: rack.", func(s maasapi.Scan) []string { return s.TimedOut }},
		{"gone", nil, "Nothing is scanned.", func(s maasapi.Scan) []string { return []string{"rack"} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, _ := openedIn(t, dir)
				if test.rack != nil {
					defer connect(t, r, test.rack)()
				}
				report := scan(t, r)
				if report.ID != "" || report.Result != test.result || !slices.Equal(test.lists(report), []string{"rack"}) {
					t.Errorf("%+v", report)
				}
				if test.rack == nil {
					if why := report.Skipped["192.0.2.0/24"]; why != "no rack that is connected has an address in it" {
						t.Errorf("skipped %q", why)
					}
					return
				}
				// A rack that did not start leaves the subnet to the next scan.
				test.rack.start, test.rack.hangs = nil, false
				if again := scan(t, r); !again.Running {
					t.Errorf("again: %+v", again)
				}
				test.rack.ended = true
				r.scans.settle(t.Context())
			})
		})
	}
}

// A scan is known to the region that started it. Another region finds it at the racks.
func TestScanOfAnotherRegion(t *testing.T) {
	r, _ := opened(t)
	s := &sweeper{status: discoveryrpc.ScanStatus{ID: "theirs", Running: true, SweepProgress: discovery.SweepProgress{Total: 8, Done: 4}}}
	defer connect(t, r, s)()
	report, err := r.scans.ScanStatus(t.Context(), "theirs")
	ok(t, err)
	if !report.Running || report.Total != 8 || !slices.Equal(report.Started, []string{"rack"}) {
		t.Errorf("%+v", report)
	}
}

// A scan that no client follows frees its subnets; a rack that is only slow keeps them.
func TestScansSettle(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, _ := openedIn(t, dir)
		s := new(sweeper)
		leave := connect(t, r, s)
		report := scan(t, r)
		s.hangs = true
		r.scans.settle(t.Context())
		if now, err := r.scans.ScanStatus(t.Context(), report.ID); err != nil || !now.Running {
			t.Errorf("a slow rack: %+v, %v", now, err)
		}
		s.hangs = false
		leave()
		r.scans.settle(t.Context())
		now, err := r.scans.ScanStatus(t.Context(), report.ID)
		ok(t, err)
		if now.Running || !strings.Contains(now.Racks[0].Error, "not connected") {
			t.Errorf("a rack that left: %+v", now)
		}
		defer connect(t, r, s)()
		if again := scan(t, r); !again.Running {
			t.Errorf("the subnet is held: %+v", again)
		}
		s.ended = true
		r.scans.settle(t.Context())
	})
}

func TestRegularSweeps(t *testing.T) {
	r, _ := opened(t)
	s := new(sweeper)
	defer connect(t, r, s)()
	now := time.Now()
	ok(t, r.freshen(t.Context(), now))
	if len(s.started) != 0 {
		t.Errorf("swept %+v, which no administrator chose", s.started)
	}
	ok(t, r.inv.Scans.SetActive(t.Context(), netip.MustParsePrefix("192.0.2.0/24"), true))
	ok(t, r.freshen(t.Context(), now))
	if len(s.started) != 1 || !s.started[0].Slow {
		t.Errorf("swept %+v", s.started)
	}
	s.ended = true
	r.scans.settle(t.Context())
	ok(t, r.freshen(t.Context(), now))
	if len(s.started) != 1 {
		t.Error("swept again before the interval was over")
	}
}

func TestPartsOfASubnet(t *testing.T) {
	subnet := ipam.Subnet{Prefix: netip.MustParsePrefix("192.0.2.0/24")}
	for prefix, want := range map[string]bool{
		"192.0.2.0/24": true, "192.0.2.128/25": true, "192.0.2.7/32": true, "192.0.0.0/16": false, "198.51.100.0/24": false, "2001:db8::/64": false,
	} {
		if got := partsOf(subnet, []netip.Prefix{netip.MustParsePrefix(prefix)}); (len(got) == 1) != want {
			t.Errorf("%s: %v", prefix, got)
		}
	}
}

// The hold covers the slowest sweep: questions twice, and half as long again.
func TestHoldTime(t *testing.T) {
	subnet := func(p string) []ipam.Subnet { return []ipam.Subnet{{Prefix: netip.MustParsePrefix(p)}} }
	for _, test := range []struct {
		subnets []ipam.Subnet
		slow    bool
		least   time.Duration
	}{
		{subnet("192.0.2.0/24"), true, 256 * time.Second / discovery.SlowRate},
		{subnet("10.0.0.0/16"), false, 65536 * time.Second / discovery.FastRate},
		{subnet("2001:db8::/64"), true, time.Minute},
	} {
		if got := holdTime(test.subnets, test.slow); got < test.least || got > time.Minute+4*test.least {
			t.Errorf("%v, slow %v: %v, want %v and some", test.subnets, test.slow, got, test.least)
		}
	}
}

func TestScanSummary(t *testing.T) {
	r := maasapi.Scan{Started: []string{"a", "b"}, NotFound: []string{"c"}, TimedOut: []string{"d"}, Failed: []string{"e"}}
	want := "Scanning is in progress on: a, b. Could not connect to: c. Timed out on: d. A scan was already in progress, or failed to start, on: e."
	if got := summary(r); got != want {
		t.Errorf("%q", got)
	}
}
