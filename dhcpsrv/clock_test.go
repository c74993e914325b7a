package dhcpsrv_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/dhcpsrv/journal"
)

const years = 20 * 365 * 24 * time.Hour

// clockTest is a server that serves from a store, with a client of each family.
type clockTest struct {
	t     *testing.T
	store dhcpsrv.LeaseStore
	log   *slog.Logger
	s     *dhcpsrv.Server
	ahead time.Duration // of the wall clock
	stop  func()
	boot  string // since which the machine runs; "" = it does not tell
	addrs []netip.Addr
	ends  []time.Time // of the leases, by the time of the test
}

func withClock(t *testing.T, store dhcpsrv.LeaseStore, run func(c *clockTest)) {
	synctest.Test(t, func(t *testing.T) {
		c := &clockTest{t: t, store: store}
		c.start()
		run(c)
		c.stop()
	})
}

// start serves, as after a restart.
func (c *clockTest) start() {
	boot := c.boot
	s, err := dhcpsrv.NewOn(dhcpsrv.Config{Store: c.store, Log: c.log}, func() (string, time.Duration) {
		return boot, time.Since(time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC)) // a day before the test
	})
	if err == nil {
		err = s.Update(c.snapshot())
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.s = s
	c.ahead = 0
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		c.s.Serve(ctx, quiet{make(chan struct{})})
		close(done)
	}()
	c.stop = func() { cancel(); <-done }
}

func (c *clockTest) snapshot() dhcpsrv.Snapshot {
	snap := (&pair{pool: 20}).snapshot(0)
	snap.Partners = nil
	for i := range snap.Subnets {
		snap.Subnets[i].Partner, snap.Subnets[i].PartnerServer, snap.Subnets[i].LeaseTime = "", netip.Addr{}, time.Hour
	}
	return snap
}

func (c *clockTest) set(ahead time.Duration) {
	c.ahead = ahead
	c.s.SetClock(ahead)
	time.Sleep(2 * time.Second)
}

// bind gives a lease to a client of each family, which may have it already.
func (c *clockTest) bind() {
	c.t.Helper()
	for i, kind := range []simKind{simNear, simSix} {
		d := &duo{t: c.t, s: [2]*dhcpsrv.Server{c.s}}
		client := d.client(byte(i))
		if client.kind = kind; !client.take([]simReply{d.any(client, client.discover(0))}) {
			if !client.take([]simReply{d.any(client, client.request(d.any(client, client.discover(0))))}) {
				c.t.Fatal("no lease")
			}
		}
		if !slices.Contains(c.addrs, client.holds) {
			c.addrs, c.ends = append(c.addrs, client.holds), append(c.ends, time.Time{})
		}
		c.ends[slices.Index(c.addrs, client.holds)] = time.Now().Add(time.Hour)
	}
}

func (d *duo) any(c *simClient, data []byte) simReply {
	p := c.packet(data, 0, false)
	if c.kind == simSix {
		r, _ := d.s[0].Handle6(context.Background(), p)
		return c.read(r.Data)
	}
	r, _ := d.s[0].Handle(context.Background(), p)
	return c.read(r.Data)
}

// check fails unless all leases end when they should, by the wall clock as it is set.
func (c *clockTest) check(what string) {
	c.t.Helper()
	for i, a := range c.addrs {
		l, ok := c.s.Lookup(a)
		if !ok {
			c.t.Errorf("%s: the lease of %v has ended %v too early", what, a, time.Until(c.ends[i]))
		} else if d := l.End.Sub(c.ends[i].Add(c.ahead)); d.Abs() > 2*time.Second {
			c.t.Errorf("%s: the lease of %v ends %v too late", what, a, d)
		}
	}
}

func (c *clockTest) checkExpiry() {
	c.t.Helper()
	time.Sleep(time.Until(c.ends[len(c.ends)-1]) + 2*time.Second)
	for _, a := range c.addrs {
		if _, ok := c.s.Lookup(a); ok {
			c.t.Errorf("the lease of %v does not end", a)
		}
	}
	if st := c.s.Stats(); st.Events["expired"] != uint64(len(c.addrs)) {
		c.t.Errorf("%d leases have expired", st.Events["expired"])
	}
}

