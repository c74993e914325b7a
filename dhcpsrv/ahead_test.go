package dhcpsrv_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// probeTime passes until a probe on a link has its result.
const probeTime = 300 * time.Millisecond

// linkHosts answers probes for the hosts of a link, after a time.
type linkHosts struct {
	mu     sync.Mutex
	hosts  map[netip.Addr]bool
	probed map[netip.Addr]int
	calls  int
	err    error
}

func newLinkHosts() *linkHosts {
	return &linkHosts{hosts: map[netip.Addr]bool{}, probed: map[netip.Addr]int{}}
}

func (l *linkHosts) ask(ctx context.Context, addrs []netip.Addr) (map[netip.Addr]net.HardwareAddr, error) {
	select {
	case <-time.After(probeTime):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	found := map[netip.Addr]net.HardwareAddr{}
	for _, a := range addrs {
		l.probed[a]++
		if l.hosts[a] {
			found[a] = nil
		}
	}
	return found, l.err
}

func (l *linkHosts) Probe(ctx context.Context, _ string, a netip.Addr) (bool, error) {
	found, err := l.ask(ctx, []netip.Addr{a})
	_, inUse := found[a]
	return inUse, err
}

func (l *linkHosts) set(a netip.Addr, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts[a] = there
}

func (l *linkHosts) has(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hosts[a]
}

func (l *linkHosts) times(a netip.Addr) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.probed[a]
}

func (l *linkHosts) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, times := range l.probed {
		n += times
	}
	return n
}

// batchHosts answers whole batches.
type batchHosts struct{ *linkHosts }

func (b batchHosts) ProbeBatch(ctx context.Context, _ string, addrs []netip.Addr) (map[netip.Addr]net.HardwareAddr, error) {
	return b.ask(ctx, addrs)
}

// wide is a subnet of each family with room for thousands of clients.
func wide() dhcpsrv.Snapshot {
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "wide", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Link: "eth0", Server: ip("10.0.0.1"), LeaseTime: time.Hour,
		Pools: []dhcpsrv.Pool{{First: ip("10.1.0.0"), Last: ip("10.2.255.255")}},
	}, {
		Name: "wide6", Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Link: "eth0", Server: ip("2001:db8:1::1"), LeaseTime: time.Hour,
		Pools: []dhcpsrv.Pool{{First: ip("2001:db8:1::1:0"), Last: ip("2001:db8:1:0:ffff:ffff:ffff:ffff")}},
	}}}
}

// serving runs a server for both families in a bubble, until f returns.
func serving(t *testing.T, cfg dhcpsrv.Config, snap dhcpsrv.Snapshot, f func(*dhcpsrv.Server)) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, cfg, snap)
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { s.Serve(ctx, newPipe()) })
		running.Go(func() { s.Serve6(ctx, newPipe()) })
		f(s)
		cancel()
		running.Wait() // a goroutine that outlives them fails the bubble
	})
}

func probers(t *testing.T, f func(t *testing.T, hosts *linkHosts, p dhcpsrv.Prober)) {
	t.Run("single", func(t *testing.T) { h := newLinkHosts(); f(t, h, h) })
	t.Run("batch", func(t *testing.T) { h := newLinkHosts(); f(t, h, batchHosts{h}) })
}

func macN(n int) net.HardwareAddr {
	return net.HardwareAddr{2, 0, 1, byte(n >> 16), byte(n >> 8), byte(n)}
}

