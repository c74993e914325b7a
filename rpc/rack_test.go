package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/rpc"
)

// site is a region and a rack named "rack" in one process, over the loopback.
type site struct {
	region  *rpc.Region
	rack    *rpc.Rack
	outbox  *rpc.Outbox
	methods rpc.Methods // of the rack

	mu    sync.Mutex // guards the fields below
	dns   map[string]string
	facts []string
	fail  error // what the region says to facts
}

func newSite(t *testing.T, dir string) *site {
	t.Helper()
	s := &site{}
	var regionMethods rpc.Methods
	rpc.Offer(&regionMethods, "find", func(_ context.Context, name string) (string, error) {
		if name != "known" {
			return "", &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
		}
		return "yes", nil
	})
	s.region = rpc.NewRegion(rpc.RegionConfig{Facts: s.take, Methods: &regionMethods})
	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { replica.Close() })
	s.outbox = openOutbox(t, rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	s.rack, err = rpc.NewRack(rpc.RackConfig{
		Replica: replica, Outbox: s.outbox, Methods: &s.methods,
		Topics: []rpc.Topic{{Name: "dns", Apply: s.apply}},
		Dial:   rpc.Loopback(s.region, "rack"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) apply(_ context.Context, objects map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dns = map[string]string{}
	for k, v := range objects {
		s.dns[k] = string(v)
	}
	return nil
}

func (s *site) take(_ context.Context, rack string, facts []rpc.Fact) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range facts {
		s.facts = append(s.facts, rack+" "+f.Kind+" "+string(f.Data))
	}
	return s.fail
}

func (s *site) serve(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.rack.Serve(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

func TestStateReachesTheRackAndOutlivesTheRegion(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, dir)
		defer s.serve(t)()
		s.region.State("rack").Set("dns", values("a", "1", "b", "2"))
		synctest.Wait()
		s.region.State("rack").Change("dns", values("a", "10"), []string{"b"})
		synctest.Wait()
		if diff := cmp.Diff(map[string]string{"a": "10"}, s.dns); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	s := newSite(t, dir) // a new process, and no region answers
	if err := s.rack.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "10"}, s.dns); diff != "" {
		t.Errorf("from disk (-want +got):\n%s", diff)
	}
}

// Small updates go to Change alone; what it refuses, and what is whole, goes to Apply.
func TestSmallChangesAreAppliedAlone(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		replica, err := rpc.OpenReplica(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer replica.Close()
		var seen []string
		topic := rpc.Topic{
			Name: "dns",
			Apply: func(_ context.Context, objects map[string][]byte) error {
				seen = append(seen, fmt.Sprint("apply ", len(objects)))
				if _, bad := objects["bad"]; bad {
					return errors.New("bad")
				}
				return nil
			},
			Change: func(_ context.Context, changed []rpc.Object) error {
				for _, o := range changed {
					seen = append(seen, fmt.Sprint("change ", o.Key, " ", string(o.Value), " ", o.Deleted))
					if o.Key == "bad" {
						return errors.New("bad")
					}
				}
				return nil
			},
		}
		region := rpc.NewRegion(rpc.RegionConfig{})
		outbox := openOutbox(t, rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
		rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Topics: []rpc.Topic{topic}, Dial: rpc.Loopback(region, "rack")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- rack.Serve(ctx) }()
		state := region.State("rack")
		step := func(upserts map[string][]byte, deletes ...string) {
			state.Change("dns", upserts, deletes)
			synctest.Wait()
		}
		step(values("a", "1", "b", "2"))
		step(values("a", "3"), "b")
		step(values("bad", ""))
		step(values("a", "4")) // what came before was refused
		step(nil, "bad")
		step(values("a", "5"))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []string{
			"apply 2", "change a 3 false", "change b  true", "change bad  false", "apply 2", "apply 2", "apply 1", "change a 5 false",
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestFactsAreOfferedAgainUntilTaken(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, dir)
		s.fail = errors.New("database is away")
		defer s.serve(t)()
		add(t, s.outbox, "lease", "x")
		synctest.Wait()
		if n, _ := s.outbox.Pending(); n != 1 {
			t.Fatalf("%d facts wait, want the refused one", n)
		}
		s.mu.Lock()
		s.fail, s.facts = nil, nil
		s.mu.Unlock()
		for { // virtual time passes until the rack has tried again
			s.mu.Lock()
			n := len(s.facts)
			s.mu.Unlock()
			if n > 0 {
				break
			}
			time.Sleep(100 * time.Millisecond) // of the bubble, not of the clock
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{`rack lease "x"`}, s.facts); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n, _ := s.outbox.Pending(); n != 0 {
			t.Errorf("%d facts wait", n)
		}
	})
}

func TestErrorText(t *testing.T) {
	if got := rpc.AsError("", errors.New("it is refused")).Error(); got != "rpc: it is refused" {
		t.Errorf("without a method: %q", got)
	}
	if got := rpc.AsError("double", errors.New("it is refused")).Error(); got != "rpc: double: it is refused" {
		t.Errorf("with a method: %q", got)
	}
}

func TestCallsKeepTheMeaningOfErrors(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, dir)
		rpc.Offer(&s.methods, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
		rpc.Offer(&s.methods, "panic", func(context.Context, int) (int, error) { panic("broken") })
		caller := s.region.Rack("rack")
		if _, err := rpc.Do[int](t.Context(), caller, "double", 2); !errors.Is(err, rpc.ErrUnavailable) {
			t.Errorf("before the rack is there: %v", err)
		}
		stop := s.serve(t)
		synctest.Wait()
		if n, err := rpc.Do[int](t.Context(), caller, "double", 2); n != 4 || err != nil {
			t.Errorf("double: %d, %v", n, err)
		}
		if _, err := rpc.Do[int](t.Context(), caller, "triple", 2); !errors.Is(err, rpc.ErrUnknownMethod) {
			t.Errorf("unknown method: %v", err)
		}
		if _, err := rpc.Do[int](t.Context(), caller, "double", "two"); !errors.Is(err, rpc.ErrInvalid) {
			t.Errorf("wrong argument: %v", err)
		}
		if _, err := rpc.Do[int](t.Context(), caller, "panic", 1); err == nil {
			t.Error("a panic must become an error")
		}
		stop()
		if _, err := rpc.Do[int](t.Context(), caller, "double", 2); !errors.Is(err, rpc.ErrUnavailable) {
			t.Errorf("after the rack left: %v", err)
		}

		conn, err := rpc.Loopback(s.region, "rack")(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rpc.Do[string](t.Context(), conn, "find", "unknown"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("find: %v", err)
		}
	})
}

