package dhcpsrv_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// pipe is a Conn in memory: packets put into in are read, replies come out of out.
type pipe struct {
	in     chan dhcpsrv.Packet
	out    chan dhcpsrv.Reply
	closed chan struct{}
	once   sync.Once
}

func newPipe() *pipe {
	return &pipe{in: make(chan dhcpsrv.Packet, 4096), out: make(chan dhcpsrv.Reply, 4096), closed: make(chan struct{})}
}

func (p *pipe) ReadDHCP(b []byte) (int, string, netip.AddrPort, netip.Addr, error) {
	select {
	case m := <-p.in:
		if m.Data == nil {
			return 0, "", netip.AddrPort{}, netip.Addr{}, errors.New("cable unplugged")
		}
		return copy(b, m.Data), m.Link, m.Src, m.Dst, nil
	case <-p.closed:
		return 0, "", netip.AddrPort{}, netip.Addr{}, net.ErrClosed
	}
}

func (p *pipe) WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	p.out <- dhcpsrv.Reply{Data: b, Link: link, Src: src, Dst: dst, HW: hw}
	return nil
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// ask sends a message over the pipe and waits a second for the answer; nil is silence.
func (p *pipe) ask(c *client, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	c.t.Helper()
	p.in <- dhcpsrv.Packet{Data: c.packet(kind, mods...).ToBytes(), Link: "eth0"}
	select {
	case r := <-p.out:
		m, err := dhcpv4.FromBytes(r.Data)
		if err != nil {
			c.t.Fatal(err)
		}
		return m
	case <-time.After(5 * time.Second):
		return nil
	}
}

// serve runs a server on a pipe inside a bubble until the test ends.
func serve(t *testing.T, cfg dhcpsrv.Config, snap dhcpsrv.Snapshot, f func(*dhcpsrv.Server, *pipe)) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, cfg, snap)
		p := newPipe()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, p) }()
		f(s, p)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// closeCounter counts the calls of Close.
type closeCounter struct {
	*pipe
	closed atomic.Int32
}

func (c *closeCounter) Close() error {
	c.closed.Add(1)
	return c.pipe.Close()
}

// Serve closes its Conn once, whether its context ends or its Conn.
func TestConnClosedOnce(t *testing.T) {
	for name, end := range map[string]func(cancel func(), p *pipe){
		"context": func(cancel func(), _ *pipe) { cancel() },
		"conn":    func(_ func(), p *pipe) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, dhcpsrv.Config{}, office())
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				conn := &closeCounter{pipe: newPipe()}
				done := make(chan error)
				go func() { done <- s.Serve(ctx, conn) }()
				synctest.Wait()
				end(cancel, conn.pipe)
				<-done
				synctest.Wait()
				if n := conn.closed.Load(); n != 1 {
					t.Errorf("closed %d times", n)
				}
			})
		})
	}
}

func TestServeExpiry(t *testing.T) {
	var mu sync.Mutex
	var events []dhcpsrv.Event
	cfg := dhcpsrv.Config{Events: func(ev dhcpsrv.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, ev)
	}}
	serve(t, cfg, office(), func(s *dhcpsrv.Server, p *pipe) {
		c := newClient(t, s, mac1)
		m := p.ask(c, dhcpv4.MessageTypeDiscover)
		m = p.ask(c, dhcpv4.MessageTypeRequest, withServer(server.AsSlice()), withWanted(m.YourIPAddr))
		a, _ := netip.AddrFromSlice(m.YourIPAddr.To4())
		time.Sleep(9 * time.Minute)
		if m = p.ask(c, dhcpv4.MessageTypeRequest, withCIAddr(a)); m.MessageType() != dhcpv4.MessageTypeAck {
			t.Fatalf("renewal: %v", m)
		}
		time.Sleep(9 * time.Minute)
		if _, ok := s.Lookup(a); !ok {
			t.Error("a renewed lease ran out too early")
		}
		time.Sleep(61 * time.Second)
		if l, ok := s.Lookup(a); ok {
			t.Errorf("lease of 10 minutes is there after 10 minutes and a second: %+v", l)
		}
		mu.Lock()
		defer mu.Unlock()
		if n := len(events); n != 3 || events[2].Kind != dhcpsrv.Expired || events[2].Lease.State != dhcpsrv.Ended {
			t.Errorf("%d events, %+v", n, events)
		}
	})
}