// An unknown client of either family is offered an address that was probed ahead, without waiting; the same client is
// offered the same one by a server that has lost its leases.
func TestProbedAhead(t *testing.T) {
	probers(t, func(t *testing.T, hosts *linkHosts, p dhcpsrv.Prober) {
		var first []netip.Addr
		for round := range 2 {
			serving(t, dhcpsrv.Config{Prober: p}, wide(), func(s *dhcpsrv.Server) {
				time.Sleep(time.Second)
				start := time.Now()
				c := newClient(t, s, mac1)
				if x := s.Explain(t.Context(), dhcpsrv.Packet{Data: c.packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"}); x.Probe {
					t.Error("the explanation announces a probe")
				}
				got := []netip.Addr{c.dora(), ip(addrs(newClient6(t, s, mac1.String()).bind(ia(1)))[0])}
				if took := time.Since(start); took > 0 {
					t.Errorf("bound after %v", took)
				}
				for i, a := range got {
					if hosts.times(a) == 0 {
						t.Errorf("%v was never probed", a)
					}
					if round > 0 && first[i] != a {
						t.Errorf("after the loss of the leases %v, before %v", a, first[i])
					}
				}
				first = got
				if st := s.Stats(); st.Probes != 0 || st.ProbesAhead == 0 {
					t.Errorf("%d probes on the path of the packets, %d ahead", st.Probes, st.ProbesAhead)
				}
			})
		}
	})
}

// A client whose own place in the pool was probed ahead gets that.
func TestProbedAheadOwnPlace(t *testing.T) {
	plain := newServer(t, dhcpsrv.Config{}, office())
	var want []netip.Addr
	for n := range 5 {
		want = append(want, newClient(t, plain, macN(n)).dora())
	}
	serving(t, dhcpsrv.Config{Prober: newLinkHosts()}, office(), func(s *dhcpsrv.Server) {
		time.Sleep(time.Second) // the whole pool of ten is in stock
		for n, w := range want {
			if got := newClient(t, s, macN(n)).dora(); got != w {
				t.Errorf("client %d got %v, unprobed %v", n, got, w)
			}
		}
	})
}

// Idle pools keep a small stock and no more, which is probed again before it becomes old.
func TestIdlePoolsAreLeftAlone(t *testing.T) {
	probers(t, func(t *testing.T, hosts *linkHosts, p dhcpsrv.Prober) {
		serving(t, dhcpsrv.Config{Prober: p}, wide(), func(s *dhcpsrv.Server) {
			time.Sleep(time.Minute)
			if n := hosts.count(); n != 128 {
				t.Errorf("%d addresses of two pools probed in the first minute", n)
			}
			time.Sleep(time.Hour)
			if n := hosts.count(); n > 128*30 {
				t.Errorf("%d probes in an hour", n)
			}
			start := time.Now()
			newClient(t, s, mac1).dora()
			if took := time.Since(start); took > 0 {
				t.Errorf("bound after %v", took)
			}
		})
	})
}

// No address is offered that a host uses which answered the probe, or was heard since, whatever clients,
// hosts and operators do in whatever order.
func TestProbedAheadProtects(t *testing.T) {
	for seed := range uint64(20) {
		for _, batch := range []bool{false, true} {
			hosts := newLinkHosts()
			cfg := dhcpsrv.Config{Prober: hosts, ProbeAhead: time.Duration(1+seed%5) * time.Minute}
			if batch {
				cfg.Prober = batchHosts{hosts}
			}
			rng := rand.New(rand.NewPCG(seed, 25))
			snap := wide()
			snap.Subnets[0].Pools = []dhcpsrv.Pool{{First: ip("10.1.0.0"), Last: ip("10.1.0.63")}, {First: ip("10.1.0.100"), Last: ip("10.1.0.163")}}
			snap.Subnets[1].Pools = []dhcpsrv.Pool{{First: ip("2001:db8:1::1:0"), Last: ip("2001:db8:1::1:7f")}}
			pick := func() netip.Addr {
				if rng.IntN(2) == 0 {
					return netip.AddrFrom4([4]byte{10, 1, 0, byte(rng.IntN(164))})
				}
				return ip(fmt.Sprintf("2001:db8:1::1:%x", rng.IntN(128)))
			}
			for range 20 {
				hosts.set(pick(), true)
			}
			t.Run(fmt.Sprintf("seed %d batch %v", seed, batch), func(t *testing.T) {
				serving(t, cfg, snap, func(s *dhcpsrv.Server) { hostile(t, s, hosts, rng, snap, pick) })
			})
		}
	}
}

func hostile(t *testing.T, s *dhcpsrv.Server, hosts *linkHosts, rng *rand.Rand, snap dhcpsrv.Snapshot, pick func() netip.Addr) {
	held := map[netip.Addr]bool{}
	offered := func(a netip.Addr) {
		if hosts.has(a) {
			t.Errorf("%v is offered, which a host uses", a)
		}
		held[a] = true
	}
	for n := range 400 {
		switch rng.IntN(8) {
		case 0: // a static host appears, and is heard
			if a := pick(); !held[a] {
				hosts.set(a, true)
				s.Heard(a)
			}
		case 1: // or goes
			hosts.set(pick(), false)
		case 2:
			time.Sleep(time.Duration(rng.IntN(int(2 * time.Minute))))
		case 3:
			if err := s.Update(snap); err != nil {
				t.Fatal(err)
			}
		case 4:
			sub := snap.Subnets[rng.IntN(2)]
			if sub.LinkQuota = 1000 + n; s.SetSubnet(sub) != nil {
				t.Fatal("SetSubnet")
			}
		case 5, 6:
			if m, _ := newClient(t, s, macN(rng.IntN(100))).send(dhcpv4.MessageTypeDiscover); m != nil {
				offered(ip(m.YourIPAddr.String()))
			}
		default:
			for _, a := range addrs(newClient6(t, s, macN(rng.IntN(100)).String()).send(dhcpv6.MessageTypeSolicit, ia(1), ia(2))) {
				offered(ip(a))
			}
		}
	}
}

// Thousands of unknown clients that ask at once are all bound after a few probe times, each with an address that was probed
// free, and the stock shrinks again when they have theirs.
func TestStockGrowsWithDemand(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		hosts := newLinkHosts()
		serving(t, dhcpsrv.Config{Prober: batchHosts{hosts}}, wide(), func(s *dhcpsrv.Server) {
			time.Sleep(time.Second)
			start := time.Now()
			var clients sync.WaitGroup
			var mu sync.Mutex
			given := map[netip.Addr]bool{}
			for n := range 4000 {
				clients.Go(func() {
					var a netip.Addr
					if v6 {
						a = ip(addrs(newClient6(t, s, macN(n).String()).bind(ia(1)))[0])
					} else {
						a = newClient(t, s, macN(n)).dora()
					}
					mu.Lock()
					defer mu.Unlock()
					given[a] = true
				})
			}
			clients.Wait()
			if took := time.Since(start); took > 2*probeTime {
				t.Errorf("4,000 clients are bound after %v", took)
			}
			if st := s.Stats(); st.ProbesMissed > 0 || len(given) != 4000 {
				t.Errorf("%d offered unprobed, %d addresses", st.ProbesMissed, len(given))
			}
			for a := range given {
				if hosts.times(a) == 0 {
					t.Errorf("%v was never probed", a)
				}
			}
			time.Sleep(time.Second)
			start = time.Now()
			for n := range 4000 {
				newClient(t, s, macN(10000+n)).send(dhcpv4.MessageTypeDiscover)
			}
			if took := time.Since(start); !v6 && took > probeTime {
				t.Errorf("the next 4,000 take %v", took)
			}
			time.Sleep(time.Hour)
			before := hosts.count()
			time.Sleep(time.Hour)
			if n := hosts.count() - before; n > 128*30 {
				t.Errorf("%d probes in an hour without clients", n)
			}
		})
	}
}

