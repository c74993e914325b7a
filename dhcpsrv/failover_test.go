package dhcpsrv_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcptest"
	"github.com/gomaas/maas/dhcpsrv/failover"
)

// duo is two servers, named alpha and beta, that share a subnet with a pool. Clients are numbered.
type duo struct {
	t    *testing.T
	s    [2]*dhcpsrv.Server
	stop context.CancelFunc
	ends int
	gone chan struct{}

	delay time.Duration // of messages
	late  time.Duration // a connection that is closed still gives what it has, for so long
}

// lateClose is a connection whose last messages are already with the server when it is closed.
type lateClose struct {
	*dhcptest.PartnerEnd
	after time.Duration
}

func (c lateClose) Close() error {
	if c.after == 0 {
		return c.PartnerEnd.Close()
	}
	time.AfterFunc(c.after, func() { c.PartnerEnd.Close() })
	return nil
}

// withDuo runs with both servers connected, or no longer.
func withDuo(t *testing.T, pool int, connected bool, run func(d *duo)) {
	withDuoOf(t, [2]dhcpsrv.Config{}, pool, connected, run)
}

func withDuoOf(t *testing.T, cfg [2]dhcpsrv.Config, pool int, connected bool, run func(d *duo)) {
	synctest.Test(t, func(t *testing.T) {
		d := &duo{t: t, gone: make(chan struct{}, 8), delay: time.Millisecond}
		p := &pair{pool: pool, begun: time.Now()}
		ctx, stop := context.WithCancel(context.Background())
		for n := range d.s {
			d.s[n] = newServer(t, cfg[n], p.snapshot(n))
			go d.s[n].Serve(ctx, quiet{make(chan struct{})})
		}
		defer stop()
		defer d.cut()
		d.connect()
		time.Sleep(time.Second)
		for n, s := range d.s {
			if st := s.Partners()[0]; st.State != failover.Normal || !st.Connected {
				t.Fatalf("%s: %+v", simNames[n], st)
			}
		}
		if !connected {
			d.cut()
		}
		run(d)
	})
}

func (d *duo) connect() {
	a, b := dhcptest.PartnerPipe(dhcptest.Faults{Delay: d.delay})
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	for n, end := range []*dhcptest.PartnerEnd{a, b} {
		go func() {
			d.s[n].ServePartner(ctx, simNames[1-n], lateClose{end, d.late})
			d.gone <- struct{}{}
		}()
	}
	d.ends = 2
}

func (d *duo) cut() {
	if d.stop != nil {
		d.stop()
	}
	for ; d.ends > 0; d.ends-- {
		<-d.gone
	}
	synctest.Wait()
}

// client is one whose packets a server handles, without a pair around it.
func (d *duo) client(n byte) *simClient {
	return &simClient{n: n, kind: simNear, counts: true, rng: newRand(n), p: &pair{t: d.t, begun: time.Now()}}
}

func (d *duo) send(n int, c *simClient, data []byte, direct bool) simReply {
	d.t.Helper()
	reply, ok := d.s[n].Handle(context.Background(), c.packet(data, n, direct))
	if !ok {
		return simReply{}
	}
	return c.read(reply.Data)
}

// lease gives a client an address by one server; its packets say that it has waited.
func (d *duo) lease(n int, c *simClient) bool {
	d.t.Helper()
	o := d.send(n, c, c.discover(time.Minute), false)
	if !o.offer {
		return false
	}
	ack := d.send(n, c, c.request(o), false)
	if !ack.ack {
		d.t.Fatalf("offer of %v was not kept: %+v", o.addr, ack)
	}
	c.holds, c.server = ack.addr, ack.server
	return true
}

func TestPartnersAnswerTheirHalf(t *testing.T) {
	withDuo(t, 200, true, func(d *duo) {
		var answered [2]int
		for i := range byte(90) {
			c := d.client(i)
			first, second := d.send(0, c, c.discover(0), false), d.send(1, c, c.discover(0), false)
			if first.offer == second.offer {
				t.Fatalf("client %d: alpha answers %v, beta %v", i, first.offer, second.offer)
			}
			for n, r := range []simReply{first, second} {
				if last := r.addr.AsSlice(); r.offer {
					answered[n]++
					if int(last[3])%2 != n {
						t.Errorf("%s offers %v, which is not of its half", simNames[n], r.addr)
					}
				} else if late := d.send(n, c, c.discover(4*time.Second), false); !late.offer {
					t.Errorf("client %d has waited, and %s does not answer", i, simNames[n])
				}
			}
		}
		if answered[0] < 25 || answered[1] < 25 {
			t.Errorf("alpha and beta answered %v of 90 clients", answered)
		}
	})
}