func TestOfferHold(t *testing.T) {
	snap := office()
	snap.Subnets[0].Pools[0].Last = snap.Subnets[0].Pools[0].First // one address
	serve(t, dhcpsrv.Config{}, snap, func(s *dhcpsrv.Server, p *pipe) {
		first, second := newClient(t, s, mac1), newClient(t, s, mac2)
		offer := p.ask(first, dhcpv4.MessageTypeDiscover)
		if m := p.ask(second, dhcpv4.MessageTypeDiscover); m != nil {
			t.Errorf("an offered address was offered again: %v", m)
		}
		if m := p.ask(second, dhcpv4.MessageTypeRequest, withServer(server.AsSlice()), withWanted(offer.YourIPAddr)); m.MessageType() != dhcpv4.MessageTypeNak {
			t.Errorf("an offered address was granted to another: %v", m)
		}
		p.ask(first, dhcpv4.MessageTypeRequest, withServer(net.IP{9, 9, 9, 9}), withWanted(net.IP{9, 9, 9, 8})) // takes another server's
		if m := p.ask(second, dhcpv4.MessageTypeDiscover); m == nil {
			t.Error("the offer was not dropped when its client went elsewhere")
		}
		time.Sleep(dhcpsrv.DefaultOfferHold + time.Second)
		if m := p.ask(first, dhcpv4.MessageTypeDiscover); m == nil {
			t.Error("the offer outlived its hold")
		}
		time.Sleep(10 * time.Second)
		if m := p.ask(second, dhcpv4.MessageTypeDiscover); m == nil {
			t.Error("an old offer blocks the last address")
		}
		if n := s.Stats().Commits; n != 0 {
			t.Errorf("offers cost %d commits", n)
		}
	})
}

func TestQuarantineEnds(t *testing.T) {
	snap := office()
	snap.Subnets[0].Pools[0].Last = snap.Subnets[0].Pools[0].First
	serve(t, dhcpsrv.Config{}, snap, func(s *dhcpsrv.Server, p *pipe) {
		c := newClient(t, s, mac1)
		a := ip("192.0.2.100")
		p.ask(c, dhcpv4.MessageTypeRequest, withServer(server.AsSlice()), withWanted(a.AsSlice()))
		p.ask(c, dhcpv4.MessageTypeDecline, withServer(server.AsSlice()), withWanted(a.AsSlice()))
		if m := p.ask(c, dhcpv4.MessageTypeDiscover); m != nil {
			t.Errorf("offer of an address declined: %v", m)
		}
		time.Sleep(dhcpsrv.DefaultDeclineTime)
		if m := p.ask(c, dhcpv4.MessageTypeDiscover); m == nil {
			t.Error("the declined address does not end")
		}
	})
}

