package dhcpsrv_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcptest"
)

// restartCase holds the events around a restart right after an ACK.
type restartCase struct {
	crashed []int         // of the two servers
	renewed bool          // the ACK is of the server that did not give the lease
	delay   time.Duration // of the partners' messages: with much of it the ACK leaves before the partner knows
	cut     bool          // the partners did not hear each other at the ACK, either
	healed  bool          // they do afterwards
}

// What a partner has confirmed is forgotten with a restart. An address is not given to a second client all the same, the
// server that gave the last ACK knows the lease, and the address is given out again once it is over.
func TestRestartRightAfterAnAck(t *testing.T) {
	for _, crashed := range [][]int{{0}, {1}, {0, 1}} {
		for _, renewed := range []bool{false, true} {
			for _, delay := range []time.Duration{time.Millisecond, 300 * time.Millisecond} {
				for i := range 4 {
					c := restartCase{crashed, renewed, delay, i&1 != 0, i&2 != 0}
					t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) { synctest.Test(t, c.run) })
				}
			}
		}
	}
}

func (c restartCase) run(t *testing.T) {
	p := &pair{t: t, rng: newRand(1), begun: time.Now(), pool: 2, faults: dhcptest.Faults{Delay: c.delay}}
	for n := range p.racks {
		p.racks[n] = &simRack{n: n, store: new(dhcpsrv.MemStore)}
		p.start(n)
	}
	defer func() { p.crash(0); p.crash(1) }()
	c.connect(p)
	d := &duo{t: t, s: [2]*dhcpsrv.Server{p.racks[0].run.s, p.racks[1].run.s}}
	x, last := d.client(1), 0
	if c.cut && !c.renewed {
		p.apartNow()
	}
	if !d.lease(0, x) {
		t.Fatal("no lease")
	}
	if c.renewed {
		time.Sleep(20 * time.Second)
		if c.cut {
			p.apartNow()
		}
		if last = 1; !d.send(1, x, x.extend(false), false).ack {
			t.Fatal("beta does not renew")
		}
	}
	until := time.Now().Add(simLease)
	for _, n := range c.crashed {
		p.crash(n)
	}
	p.apartNow()
	for _, n := range c.crashed {
		p.start(n)
		d.s[n] = p.racks[n].run.s
	}
	if c.healed {
		c.connect(p)
	}
	if l, known := d.s[last].Lookup(x.holds); !known || l.MAC.String() != x.mac().String() {
		t.Errorf("%s gave the last ACK and knows %v %v", simNames[last], known, l.MAC)
	}
	for ; time.Now().Before(until); time.Sleep(time.Second) {
		c.others(d, x)
	}
	if !c.healed {
		time.Sleep(simTakeover) // until then the address stays out of use
	}
	time.Sleep(2 * simLease)
	if y := d.client(9); !d.lease(0, y) {
		t.Error("the address is not given out again")
	}
}

// others are clients who would take what they get.
func (c restartCase) others(d *duo, x *simClient) {
	for n := range d.s {
		for i := range byte(3) {
			if y := d.client(2 + i); d.lease(n, y) && y.holds == x.holds {
				d.t.Fatalf("%s gives %v to a second client", simNames[n], x.holds)
			}
		}
	}
}

// connect waits until both servers hear each other.
func (restartCase) connect(p *pair) {
	p.plug()
	for range 60 {
		if time.Sleep(time.Second); p.normal() {
			return
		}
	}
	p.t.Fatal("the servers do not find together")
}

// apartNow ends the connection and waits until both know.
func (p *pair) apartNow() {
	p.unplug(false)
	for {
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		if open == 0 {
			return
		}
		time.Sleep(time.Second)
	}
}