// However a clock is set, leases keep the time that they have left.
func TestClockSet(t *testing.T) {
	withClock(t, new(dhcpsrv.MemStore), func(c *clockTest) {
		c.bind()
		for _, ahead := range []time.Duration{years, 0, -years, time.Hour, 500 * time.Millisecond} {
			c.set(ahead)
			if c.check("set to " + ahead.String()); ahead == time.Second/2 {
				c.ahead = 0 // too little to follow
			}
			time.Sleep(time.Minute)
		}
		if n := c.s.Stats().ClockSet; n != 5 {
			t.Errorf("found the clock set %d times", n)
		}
		c.checkExpiry()
	})
}

// A server starts with a dead clock, gives leases, learns the time and starts again.
func TestClockSetThenRestart(t *testing.T) {
	journal, err := journal.Open(t.TempDir() + "/leases")
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	withClock(t, journal, func(c *clockTest) {
		c.set(-years)
		c.bind()
		time.Sleep(10 * time.Minute)
		c.set(0)
		c.bind()
		c.check("set")
		c.stop()
		c.start()
		c.check("after the restart")
		c.checkExpiry()
	})
}

// A server starts with a clock that has lost the time.
func TestClockBehind(t *testing.T) {
	withClock(t, new(dhcpsrv.MemStore), func(c *clockTest) {
		c.set(years)
		c.bind()
		time.Sleep(10 * time.Minute)
		c.stop()
		c.start() // twenty years earlier
		time.Sleep(time.Minute)
		for _, a := range c.addrs {
			if l, ok := c.s.Lookup(a); !ok || (time.Until(l.End)-49*time.Minute).Abs() > time.Minute {
				t.Errorf("lease of %v: %v until %v", a, ok, l.End)
			}
		}
		c.bind()
		for range 2 {
			c.set(years + time.Hour) // it learns how long it was away
			for _, a := range c.addrs {
				if l, ok := c.s.Lookup(a); !ok || l.End.Sub(time.Now().Add(c.ahead)) > time.Hour {
					t.Errorf("set: lease of %v: %v until %v", a, ok, l.End)
				}
			}
		}
		time.Sleep(time.Hour)
		if n := c.s.Stats().Events["expired"]; n != uint64(len(c.addrs)) {
			t.Errorf("%d leases have expired", n)
		}
	})
}

// A clock is years ahead, and set right while the server is not there: from then on it goes by that, in its store, too.
func TestClockWasAhead(t *testing.T) {
	journal := openJournal(t, t.TempDir()+"/leases")
	withClock(t, journal, func(c *clockTest) {
		c.set(years)
		c.bind()
		time.Sleep(10 * time.Minute)
		c.stop()
		for _, what := range []string{"set right", "started again"} {
			c.start()
			for i := range c.ends {
				c.ends[i] = c.ends[i].Add(30 * time.Second) // what it remembers may be a minute old
			}
			for i, a := range c.addrs {
				if l, ok := c.s.Lookup(a); !ok || l.End.Sub(c.ends[i]).Abs() > time.Minute {
					t.Errorf("%s: lease of %v: %v until %v, not %v", what, a, ok, l.End, c.ends[i])
				}
			}
			time.Sleep(2 * time.Second)
			c.stop()
		}
		c.start()
		c.bind()
		c.check("in the end")
		c.checkExpiry()
	})
}

// stuckStore does not move its times when told so, or slowly.
type stuckStore struct {
	dhcpsrv.MemStore
	stuck atomic.Bool
	slow  time.Duration
}

func (s *stuckStore) Shift(ctx context.Context, by time.Duration) error {
	if time.Sleep(s.slow); s.stuck.Load() {
		return errors.New("no space for a copy")
	}
	return s.MemStore.Shift(ctx, by)
}

// While the stored leases cannot move with the clock, leases are given and renewed; once they can, all are right.
func TestClockSetWithoutSpace(t *testing.T) {
	store := new(stuckStore)
	withClock(t, store, func(c *clockTest) {
		var log bytes.Buffer
		c.stop()
		c.log = slog.New(slog.NewTextHandler(&log, nil))
		c.start()
		c.set(-years)
		c.bind()
		store.stuck.Store(true)
		c.set(-time.Hour)
		c.bind()
		c.set(0)
		c.bind()
		c.check("stuck")
		if n := c.s.Stats().CommitErrors; n != 0 {
			t.Errorf("%d batches not stored", n)
		}
		time.Sleep(10 * time.Minute)
		store.stuck.Store(false)
		time.Sleep(2 * time.Second)
		c.stop()
		if n := strings.Count(log.String(), "not moved with the clock"); n != 1 {
			t.Errorf("said so %d times:\n%s", n, log.String())
		}
		c.start()
		c.check("after the restart")
		c.checkExpiry()
	})
}