func TestProbe(t *testing.T) {
	var mu sync.Mutex
	asked := map[netip.Addr]int{}
	var conflicts []netip.Addr
	cfg := dhcpsrv.Config{
		ProbeAhead: -1,
		Prober: dhcpsrv.ProberFunc(func(ctx context.Context, link string, a netip.Addr) (bool, error) {
			time.Sleep(200 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			asked[a]++
			return len(asked) == 1, nil // whatever is asked first is in use
		}),
		Events: func(ev dhcpsrv.Event) {
			if ev.Kind == dhcpsrv.Conflict {
				mu.Lock()
				defer mu.Unlock()
				conflicts = append(conflicts, ev.Lease.Addr)
			}
		},
	}
	serve(t, cfg, office(), func(s *dhcpsrv.Server, p *pipe) {
		c := newClient(t, s, mac1)
		p.in <- dhcpsrv.Packet{Data: c.packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"}
		time.Sleep(100 * time.Millisecond)
		m := p.ask(c, dhcpv4.MessageTypeDiscover) // resent meanwhile: costs no second probe
		if m == nil || len(asked) != 2 || len(conflicts) != 1 || m.YourIPAddr.String() == conflicts[0].String() {
			t.Fatalf("offer %v, probed %v, conflicts %v", m, asked, conflicts)
		}
		m = p.ask(c, dhcpv4.MessageTypeRequest, withServer(server.AsSlice()), withWanted(m.YourIPAddr))
		if m.MessageType() != dhcpv4.MessageTypeAck {
			t.Fatalf("%v", m)
		}
		p.ask(c, dhcpv4.MessageTypeDiscover)
		if total := len(asked); total != 2 || s.Stats().Probes != 2 {
			t.Errorf("probed %v: an address the client holds needs no probe", asked)
		}
	})
}

// ownerProber answers as hosts that have addresses.
type ownerProber map[string]net.HardwareAddr

func (p ownerProber) Probe(ctx context.Context, link string, a netip.Addr) (bool, error) {
	_, inUse, err := p.ProbeOwner(ctx, link, a)
	return inUse, err
}

func (p ownerProber) ProbeOwner(_ context.Context, _ string, a netip.Addr) (net.HardwareAddr, bool, error) {
	mac, inUse := p[a.String()]
	return mac, inUse, nil
}

// A host that already has the address it asks for is no conflict, nor is the client of a reservation. Any other host is.
func TestProbeOfTheClientItself(t *testing.T) {
	const reserved, reserved6 = "192.0.2.50", "2001:db8:1::50"
	for _, tt := range []struct {
		name    string
		owner   net.HardwareAddr
		aliases []net.HardwareAddr
		offered bool
	}{
		{"the client itself", mac1, nil, true},
		{"another interface of the client", mac2, []net.HardwareAddr{mac2}, true},
		{"another host", mac2, nil, false},
		{"a host that is not known", nil, nil, false},
	} {
		prober := ownerProber{reserved: tt.owner, reserved6: tt.owner}
		snap := office()
		snap.Subnets = append(snap.Subnets, office6().Subnets...)
		snap.Reservations = []dhcpsrv.Reservation{
			{MAC: mac1, Aliases: tt.aliases, Addr: ip(reserved), Hostname: "db1"}, {MAC: mac1, Aliases: tt.aliases, Addr: ip(reserved6)},
		}
		s := newServer(t, dhcpsrv.Config{Prober: prober}, snap)
		m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover)
		if m == nil || (m.YourIPAddr.String() == reserved) != tt.offered {
			t.Errorf("%s: offered %v", tt.name, m)
		}
		if got := addrs(newClient6(t, s, mac1.String()).send(dhcpv6.MessageTypeSolicit, ia(1))); slices.Contains(got, reserved6) != tt.offered {
			t.Errorf("%s: advertised %v", tt.name, got)
		}
	}
	// The same without a reservation: a host that restarts asks for an address that it has.
	s := newServer(t, dhcpsrv.Config{Prober: ownerProber{"192.0.2.105": mac1}}, office())
	if m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover, withWanted(net.IP{192, 0, 2, 105})); m == nil || m.YourIPAddr.String() != "192.0.2.105" {
		t.Errorf("offered %v", m)
	}
}

// failingStore refuses commits while broken is set.
type failingStore struct {
	dhcpsrv.MemStore
	broken bool
}

func (f *failingStore) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	if f.broken {
		return io.ErrShortWrite
	}
	return f.MemStore.Commit(ctx, batch)
}

