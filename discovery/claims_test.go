package discovery_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

// A claim is an answer for an address, with the last octets of MAC and address.
type claim struct {
	at      time.Duration
	mac, ip byte
	own     bool // the device spoke by itself
	ip6     bool
}

func (c claim) observation() discovery.Observation {
	o := observation(c.mac, "192.0.2."+itoa(int(c.ip)))
	if c.ip6 {
		o.Addr, o.Source = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", c.ip)), discovery.NDP
	}
	o.Own = c.own
	return o
}

// sweepOf returns the answers to a sweep of a /24 by a router that answers for all addresses, and by hosts.
func sweepOf(router byte, every time.Duration, hosts ...byte) (all []claim) {
	for i := byte(1); i < 255; i++ {
		at := time.Duration(i) * every
		if slices.Contains(hosts, i) {
			all = append(all, claim{at: at, mac: i, ip: i})
		}
		all = append(all, claim{at: at, mac: router, ip: i})
	}
	return all
}

// watchClaims feeds a table as [discovery.Watch] does, and returns its events by kind and what it has
// at last.
func watchClaims(claims []claim, until time.Duration) (events map[discovery.Kind][]discovery.Event, devices []string) {
	table := discovery.NewTable(discovery.TableConfig{})
	events = map[discovery.Kind][]discovery.Event{}
	now := time.Duration(0)
	tick := func(to time.Duration) {
		for ; now <= to; now += 500 * time.Millisecond {
			for _, e := range table.Tick(start.Add(now)) {
				events[e.Kind] = append(events[e.Kind], e)
			}
		}
	}
	for _, c := range claims {
		tick(c.at)
		if e, ok := table.See("eth0", c.observation(), start.Add(c.at)); ok {
			events[e.Kind] = append(events[e.Kind], e)
		}
	}
	tick(until)
	for _, d := range table.Devices(start.Add(until)) {
		devices = append(devices, fmt.Sprintf("%s %d", d.Addr, d.MAC[5]))
	}
	return events, devices
}

// A router answers for all addresses: it is reported once, and what it answered for is no device. Hosts
// beside it are.
func TestProxyARP(t *testing.T) {
	early := []claim{{at: 0, mac: 200, ip: 1, own: true}, {at: 0, mac: 10, ip: 10}, {at: 0, mac: 77, ip: 77}}
	shift := func(by time.Duration, claims []claim) (out []claim) {
		for _, c := range claims {
			c.at += by
			out = append(out, c)
		}
		return out
	}
	for name, c := range map[string]struct {
		claims []claim
		router string // address, "invalid IP" if not known
		want   []string
	}{
		"a fast sweep":                {sweepOf(200, time.Millisecond, 10, 20, 250), "invalid IP", []string{"192.0.2.10 10", "192.0.2.20 20", "192.0.2.250 250"}},
		"a slow sweep":                {sweepOf(200, 100*time.Millisecond, 10, 20, 250), "invalid IP", []string{"192.0.2.10 10", "192.0.2.20 20", "192.0.2.250 250"}},
		"hosts among the first":       {sweepOf(200, time.Millisecond, 1, 2, 3), "invalid IP", []string{"192.0.2.1 1", "192.0.2.2 2", "192.0.2.3 3"}},
		"router known from before":    {slices.Concat(early, shift(time.Minute, sweepOf(200, time.Millisecond))), "192.0.2.1", []string{"192.0.2.1 200", "192.0.2.10 10", "192.0.2.77 77"}},
		"two sweeps":                  {slices.Concat(early, shift(time.Minute, sweepOf(200, time.Millisecond)), shift(10*time.Minute, sweepOf(200, time.Millisecond, 30))), "192.0.2.1", []string{"192.0.2.1 200", "192.0.2.10 10", "192.0.2.30 30", "192.0.2.77 77"}},
		"router that speaks later":    {append(sweepOf(200, time.Millisecond), claim{at: time.Minute, mac: 200, ip: 1, own: true}), "invalid IP", []string{"192.0.2.1 200"}},
		"an answer every ten seconds": {sweepOf(200, 10*time.Second, 99), "invalid IP", []string{"192.0.2.99 99"}},
	} {
		t.Run(name, func(t *testing.T) {
			events, devices := watchClaims(c.claims, c.claims[len(c.claims)-1].at+10*time.Second)
			if diff := cmp.Diff(c.want, devices); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			proxies := events[discovery.ProxyARP]
			if len(proxies) != 1 || proxies[0].Device.MAC != mac(200) || proxies[0].Device.Addr.String() != c.router || proxies[0].Device.Interface != "eth0" {
				t.Errorf("reported %+v", proxies)
			}
			if n := len(events[discovery.Conflict]); n > 0 {
				t.Errorf("%d conflicts: %+v", n, events[discovery.Conflict])
			}
			// What was reported before is taken back.
			open := map[netip.Addr]int{}
			for _, e := range append(events[discovery.New], events[discovery.Moved]...) {
				if e.Device.MAC == mac(200) && e.Device.Addr.String() != "192.0.2.1" {
					open[e.Device.Addr]++
				}
			}
			for _, e := range events[discovery.Expired] {
				delete(open, e.Device.Addr)
			}
			if len(open) > 0 {
				t.Errorf("still reported: %v", open)
			}
			if name != "an answer every ten seconds" && len(events[discovery.New]) > len(c.want)+3 {
				t.Errorf("%d devices reported", len(events[discovery.New]))
			}
		})
	}
}