// A clock is set right and the server stopped at once: it ends when the stored leases have moved.
func TestClockSetThenStop(t *testing.T) {
	withClock(t, &stuckStore{slow: 5 * time.Second}, func(c *clockTest) {
		c.set(-years)
		time.Sleep(10 * time.Second)
		c.bind()
		c.s.SetClock(0)
		c.stop()
		c.start()
		c.check("after the restart")
		c.checkExpiry()
	})
}

// A client that was offered an address before the server's own one changed is answered, also when
// the clock is set in between.
func TestClockSetAfterReaddress(t *testing.T) {
	withClock(t, new(dhcpsrv.MemStore), func(c *clockTest) {
		d := &duo{t: t, s: [2]*dhcpsrv.Server{c.s}}
		var clients []*simClient
		var requests [][]byte
		for i, kind := range []simKind{simNear, simSix} {
			client := d.client(byte(i))
			client.kind = kind
			clients = append(clients, client)
			requests = append(requests, client.request(d.any(client, client.discover(0))))
		}
		snap := c.snapshot()
		for i := range snap.Subnets {
			snap.Subnets[i].Server = simAddr(simKind(i), 5)
		}
		if err := c.s.Update(snap); err != nil {
			t.Fatal(err)
		}
		c.set(years)
		for i, client := range clients {
			if !client.take([]simReply{d.any(client, requests[i])}) {
				t.Errorf("%s: no lease", client.kind.name())
			}
		}
	})
}

// slowStore takes five seconds for a batch and then fails, when told to.
type slowStore struct {
	dhcpsrv.MemStore
	fail atomic.Bool
}

func (s *slowStore) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	if s.fail.Load() {
		time.Sleep(5 * time.Second)
		return errors.New("full")
	}
	return s.MemStore.Commit(ctx, batch)
}

// A renewal is taken back after the clock was set: the former lease runs as it did.
func TestClockSetDuringCommit(t *testing.T) {
	store := new(slowStore)
	withClock(t, store, func(c *clockTest) {
		c.bind()
		for i, addr := range c.addrs {
			if addr.Is6() {
				continue
			}
			store.fail.Store(true)
			time.Sleep(10 * time.Minute)
			go newClient(t, c.s, (&simClient{n: byte(i)}).mac()).send(dhcpv4.MessageTypeRequest, withWanted(addr.AsSlice()))
			time.Sleep(time.Second)
			c.set(years)
			time.Sleep(10 * time.Second)
			store.fail.Store(false)
		}
		if c.s.Stats().CommitErrors == 0 {
			t.Fatal("nothing was renewed")
		}
		c.check("taken back")
		c.checkExpiry()
	})
}

// A clock that is set by years makes no partner long away, and leases that are exchanged keep the time that they have left,
// whatever the clocks say.
func TestPartnerClockSet(t *testing.T) {
	withDuo(t, 40, true, func(d *duo) {
		for i, ahead := range []time.Duration{years, 0, -years, time.Hour} {
			d.s[0].SetClock(ahead)
			time.Sleep(2 * time.Second)
			if st := d.s[0].Partners()[0]; st.State != failover.Interrupted || st.Connected {
				t.Fatalf("set to %v: %+v", ahead, st)
			}
			d.cut()
			d.connect()
			time.Sleep(2 * time.Second)
			for n, s := range d.s {
				if st := s.Partners()[0]; st.State != failover.Normal || st.Skew.Abs().Round(time.Minute) != ahead.Abs() {
					t.Fatalf("set to %v: %s: %+v", ahead, simNames[n], st)
				}
			}
			d.leaseOfBoth(i, ahead)
		}
		d.cut()
		d.s[0].SetClock(0)
		time.Sleep(simTakeover / 2)
		if st := d.s[0].Partners()[0]; st.State != failover.Interrupted {
			t.Errorf("%+v", st)
		}
		time.Sleep(simTakeover)
		if st := d.s[0].Partners()[0]; st.State != failover.PartnerDown {
			t.Errorf("%+v", st)
		}
	})
}

