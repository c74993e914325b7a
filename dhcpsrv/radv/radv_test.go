package radv_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv/radv"
)

// icmpLink is a link in memory.
type icmpLink struct {
	start  time.Time
	in     chan netip.Addr // solicitations, by sender
	others chan message6   // advertisements of other routers
	sent   chan advertised
	closed chan struct{}
}

// message6 is an advertisement of another router.
type message6 struct {
	src     netip.Addr
	seconds uint16
}

type advertised struct {
	at   time.Duration
	link string
	dst  string
	data []byte
}

func newICMPLink() *icmpLink {
	return &icmpLink{start: time.Now(), in: make(chan netip.Addr), others: make(chan message6), sent: make(chan advertised, 1000), closed: make(chan struct{})}
}

func (l *icmpLink) ReadICMP(b []byte) (int, string, netip.Addr, error) {
	select {
	case src := <-l.in:
		return copy(b, []byte{133, 0, 0, 0, 0, 0, 0, 0}), "eth0", src, nil
	case m := <-l.others:
		return copy(b, []byte{134, 0, 0, 0, 64, 0, byte(m.seconds >> 8), byte(m.seconds), 0, 0, 0, 0, 0, 0, 0, 0}), "eth0", m.src, nil
	case <-l.closed:
		return 0, "", netip.Addr{}, net.ErrClosed
	}
}

func (l *icmpLink) WriteICMP(b []byte, link string, dst netip.Addr) error {
	l.sent <- advertised{time.Since(l.start), link, dst.String(), b}
	return nil
}

func (l *icmpLink) Close() error {
	close(l.closed) // panics when closed twice
	return nil
}

// take returns what was sent until now.
func (l *icmpLink) take() (out []advertised) {
	synctest.Wait()
	for len(l.sent) > 0 {
		out = append(out, <-l.sent)
	}
	return out
}

func serve(t *testing.T, ads ...radv.Advertisement) (*radv.Server, *icmpLink, func()) {
	s, l := newServer(t, ads...), newICMPLink()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	return s, l, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

func newServer(t *testing.T, ads ...radv.Advertisement) *radv.Server {
	t.Helper()
	s, err := radv.New(radv.Config{})
	if err == nil {
		err = s.Update(ads)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func routed() radv.Advertisement {
	return radv.Advertisement{
		Link: "eth0", Managed: true, RouterLifetime: 30 * time.Minute, MTU: 1400, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:0:1::/64")},
	}
}

func TestAdvertiseMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, stop := serve(t, routed())
		sent := l.take()
		want := "\x86\x00\x00\x00\x40\xc0\x07\x08" + strings.Repeat("\x00", 8) + "\x05\x01\x00\x00\x00\x00\x05\x78" +
			"\x03\x04\x40\x80\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x20\x01\x0d\xb8\x00\x00\x00\x01" + strings.Repeat("\x00", 8)
		if len(sent) != 1 {
			t.Fatalf("%d advertisements at the start", len(sent))
		}
		if diff := cmp.Diff([]byte(want), sent[0].data); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		stop()
		if last := l.take(); len(last) != 1 || last[0].data[6] != 0 || last[0].data[7] != 0 {
			t.Errorf("default route not taken back: %v", last)
		}
	})
}

func TestAdvertiseNoRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, stop := serve(t, radv.Advertisement{Link: "eth0"})
		sent := l.take()
		if want := "\x86\x00\x00\x00\x40" + strings.Repeat("\x00", 11); len(sent) != 1 || string(sent[0].data) != want {
			t.Errorf("sent %v, want %x", sent, want)
		}
		stop()
		if last := l.take(); len(last) != 0 {
			t.Errorf("there was nothing to take back: %v", last)
		}
	})
}

// Three at short intervals, then one in 150 to 200 s.
func TestAdvertisePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, stop := serve(t, routed())
		defer stop()
		time.Sleep(time.Hour)
		sent := l.take()
		if len(sent) < 18 || len(sent) > 27 {
			t.Fatalf("%d advertisements in an hour", len(sent))
		}
		for i, a := range sent[1:] {
			gap := a.at - sent[i].at
			low, high := 150*time.Second, 201*time.Second
			if i < 2 {
				low, high = 0, 17*time.Second
			}
			if gap < low || gap > high || a.dst != "ff02::1" || a.link != "eth0" {
				t.Errorf("advertisement %d to %s on %s after %v", i+1, a.dst, a.link, gap)
			}
		}
	})
}

func TestAdvertiseAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l, stop := serve(t, routed())
		defer stop()
		time.Sleep(time.Minute)
		l.take()
		l.in <- netip.MustParseAddr("fe80::7")
		time.Sleep(time.Second)
		if sent := l.take(); len(sent) != 1 || sent[0].dst != "fe80::7" {
			t.Errorf("answered %v", sent)
		}
		for range 1000 { // a flood from nowhere gets one answer each 3 s
			l.in <- netip.IPv6Unspecified()
			time.Sleep(10 * time.Millisecond)
		}
		if sent := l.take(); len(sent) < 3 || len(sent) > 5 || sent[0].dst != "ff02::1" {
			t.Errorf("answered %d times", len(sent))
		}
	})
}

func TestAdvertiseFollowsUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l, stop := serve(t)
		defer stop()
		time.Sleep(time.Hour)
		l.in <- netip.MustParseAddr("fe80::7")
		if sent := l.take(); len(sent) != 0 {
			t.Errorf("off, but sent %v", sent)
		}
		if err := s.Update([]radv.Advertisement{routed()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond)
		if sent := l.take(); len(sent) != 1 {
			t.Errorf("after the update: %v", sent)
		}
		for range 10 { // the same again is no news
			s.Update([]radv.Advertisement{routed()})
			time.Sleep(2 * time.Second)
		}
		if sent := l.take(); len(sent) > 2 {
			t.Errorf("after updates without change: %d", len(sent))
		}
		if err := s.Update(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if sent := l.take(); len(sent) != 1 || sent[0].data[6] != 0 {
			t.Errorf("after the end: %v", sent)
		}
	})
}

func TestAdvertiseRefused(t *testing.T) {
	for want, a := range map[string]radv.Advertisement{
		"names no link":   {},
		"interval":        {Link: "eth0", Interval: time.Second},
		"router lifetime": {Link: "eth0", RouterLifetime: time.Second},
		"MTU":             {Link: "eth0", MTU: 576},
		"prefix":          {Link: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
	} {
		err := newServer(t).Update([]radv.Advertisement{a})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v does not name the %s", a, err, want)
		}
	}
}

// An advertisement that yields waits for the answers of routers, is withheld while one exists, and returns when the last one has
// ended or withdrawn itself. Another rack, which is no router either, changes nothing.
func TestAdvertiseYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		yielding := radv.Advertisement{Link: "eth0", Yield: true}
		_, l, stop := serve(t, yielding)
		defer stop()
		one, two := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::2")
		if sent := l.take(); len(sent) != 1 || sent[0].dst != "ff02::2" || sent[0].data[0] != 133 {
			t.Errorf("asked for routers by %v", sent)
		}
		l.in <- netip.MustParseAddr("fe80::7")
		time.Sleep(1400 * time.Millisecond)
		if sent := l.take(); len(sent) != 0 {
			t.Errorf("did not listen first: %v", sent)
		}
		l.others <- message6{one, 0} // another rack
		time.Sleep(time.Second)
		if sent := l.take(); len(sent) != 2 {
			t.Errorf("without a router: %v", sent)
		}
		l.others <- message6{one, 1800}
		l.others <- message6{two, 3600}
		time.Sleep(30 * time.Minute)
		l.in <- netip.MustParseAddr("fe80::7")
		time.Sleep(20 * time.Minute)
		if sent := l.take(); len(sent) != 0 {
			t.Errorf("beside a router: %v", sent)
		}
		time.Sleep(11 * time.Minute)
		if sent := l.take(); len(sent) == 0 {
			t.Error("the last router ended, but nothing was sent")
		}
		l.others <- message6{one, 1800}
		l.others <- message6{netip.MustParseAddr("2001:db8::1"), 0} // not of a link-local address
		time.Sleep(time.Minute)
		l.take()
		l.others <- message6{one, 0}
		time.Sleep(4 * time.Second)
		if sent := l.take(); len(sent) != 1 {
			t.Errorf("after the router withdrew: %v", sent)
		}
	})
}