// A client whose firmware does not count the seconds is heard again, and then answered.
func TestPartnersSilentClient(t *testing.T) {
	withDuo(t, 200, true, func(d *duo) {
		c := d.client(1)
		c.counts = false
		n := 0
		if d.send(0, c, c.discover(0), false).offer {
			n = 1
		}
		if d.send(n, c, c.discover(0), false).offer {
			t.Fatal("both answer")
		}
		time.Sleep(4 * time.Second)
		if !d.send(n, c, c.discover(0), false).offer {
			t.Error("no answer to a client that asks again")
		}
	})
}

func TestPartnerRenewsTheOthers(t *testing.T) {
	withDuo(t, 2, true, func(d *duo) {
		x, y := d.client(1), d.client(2)
		if !d.lease(0, x) {
			t.Fatal("no lease")
		}
		d.cut()
		time.Sleep(40 * time.Second)
		if r := d.send(1, x, x.extend(false), false); !r.ack || r.addr != x.holds {
			t.Fatalf("beta answers %+v to the renewal of %v", r, x.holds)
		}
		// Alpha does not know that, and takes the lease for ended; it must not give the address to
		// another client.
		time.Sleep(30 * time.Second)
		if d.lease(0, y) {
			t.Fatalf("alpha gave %v to another client, while beta has renewed the lease of %v", y.holds, x.holds)
		}
		d.connect()
		time.Sleep(time.Second)
		if l, ok := d.s[0].Lookup(x.holds); !ok || l.MAC.String() != x.mac().String() {
			t.Errorf("alpha knows %v %v", ok, l)
		}
		time.Sleep(time.Minute) // both have seen the end
		if !d.lease(0, y) || y.holds != x.holds {
			t.Errorf("the address is not given again: %v", y.holds)
		}
	})
}

func TestPartnerTakesOver(t *testing.T) {
	withDuo(t, 2, false, func(d *duo) {
		x, y := d.client(1), d.client(2)
		if !d.lease(0, x) || d.lease(0, y) {
			t.Fatal("alpha has one address of its own")
		}
		time.Sleep(simTakeover)
		if st := d.s[0].Partners()[0]; st.State != failover.PartnerDown || d.lease(0, y) && y.holds != x.holds {
			t.Fatalf("%+v, and %v is given before the last lease of the partner is over", st, y.holds)
		}
		d.lease(0, x)
		time.Sleep(simLease - time.Second)
		d.lease(0, x)
		time.Sleep(2 * time.Second)
		if !d.lease(0, y) || y.holds == x.holds {
			t.Errorf("the partner's address is not taken over: %v, %+v", y.holds, d.s[0].Partners())
		}
	})
}

// A lease that only the partner can know is left to it for a while, and then refused, so that the client starts over.
func TestPartnerUnknownLease(t *testing.T) {
	withDuo(t, 20, false, func(d *duo) {
		x := d.client(1)
		d.lease(0, x)
		if r := d.send(1, x, x.recall(x.holds), false); r.ack || r.nak {
			t.Errorf("beta answers %+v at once", r)
		}
		time.Sleep(5 * time.Second)
		if r := d.send(1, x, x.recall(x.holds), false); !r.nak {
			t.Errorf("beta answers %+v to one that asks again", r)
		}
	})
}

func TestPartnerExplain(t *testing.T) {
	withDuo(t, 20, true, func(d *duo) {
		c := d.client(1)
		for n, s := range d.s {
			x := s.Explain(context.Background(), c.packet(c.discover(0), n, false))
			if text := strings.Join(x.Steps, "\n"); !strings.Contains(text, "normal; bucket") || (x.Reply == "") != (x.Reason == dhcpsrv.DropPartner) {
				t.Errorf("%s: %v %q", simNames[n], x.Reason, text)
			}
		}
	})
}