// When all addresses have been leased before, those that were unused for longest are probed ahead.
func TestEndedLeasesAreProbedAhead(t *testing.T) {
	hosts := newLinkHosts()
	snap := office()
	snap.Subnets = append(snap.Subnets, office6().Subnets[0])
	serving(t, dhcpsrv.Config{Prober: hosts}, snap, func(s *dhcpsrv.Server) {
		for n := range 10 {
			newClient(t, s, macN(n)).dora()
		}
		for n := range 8 {
			newClient6(t, s, macN(n).String()).bind(ia(1))
		}
		time.Sleep(time.Hour)
		start := time.Now()
		newClient(t, s, mac1).dora()
		newClient6(t, s, mac1.String()).bind(ia(1))
		if took := time.Since(start); took > 0 {
			t.Errorf("bound after %v", took)
		}
		hosts.mu.Lock()
		for a := range hosts.probed {
			hosts.hosts[a] = true
		}
		hosts.mu.Unlock()
		time.Sleep(time.Hour)
		if m, _ := newClient(t, s, mac2).send(dhcpv4.MessageTypeDiscover); m != nil {
			t.Errorf("offered %v, which a host uses", m.YourIPAddr)
		}
	})
}

// Partners probe ahead only addresses of their own half, and clients get them from either without waiting.
func TestPartnersProbeTheirHalf(t *testing.T) {
	hosts := [2]*linkHosts{newLinkHosts(), newLinkHosts()}
	withDuoOf(t, [2]dhcpsrv.Config{{Prober: batchHosts{hosts[0]}}, {Prober: hosts[1]}}, 40, true, func(d *duo) {
		time.Sleep(time.Minute)
		start := time.Now()
		for n := range byte(4) {
			if !d.lease(int(n)%2, d.client(n)) {
				t.Errorf("client %d gets nothing", n)
			}
		}
		if took := time.Since(start); took > probeTime/3 {
			t.Errorf("four clients are bound after %v", took)
		}
		var bits [2]map[byte]int
		for i, h := range hosts {
			bits[i] = map[byte]int{}
			h.mu.Lock()
			defer h.mu.Unlock()
			for a := range h.probed {
				bits[i][a.AsSlice()[3]&1]++
			}
		}
		if len(bits[0]) != 1 || len(bits[1]) != 1 || (bits[0][0] > 0) == (bits[1][0] > 0) {
			t.Errorf("probed by lowest bit: %v", bits)
		}
	})
}