// Two clocks are an hour behind, and one is set right. What has arrived from the partner by then keeps the time it has left.
func TestPartnerUpdateWhileClockSet(t *testing.T) {
	withDuo(t, 40, false, func(d *duo) {
		for _, s := range d.s {
			s.SetClock(-time.Hour)
		}
		time.Sleep(2 * time.Second)
		d.late = 10 * time.Second
		d.connect()
		time.Sleep(time.Second)
		d.s[0].SetClock(0)
		time.Sleep(2 * time.Second)
		c := d.client(1)
		if !d.lease(1, c) {
			t.Fatal("no lease")
		}
		time.Sleep(time.Second)
		if st := d.s[0].Partners()[0]; !st.Connected {
			t.Fatalf("the connection is gone already: %+v", st)
		}
		for range 2 {
			if l, ok := d.s[0].Lookup(c.holds); !ok || (time.Until(l.End)-simLease).Abs() > 20*time.Second {
				t.Errorf("%v %v: %+v", ok, time.Until(l.End), l)
			}
			d.cut()
			d.late = 0
			d.connect()
			time.Sleep(time.Second)
		}
	})
}

// A clock is set between this server's hello and the partner's: they greet each other again.
func TestPartnerHelloWhileClockSet(t *testing.T) {
	withDuo(t, 40, false, func(d *duo) {
		d.delay = 2 * time.Second
		d.connect()
		time.Sleep(time.Millisecond)
		d.s[0].SetClock(time.Hour)
		time.Sleep(4 * time.Second)
		for n, s := range d.s {
			if st := s.Partners()[0]; st.Connected && st.Skew.Abs().Round(time.Minute) != time.Hour {
				t.Errorf("%s: %+v", simNames[n], st)
			}
		}
		d.delay = time.Millisecond
		d.cut()
		d.connect()
		time.Sleep(2 * time.Second)
		for n, s := range d.s {
			if st := s.Partners()[0]; st.State != failover.Normal || st.Skew.Abs().Round(time.Minute) != time.Hour {
				t.Errorf("%s: %+v", simNames[n], st)
			}
		}
	})
}

// What a server did whose clock was ahead does not count as later than what its partner did after it, while they were parted.
func TestPartnerWithAFastClockIsNoLater(t *testing.T) {
	withDuo(t, 40, false, func(d *duo) {
		d.s[0].SetClock(time.Hour)
		time.Sleep(2 * time.Second)
		d.connect()
		time.Sleep(2 * time.Second)
		c := d.client(1)
		if !d.lease(0, c) {
			t.Fatal("no lease")
		}
		time.Sleep(time.Second)
		d.cut()
		if ack := d.send(0, c, c.extend(true), true); !ack.ack {
			t.Fatal("no renewal by the first server")
		}
		time.Sleep(simLease / 2)
		if ack := d.send(1, c, c.extend(false), false); !ack.ack {
			t.Fatal("no renewal by the second server")
		}
		renewed := time.Now()
		d.connect()
		time.Sleep(2 * time.Second)
		for n, s := range d.s {
			wall := time.Duration(0)
			if n == 0 {
				wall = time.Hour
			}
			l, ok := s.Lookup(c.holds)
			if left := l.End.Add(-wall).Sub(renewed); !ok || (left-simLease).Abs() > time.Second {
				t.Errorf("%s: lease for %v more, want %v", simNames[n], left, simLease)
			}
		}
	})
}

// leaseOfBoth gives leases by both servers, renews them by the other one, and fails when they disagree on when those end.
func (d *duo) leaseOfBoth(round int, ahead time.Duration) {
	d.t.Helper()
	for n := range d.s {
		c := d.client(byte(2*round + n))
		if !d.lease(n, c) {
			d.t.Fatalf("no lease from %s", simNames[n])
		}
		for _, by := range []int{n, 1 - n} {
			time.Sleep(10 * time.Second)
			if ack := d.send(by, c, c.extend(by == n), by == n); !ack.ack && by == n {
				d.t.Fatalf("no renewal by %s", simNames[by])
			}
			time.Sleep(time.Second)
			for k, s := range d.s {
				wall := time.Now()
				if k == 0 {
					wall = wall.Add(ahead)
				}
				if l, ok := s.Lookup(c.holds); !ok || (l.End.Sub(wall)-simLease).Abs() > 15*time.Second {
					d.t.Errorf("clock ahead by %v: %s has %v for %v: %v", ahead, simNames[k], c.holds, l.End.Sub(wall), ok)
				}
			}
		}
	}
}
