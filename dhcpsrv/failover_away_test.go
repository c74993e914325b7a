package dhcpsrv_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
)

// awayCase is a server that starts after its partner has taken its half over, and does not hear it.
type awayCase struct {
	name   string
	starts int  // until its first lease
	paused bool // the machine was, as a virtual one is, so that its uptime does not count the time away
}

// Whatever a server takes the time for that it was away, and however often it starts, it gives no
// client an address that its partner gave meanwhile; once the partner's last lease must be over it
// gives addresses again.
func TestPartnerTookOver(t *testing.T) {
	for _, c := range []awayCase{
		{name: "away", starts: 1},
		{name: "away, two starts", starts: 2},
		{name: "paused", starts: 1, paused: true},
		{name: "paused, two starts", starts: 2, paused: true},
	} {
		t.Run(c.name, func(t *testing.T) { synctest.Test(t, c.run) })
	}
}

func (c awayCase) run(t *testing.T) {
	p := &pair{t: t, rng: newRand(1), begun: time.Now(), pool: 2}
	var paused atomic.Int64
	if c.paused {
		p.uptime = func() (string, time.Duration) {
			return "one", time.Hour + time.Since(p.begun) - time.Duration(paused.Load())
		}
	}
	for n := range p.racks {
		p.racks[n] = &simRack{n: n, store: new(dhcpsrv.MemStore)}
		p.start(n)
	}
	defer func() { p.crash(0); p.crash(1) }()
	restartCase{}.connect(p)
	time.Sleep(time.Minute)
	p.crash(0)
	p.apartNow()
	away := simTakeover + simLease + time.Minute
	paused.Store(int64(away))
	time.Sleep(away)
	d := &duo{t: t, s: [2]*dhcpsrv.Server{nil, p.racks[1].run.s}}
	held := make(map[netip.Addr]bool)
	for i := range byte(2) {
		x := d.client(i)
		if !d.lease(1, x) {
			t.Fatal("the partner does not take over")
		}
		held[x.holds] = true
	}
	for range c.starts {
		p.crash(0)
		p.start(0)
		time.Sleep(12 * time.Second) // no longer recovering
		d.s[0] = p.racks[0].run.s
		for i := range byte(4) {
			if y := d.client(10 + i); d.lease(0, y) && held[y.holds] {
				t.Errorf("%v goes to a second client", y.holds)
			}
		}
	}
	time.Sleep(simLease)
	if !d.lease(0, d.client(20)) {
		t.Error("nothing is given out when the partner's leases are over")
	}
}