// A prober that fails fills no stock and is asked rarely; clients are offered addresses as before.
func TestProbeAheadFails(t *testing.T) {
	hosts := newLinkHosts()
	hosts.err = errors.New("no raw sockets")
	serving(t, dhcpsrv.Config{Prober: batchHosts{hosts}}, wide(), func(s *dhcpsrv.Server) {
		time.Sleep(time.Minute)
		hosts.mu.Lock()
		if hosts.calls > 14 {
			t.Errorf("asked %d times in a minute", hosts.calls)
		}
		hosts.mu.Unlock()
		start := time.Now()
		newClient(t, s, mac1).dora()
		if took := time.Since(start); took != probeTime {
			t.Errorf("bound after %v", took)
		}
	})
}

// Where the server gives no addresses nothing is probed, and what was probed does not outlive a step of the clock.
func TestProbeAheadOnlyWhereServing(t *testing.T) {
	hosts := newLinkHosts()
	snap := wide()
	snap.Subnets = snap.Subnets[:1]
	snap.Subnets[0].Mode = dhcpsrv.ModeProxy
	serving(t, dhcpsrv.Config{Prober: batchHosts{hosts}}, snap, func(s *dhcpsrv.Server) {
		time.Sleep(time.Hour)
		if n := hosts.count(); n > 0 {
			t.Errorf("%d probes in proxy mode", n)
		}
		snap.Subnets[0].Mode = dhcpsrv.ModeServe
		if err := s.Update(snap); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := hosts.count(); n != 64 {
			t.Errorf("%d probes after the update", n)
		}
		s.SetClock(24 * time.Hour)
		time.Sleep(3 * time.Second)
		if n := hosts.count(); n != 128 {
			t.Errorf("%d probes after the clock was set", n)
		}
	})
}

// BenchmarkUnknownClients measures exchanges of clients without a lease, with no prober and with one that takes 300 ms, by
// the number of clients at once.
func BenchmarkUnknownClients(b *testing.B) {
	for _, parallel := range []int{1, 64, 4000} {
		for _, name := range []string{"none", "path", "ahead"} {
			b.Run(fmt.Sprintf("%d/%s", parallel, name), func(b *testing.B) {
				cfg := dhcpsrv.Config{}
				switch name {
				case "path":
					cfg.Prober, cfg.ProbeAhead = batchHosts{newLinkHosts()}, -1
				case "ahead":
					cfg.Prober = batchHosts{newLinkHosts()}
				}
				unknownClients(b, cfg, parallel)
			})
		}
	}
}

func unknownClients(b *testing.B, cfg dhcpsrv.Config, parallel int) {
	s := newServer(b, cfg, campus())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Serve(ctx, newPipe()) })
	time.Sleep(time.Second)
	next := make(chan uint32, parallel)
	go func() {
		for i := range uint32(b.N) {
			next <- i
		}
		close(next)
	}()
	b.ResetTimer()
	took := make([]time.Duration, b.N)
	var clients sync.WaitGroup
	for range parallel {
		clients.Go(func() {
			d := newDORA(b)
			for i := range next {
				start := time.Now()
				d.run(b, s, i)
				took[i] = time.Since(start)
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(s.Stats().ProbesMissed), "unprobed")
	cancel()
	running.Wait()
}