// TestCommitFails: no ACK without a commit, and what was before is still there.
func TestCommitFails(t *testing.T) {
	store := &failingStore{}
	events := 0
	s := newServer(t, dhcpsrv.Config{Store: store, Events: func(dhcpsrv.Event) { events++ }}, office())
	c, other := newClient(t, s, mac1), newClient(t, s, mac2)
	a := c.dora()
	before, _ := s.Lookup(a)
	store.broken = true
	if m, _ := c.send(dhcpv4.MessageTypeRequest, withCIAddr(a)); m != nil {
		t.Errorf("renewal acknowledged without a commit")
	}
	if l, ok := s.Lookup(a); !ok || !l.End.Equal(before.End) {
		t.Errorf("lease %v %+v, was %+v", ok, l, before)
	}
	c.send(dhcpv4.MessageTypeRelease, withCIAddr(a))
	if _, ok := s.Lookup(a); !ok {
		t.Error("released without a commit")
	}
	offer, _ := other.send(dhcpv4.MessageTypeDiscover)
	if m, _ := other.send(dhcpv4.MessageTypeRequest, withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr)); m != nil {
		t.Error("lease acknowledged without a commit")
	}
	store.broken = false
	other.selecting(offer)
	if st := s.Stats(); events != 2 || st.CommitErrors != 3 || st.Reasons["commit-failed"] != 3 {
		t.Errorf("%d events, %+v", events, st)
	}
}

func TestServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, dhcpsrv.Config{}, office())
		p := newPipe()
		p.in <- dhcpsrv.Packet{} // a read error that passes
		go func() {
			time.Sleep(time.Minute)
			p.Close()
		}()
		if err := s.Serve(context.Background(), p); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve on a closed connection: %v", err)
		}
		if n := s.Stats().ReadErrors; n != 1 {
			t.Errorf("%d read errors", n)
		}
	})
}

// TestPanics: whatever the embedder's code does, the server goes on.
func TestPanics(t *testing.T) {
	boom := true
	s := newServer(t, dhcpsrv.Config{
		Boot: dhcpsrv.BootSelectorFunc(func(context.Context, dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
			if boom {
				panic("selector")
			}
			return dhcpsrv.BootAnswer{File: "x"}, true
		}),
		Prober: dhcpsrv.ProberFunc(func(context.Context, string, netip.Addr) (bool, error) { panic("prober") }),
		Events: func(dhcpsrv.Event) { panic("events") },
	}, office())
	c := newClient(t, s, mac1)
	c.dora()
	boom = false
	if m, _ := c.send(dhcpv4.MessageTypeDiscover); m == nil || m.BootFileName != "x" {
		t.Errorf("afterwards: %v", m)
	}
	if n := s.Stats().Panics; n != 4 { // selector twice, prober, events
		t.Errorf("%d panics counted", n)
	}
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(dhcpsrv.MemStore)
		c := newClient(t, newServer(t, dhcpsrv.Config{Store: store}, office()), mac1)
		a := c.dora()
		time.Sleep(dhcpsrv.DefaultLeaseTime / 2)
		var kinds []dhcpsrv.EventKind
		c.s = newServer(t, dhcpsrv.Config{Store: store, Events: func(ev dhcpsrv.Event) { kinds = append(kinds, ev.Kind) }}, office())
		if m, _ := c.send(dhcpv4.MessageTypeRequest, withCIAddr(a)); m == nil || m.MessageType() != dhcpv4.MessageTypeAck {
			t.Fatalf("renewal after a restart: %v", m)
		}
		if len(kinds) != 1 || kinds[0] != dhcpsrv.Renewed {
			t.Errorf("events %v", kinds)
		}
		// The store is lost: the client finds its address all the same.
		c.s = newServer(t, dhcpsrv.Config{}, office())
		if b := c.dora(); b != a {
			t.Errorf("got %v, had %v", b, a)
		}
		// A lease that ran out while the server was down is reported when it is back.
		time.Sleep(24 * time.Hour)
		kinds = nil
		c.s = newServer(t, dhcpsrv.Config{Store: store, Events: func(ev dhcpsrv.Event) { kinds = append(kinds, ev.Kind) }}, office())
		newClient(t, c.s, mac2).dora()
		synctest.Wait()
		if len(kinds) != 2 || kinds[0] != dhcpsrv.Expired || kinds[1] != dhcpsrv.Granted {
			t.Errorf("events %v", kinds)
		}
	})
}