// TestPartnerIsNotForeign lets a server in mode auto hear its partner, which is no reason to leave the addresses to it.
func TestPartnerIsNotForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := (&pair{pool: 20}).snapshot(0)
		snap.Subnets[0].Mode = dhcpsrv.ModeAuto
		s := newServer(t, dhcpsrv.Config{FindServers: func(context.Context, string) ([]dhcpsrv.RogueServer, error) {
			return []dhcpsrv.RogueServer{{ID: simAddr(simNear, 2), Addr: simAddr(simNear, 2), Offer: simAddr(simNear, 11)}}, nil
		}}, snap)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, quiet{make(chan struct{})}) }()
		time.Sleep(10 * time.Second)
		if m := s.Modes()[0]; m.Mode != dhcpsrv.ModeServe {
			t.Errorf("mode %v by %s", m.Mode, m.By)
		}
		stop()
		<-done
	})
}

func TestPartnerRefused(t *testing.T) {
	sub := dhcpsrv.Subnet{Name: "a", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: ip("192.0.2.1"), Partner: "beta"}
	beta := failover.Partner{Name: "beta", Self: "alpha"}
	for _, tt := range []struct {
		want     string
		partners []failover.Partner
	}{
		{"there is no partner", nil},
		{"must be two", []failover.Partner{{Name: "beta", Self: "beta"}}},
		{"have this name", []failover.Partner{beta, beta}},
		{"under a minute", []failover.Partner{{Name: "beta", Self: "alpha", TakeoverAfter: time.Second}}},
	} {
		s := newServer(t, dhcpsrv.Config{}, dhcpsrv.Snapshot{})
		if err := s.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{sub}, Partners: tt.partners}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}

// FuzzPartnerMessage lets a partner say anything.
func FuzzPartnerMessage(f *testing.F) {
	hello := append([]byte{1, 1, 4}, "beta\x05alpha"...)
	hello = append(binary.BigEndian.AppendUint64(hello, 7), 0)
	f.Add(hello, []byte{2, 1})
	f.Add(hello, []byte{3, 1, 0xff})
	f.Add([]byte{4, 0}, []byte{5})
	snap := (&pair{pool: 20}).snapshot(0)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		synctest.Test(t, func(t *testing.T) { // some messages make it wait for others
			s := newServer(t, dhcpsrv.Config{}, snap)
			a, b := dhcptest.PartnerPipe(dhcptest.Faults{})
			done := make(chan error)
			go func() { done <- s.ServePartner(t.Context(), "beta", a) }()
			b.Send(first)
			b.Send(second)
			b.Send(second)
			b.Close()
			<-done
			if s.Stats().Panics != 0 {
				t.Error("panic")
			}
		})
	})
}

func newRand(n byte) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 0)) }

// TestPartnerRestarted starts a server again whose partner is not there: after a short while it serves on, after a long one,
// in which the partner may have given its addresses away, it waits.
func TestPartnerRestarted(t *testing.T) {
	for _, tt := range []struct {
		name string
		away time.Duration
		want bool
	}{{"soon", simLease / 2, true}, {"late", 2 * simLease, false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := new(dhcpsrv.MemStore)
				p := &pair{pool: 20, begun: time.Now()}
				life := func(run func(d *duo)) {
					d := &duo{t: t, s: [2]*dhcpsrv.Server{newServer(t, dhcpsrv.Config{Store: store}, p.snapshot(0))}}
					ctx, stop := context.WithCancel(context.Background())
					done := make(chan error)
					go func() { done <- d.s[0].Serve(ctx, quiet{make(chan struct{})}) }()
					run(d)
					stop()
					<-done
				}
				life(func(d *duo) {
					time.Sleep(recoverTime)
					if d.lease(0, d.client(1)) {
						t.Error("a server without memory gives out addresses at once")
					}
					time.Sleep(simLease)
					if !d.lease(0, d.client(1)) {
						t.Error("no lease after waiting")
					}
				})
				time.Sleep(tt.away)
				life(func(d *duo) {
					if d.lease(0, d.client(2)) {
						t.Error("answers while it recovers")
					}
					time.Sleep(recoverTime)
					if got := d.lease(0, d.client(2)); got != tt.want {
						t.Errorf("gives out a new address: %v, want %v", got, tt.want)
					}
				})
			})
		})
	}
}

const recoverTime = 12 * time.Second
