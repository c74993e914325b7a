package discovery_test

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

// expired returns the addresses of what counts as gone, and when.
func (l *log) expired(since time.Time) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, e := range l.all() {
		if e.Kind == discovery.Expired {
			out[e.Device.Addr.String()] = time.Since(since)
		}
	}
	return out
}

// asked are networks whose devices are asked.
var asked = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// A silent device that answers is not gone; one that does not answer is, at its time. Devices of
// other networks are not asked.
func TestConfirm(t *testing.T) {
	for _, networks := range [][]netip.Prefix{nil, {netip.MustParsePrefix("203.0.113.0/24")}, asked} {
		confirm := slices.Equal(networks, asked)
		synctest.Test(t, func(t *testing.T) {
			segment := discoverytest.NewSegment()
			link := discovery.Interface{MAC: mac(1), Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}}
			l := watch(t, discovery.Config{Interfaces: []string{"eth0"}, Open: segment.Open(link), Confirm: networks})
			stays, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
			segment.Host(mac(7), stays)
			segment.Host(mac(9), six)
			segment.Host(mac(10), netip.MustParseAddr("198.51.100.7"))
			segment.Send(frame(7, "192.0.2.7", 0))
			segment.Send(discoverytest.Advertisement(mac(9), six, mac(1), netip.MustParseAddr("2001:db8::1")))
			segment.Send(frame(8, "192.0.2.8", 0))
			segment.Send(frame(10, "198.51.100.7", 0))
			segment.Send(frame(11, "192.0.2.11", 5)) // tagged
			questions := 0
			port := segment.Port(discovery.Interface{MAC: mac(66)})
			go func() {
				for port.Receive(func(f []byte, _ uint16) {
					if [6]byte(f[6:]) == mac(1) {
						questions++
					}
				}) == nil {
				}
			}()
			defer port.Close()
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			got := l.expired(time.Now())
			want := 5
			if confirm {
				want = 3
			}
			_, gone := got["192.0.2.7"]
			_, gone6 := got["2001:db8::7"]
			if len(got) != want || gone == confirm || gone6 == confirm {
				t.Errorf("confirm %t: gone are %v", confirm, got)
			}
			// In a day: 3 for the one that is gone, and a round each four hours for each that stays.
			if confirm && (questions < 3+2*5 || questions > 3+2*7) || !confirm && questions != 0 {
				t.Errorf("confirm %t: %d questions", confirm, questions)
			}
		})
	}
}

// A machine that was switched off is gone at the end of its time, not later.
func TestConfirmEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := discoverytest.NewSegment()
		link := discovery.Interface{MAC: mac(1), Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
		l := watch(t, discovery.Config{Interfaces: []string{"eth0"}, Open: segment.Open(link), Confirm: asked})
		host := segment.Host(mac(7), netip.MustParseAddr("192.0.2.7"))
		segment.Send(frame(7, "192.0.2.7", 0))
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if got := l.expired(time.Now()); len(got) != 0 {
			t.Errorf("gone are %v", got)
		}
		host.Close()
		time.Sleep(4*time.Hour + time.Minute)
		synctest.Wait()
		if got := l.expired(time.Now()); len(got) != 1 {
			t.Errorf("gone are %v", got)
		}
	})
}

// More devices than can be asked at once are all asked.
func TestConfirmMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := discoverytest.NewSegment()
		link := discovery.Interface{MAC: mac(1), Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/16")}}
		table := discovery.NewTable(discovery.TableConfig{Reports: 10_000})
		watch(t, discovery.Config{Interfaces: []string{"eth0"}, Open: segment.Open(link), Confirm: asked, Table: table})
		const n = 2000
		for i := range n {
			m, a := discovery.MAC{2, 1, 0, 0, byte(i >> 8), byte(i)}, netip.AddrFrom4([4]byte{10, 0, byte(i>>8) + 1, byte(i)})
			table.See("eth0", discovery.Observation{Source: discovery.ARP, MAC: m, Addr: a, Own: true}, time.Now())
		}
		asked := map[netip.Addr]int{}
		port := segment.Port(discovery.Interface{MAC: mac(66)})
		go func() {
			for port.Receive(func(f []byte, _ uint16) { asked[netip.AddrFrom4([4]byte(f[38:42]))]++ }) == nil {
			}
		}()
		defer port.Close()
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if len(asked) != n && port.Drops() == 0 {
			t.Errorf("%d of %d devices were asked", len(asked), n)
		}
		if left := len(table.Devices(time.Now())); left != 0 {
			t.Errorf("%d devices are left, none of which answers", left)
		}
	})
}