func TestAwaitReturnsWithTheFirstOfTheRacks(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, dir)
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.region.Await(brief, "rack"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a rack: %v", err)
		}
		arrived := make(chan error, 1)
		go func() { arrived <- s.region.Await(t.Context(), "other", "rack") }()
		defer s.region.Attach("stranger", nil)()
		synctest.Wait()
		if len(arrived) > 0 {
			t.Fatal("a rack that nobody waits for was enough")
		}
		stop := s.serve(t)
		defer stop()
		if err := <-arrived; err != nil {
			t.Error(err)
		}
		if err := s.region.Await(t.Context(), "rack"); err != nil {
			t.Errorf("with a rack: %v", err)
		}
	})
}

// A region that is away for a week does not fill the log.
func TestARegionThatIsAwayIsSaidNowAndThen(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
		if err != nil {
			t.Fatal(err)
		}
		defer replica.Close()
		outbox := openOutbox(t, rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
		var text strings.Builder
		dials := 0
		rack, err := rpc.NewRack(rpc.RackConfig{
			Replica: replica, Outbox: outbox, Log: slog.New(slog.NewTextHandler(&text, nil)),
			Dial: func(context.Context) (rpc.Conn, error) {
				dials++
				return nil, fmt.Errorf("nobody is there, asked from port %d", dials)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := rack.Serve(ctx); err != nil {
			t.Error(err)
		}
		if n := strings.Count(text.String(), "nobody is there"); n < 16 || n > 17 || dials < 700 || !strings.Contains(text.String(), "from port 5") {
			t.Errorf("%d lines about %d attempts in an hour", n, dials)
		}
	})
}
