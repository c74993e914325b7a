package discovery_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

// log collects events. It is safe for concurrent use.
type log struct {
	mu     sync.Mutex
	events []discovery.Event
}

func (l *log) add(e discovery.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *log) all() []discovery.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// watch runs a watch in the bubble until the test ends.
func watch(t *testing.T, cfg discovery.Config) *log {
	l := new(log)
	cfg.Sink = l.add
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- discovery.Watch(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return l
}

func TestWatchExpiresWhatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := discoverytest.NewSegment()
		heard := 0
		l := watch(t, discovery.Config{
			Interfaces: []string{"eth0"}, Open: segment.Open(discovery.Interface{MAC: mac(1)}),
			Heard: func(o discovery.Observation) {
				if heard++; o.Addr.String() != "192.0.2.7" {
					t.Errorf("heard %v", o)
				}
			},
		})
		segment.Send(frame(7, "192.0.2.7", 5))
		segment.Send(frame(7, "192.0.2.7", 5))
		synctest.Wait()
		if heard != 2 {
			t.Errorf("heard %d observations", heard)
		}
		if got := l.all(); len(got) != 1 || got[0].Device.VID != 5 {
			t.Fatalf("got %+v", got)
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if got := l.all(); len(got) != 2 || got[1].Kind != discovery.Expired {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWatchAsksResolversForNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		reverse := discovery.NewReverse(discovery.ReverseConfig{
			Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Rate: 1,
			Exchange: func(_ context.Context, m *dns.Msg, _ netip.AddrPort) (*dns.Msg, error) {
				asked = append(asked, time.Now().Format("05"))
				answer := new(dns.Msg).SetReply(m)
				if m.Question[0].Name == "7.2.0.192.in-addr.arpa." {
					rr, _ := dns.NewRR("7.2.0.192.in-addr.arpa. 60 IN PTR printer.example.")
					answer.Answer = []dns.RR{rr}
				} else {
					answer.Rcode = dns.RcodeNameError
				}
				return answer, nil
			},
		})
		segment := discoverytest.NewSegment()
		l := watch(t, discovery.Config{Interfaces: []string{"eth0"}, Open: segment.Open(discovery.Interface{MAC: mac(1)}), Reverse: reverse})
		for i, addr := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.7", "169.254.1.1"} {
			segment.Send(frame(byte(10+i%2), addr, 0))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		var named []discovery.Name
		for _, e := range l.all() {
			if e.Device.Hostname() == "printer" {
				named = e.Device.Names
			}
		}
		if len(asked) != 2 || asked[0] == asked[1] || len(named) == 0 || named[0].Origin != discovery.ReverseDNS {
			t.Errorf("asked at %v, named %+v", asked, named)
		}
	})
}

func TestBeaconsTellWhichInterfacesShareALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := discoverytest.NewSegment()
		config := func(rack string, n byte, key string) discovery.Config {
			return discovery.Config{Interfaces: []string{"eth" + rack}, Open: segment.Open(discovery.Interface{MAC: mac(n)}), Rack: rack, Key: discovery.BeaconKey(key)}
		}
		one := watch(t, config("1", 1, "secret"))
		strange := new(discovery.Counters)
		other := config("3", 3, "another")
		other.Counters = strange
		three := watch(t, other)
		two := watch(t, config("2", 2, "secret"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, c := range []struct {
			l    *log
			want string
		}{{one, "2"}, {two, "1"}} {
			got := c.l.all()
			if len(got) != 1 || got[0].Device.Beacon == nil || got[0].Device.Beacon.Rack != c.want || got[0].Device.Beacon.Interface != "eth"+c.want {
				t.Errorf("got %+v", got)
			}
		}
		if got := three.all(); len(got) != 0 || strange.Strangers.Load() == 0 {
			t.Errorf("got %+v and %d strangers", got, strange.Strangers.Load())
		}
	})
}

func TestSweepFindsWhoAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := discoverytest.NewSegment()
		for n := range byte(200) {
			segment.Host(mac(n+10), netip.AddrFrom4([4]byte{192, 0, 2, n + 20}))
		}
		segment.Host(mac(230), netip.MustParseAddr("198.51.100.7")) // outside
		eyes := segment.Port(discovery.Interface{})
		defer eyes.Close()
		conn := segment.Port(discovery.Interface{Name: "eth0", MAC: mac(1), Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}})
		found := 0
		began := time.Now()
		got, err := discovery.Sweep(t.Context(), discovery.SweepConfig{
			Conn: conn, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Rate: discovery.FastRate,
			Sink: func(s discovery.Observation) { found++ },
		})
		if err != nil || got.Found != 200 || found != 200 || got.Done != got.Total || got.Total != 2*253 {
			t.Errorf("%d found, %+v, %v", found, got, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestSweepOfIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := discoverytest.NewSegment()
		segment.Host(mac(7), netip.MustParseAddr("2001:db8::17"))
		conn := segment.Port(discovery.Interface{Name: "eth0", MAC: mac(1), Addrs: []netip.Prefix{netip.MustParsePrefix("2001:db8::1/120")}})
		got, err := discovery.Sweep(t.Context(), discovery.SweepConfig{Conn: conn, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/120")}, Rate: 100})
		if err != nil || got.Found != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestSweepStaysInside(t *testing.T) {
	link := discovery.Interface{Name: "eth0", MAC: mac(1), Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
	for _, prefix := range []string{"198.51.100.0/24", "192.0.0.0/16"} {
		conn := discoverytest.NewSegment().Port(link)
		_, err := discovery.Sweep(t.Context(), discovery.SweepConfig{Conn: conn, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}})
		if err == nil {
			t.Errorf("%s was swept", prefix)
		}
	}
}

func TestSweepIsSlowAndCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := discoverytest.NewSegment().Port(discovery.Interface{Name: "eth0", MAC: mac(1), Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got, err := discovery.Sweep(ctx, discovery.SweepConfig{Conn: conn, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		if !errors.Is(err, context.DeadlineExceeded) || got.Done < 99 || got.Done > 101 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestALostInterfaceComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := discoverytest.NewSegment()
		var opened []discovery.Conn
		l := watch(t, discovery.Config{Interfaces: []string{"eth0"}, Open: func(name string) (discovery.Conn, error) {
			if len(opened) == 1 && time.Now().Second() < 12 {
				return nil, net.ErrClosed
			}
			opened = append(opened, segment.Port(discovery.Interface{Name: name}))
			return opened[len(opened)-1], nil
		}})
		opened[0].Close()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		segment.Send(frame(7, "192.0.2.7", 0))
		synctest.Wait()
		if len(opened) != 2 || len(l.all()) != 1 {
			t.Errorf("opened %d times, %d events", len(opened), len(l.all()))
		}
	})
}

func TestWatchNeedsASink(t *testing.T) {
	if err := discovery.Watch(t.Context(), discovery.Config{}); err == nil {
		t.Error("no error")
	}
}