// Hosts with more addresses than one are no proxies, and all of their addresses are devices.
func TestManyAddressesAreNoProxy(t *testing.T) {
	many := func(n int, own bool, ip6 bool) (all []claim) {
		for i := range n {
			all = append(all, claim{at: time.Duration(i) * time.Millisecond, mac: 7, ip: byte(i + 1), own: own, ip6: ip6})
		}
		return all
	}
	for name, c := range map[string]struct {
		claims []claim
		atOnce int // reported before a wait
	}{
		"one":                       {many(1, false, false), 1},
		"three":                     {many(3, false, false), 3},
		"eight virtual ones":        {many(8, false, false), 3},
		"fifteen":                   {many(15, false, false), 3},
		"two hundred, announced":    {many(200, true, false), 200},
		"of both families":          {append(many(3, false, false), many(3, false, true)...), 6},
		"eight of IPv6":             {many(8, false, true), 3},
		"announced after the claim": {append(many(8, false, false), many(8, true, false)...), 8},
	} {
		t.Run(name, func(t *testing.T) {
			last := c.claims[len(c.claims)-1].at
			slices.SortStableFunc(c.claims, func(a, b claim) int { return int(a.at - b.at) })
			events, _ := watchClaims(c.claims, last)
			if n := len(events[discovery.New]); n != c.atOnce {
				t.Errorf("%d reported at once, want %d", n, c.atOnce)
			}
			events, devices := watchClaims(c.claims, 10*time.Second)
			addrs := map[netip.Addr]bool{}
			for _, cl := range c.claims {
				addrs[cl.observation().Addr] = true
			}
			if len(devices) != len(addrs) || len(events[discovery.New]) != len(addrs) || len(events[discovery.ProxyARP]) > 0 || len(events[discovery.Expired]) > 0 {
				t.Errorf("%d of %d devices; %d new, %v", len(devices), len(addrs), len(events[discovery.New]), events[discovery.ProxyARP])
			}
		})
	}
}

// A router whose proxy ARP is switched off is believed again after a while, and reported again if it
// is switched on.
func TestProxyARPEnds(t *testing.T) {
	claims := sweepOf(200, time.Millisecond)
	for _, c := range sweepOf(200, time.Millisecond) {
		c.at += 5 * time.Hour
		claims = append(claims, c)
	}
	events, _ := watchClaims(claims, 5*time.Hour+time.Minute)
	if n := len(events[discovery.ProxyARP]); n != 2 {
		t.Errorf("reported %d times, want 2", n)
	}
	events, devices := watchClaims(append(sweepOf(200, time.Millisecond), claim{at: 5 * time.Hour, mac: 200, ip: 9}), 5*time.Hour+time.Minute)
	if len(events[discovery.ProxyARP]) != 1 || !slices.Equal(devices, []string{"192.0.2.9 200"}) {
		t.Errorf("%v, %v", events[discovery.ProxyARP], devices)
	}
}

// Only an answer about an address that the packet is not from may be a proxy's.
func TestPacketsOfOneself(t *testing.T) {
	router, host := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.7")
	for name, c := range map[string]struct {
		sender, target netip.Addr
		reply, own     bool
	}{
		"question":              {sender: host, target: router, own: true},
		"announcement":          {sender: host, target: host, own: true},
		"announcement as reply": {sender: host, target: host, reply: true, own: true},
		"answer":                {sender: host, target: router, reply: true},
	} {
		f, err := discovery.ParseFrame(discoverytest.ARP(mac(7), c.sender, mac(1), c.target, c.reply), 0)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := discovery.DecodeARP(f); err != nil || o.Own != c.own {
			t.Errorf("ARP %s: %+v, %v", name, o, err)
		}
	}
	target := netip.MustParseAddr("2001:db8::7")
	for name, c := range map[string]struct {
		source  string
		message ndp.Message
		own     bool
	}{
		"solicitation":          {"2001:db8::7", &ndp.NeighborSolicitation{TargetAddress: netip.MustParseAddr("2001:db8::1")}, true},
		"tentative":             {"::", &ndp.NeighborSolicitation{TargetAddress: target}, true},
		"router solicitation":   {"fe80::7", &ndp.RouterSolicitation{}, true},
		"advertisement":         {"2001:db8::7", &ndp.NeighborAdvertisement{TargetAddress: target}, true},
		"advertisement of else": {"fe80::7", &ndp.NeighborAdvertisement{TargetAddress: target}, false},
	} {
		if o, err := discovery.DecodeNDP(icmp6(t, 7, c.source, 255, message(t, c.message))); err != nil || o.Own != c.own {
			t.Errorf("NDP %s: %+v, %v", name, o, err)
		}
	}
}

// A virtual address moves to a device that has more of them already: one move, at once when the
// device announces it.
func TestVirtualAddressMovesToABusyDevice(t *testing.T) {
	var claims []claim
	for i := range byte(8) { // two devices with eight addresses each
		claims = append(claims, claim{mac: 1, ip: 10 + i, own: true}, claim{mac: 2, ip: 20 + i, own: true})
	}
	for i := range byte(8) {
		claims = append(claims, claim{at: time.Minute, mac: 2, ip: 10 + i, own: true}, claim{at: time.Minute + time.Second, mac: 2, ip: 10 + i, own: true})
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return int(a.at - b.at) })
	events, devices := watchClaims(claims, 2*time.Minute)
	if len(events[discovery.Moved]) != 8 || len(events[discovery.Conflict]) != 0 || len(events[discovery.ProxyARP]) != 0 || len(devices) != 24 {
		t.Errorf("%d moved, %d in conflict, %v, %d devices", len(events[discovery.Moved]), len(events[discovery.Conflict]), events[discovery.ProxyARP], len(devices))
	}
}
