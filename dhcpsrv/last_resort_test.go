package dhcpsrv_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// inUse is a prober that knows which addresses are in use.
type inUse struct {
	mu     sync.Mutex
	addrs  map[netip.Addr]bool
	probes map[netip.Addr]int
}

func (p *inUse) Probe(_ context.Context, _ string, a netip.Addr) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.probes == nil {
		p.probes = map[netip.Addr]int{}
	}
	p.probes[a]++
	return p.addrs[a], nil
}

func (p *inUse) set(a string, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addrs == nil {
		p.addrs = map[netip.Addr]bool{}
	}
	p.addrs[ip(a)] = is
}

func (p *inUse) probesOf(a string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.probes[ip(a)]
}

// small6 is office6 with the first addresses of its pool.
func small6(last string) dhcpsrv.Snapshot {
	snap := office6()
	snap.Subnets[0].Pools[0].Last = ip("2001:db8:1::" + last)
	return snap
}

func (c *client6) decline(addr string) {
	c.t.Helper()
	srv := c.send(dhcpv6.MessageTypeSolicit, ia(1)).Options.ServerID()
	if m := c.send(dhcpv6.MessageTypeDecline, dhcpv6.OptServerID(srv), ia(1, addr)); m == nil {
		c.t.Fatal("the DECLINE is not answered")
	}
}

func mac6(n int) string { return fmt.Sprintf("02:00:00:00:06:%02x", n) }

// A declined address of IPv6 is probed again when nothing else is left, as one of IPv4 is.
func TestDeclinedAddressIsProbedAgain6(t *testing.T) {
	prober := &inUse{}
	prober.set("2001:db8:1::100", true)
	prober.set("2001:db8:1::101", true)
	s := newServer(t, dhcpsrv.Config{Prober: prober}, small6("101"))
	solicit := func(n int) []string {
		// The first message declines both; a later one probes the older of them again.
		return addrs(newClient6(t, s, mac6(n)).send(dhcpv6.MessageTypeSolicit, ia(1)))
	}
	for n := range 3 {
		if got := solicit(n); len(got) > 0 {
			t.Errorf("client %d is offered %v, which answers", n, got)
		}
	}
	prober.set("2001:db8:1::101", false)
	c := newClient6(t, s, mac6(9))
	if got := addrs(c.bind(ia(1))); len(got) != 1 || got[0] != "2001:db8:1::101" {
		t.Errorf("got %v", got)
	}
	if got := solicit(4); len(got) > 0 {
		t.Errorf("offered %v although one is leased and the other answers", got)
	}
	// A REQUEST is not probed, and so gets no declined address.
	srv := c.send(dhcpv6.MessageTypeSolicit, ia(1)).Options.ServerID()
	prober.set("2001:db8:1::100", false)
	if got := addrs(newClient6(t, s, mac6(5)).send(dhcpv6.MessageTypeRequest, dhcpv6.OptServerID(srv), ia(1, "2001:db8:1::100"))); len(got) > 0 {
		t.Errorf("a REQUEST got the declined address %v", got)
	}
	if n := prober.probesOf("2001:db8:1::100"); n == 0 {
		t.Error("never probed")
	}
	// Several associations share the probes of one message, and none gets an address unprobed.
	s = newServer(t, dhcpsrv.Config{Prober: prober}, small6("107"))
	for n := range 8 {
		prober.set(fmt.Sprintf("2001:db8:1::10%d", n), true)
	}
	for n := range 4 {
		// Three addresses are probed for one message. Then it is not answered, rather than with one that was not probed.
		p := newClient6(t, s, mac6(10+n)).packet(dhcpv6.MessageTypeSolicit, ia(1))
		if r, ok := s.Handle6(t.Context(), p); ok && n < 2 {
			t.Errorf("answered %x", r.Data)
		}
	}
	for n := range 8 {
		prober.set(fmt.Sprintf("2001:db8:1::10%d", n), false)
	}
	m := newClient6(t, s, mac6(20)).send(dhcpv6.MessageTypeSolicit, ia(1), ia(2), ia(3), ia(4), ia(5))
	if got := addrs(m); len(got) != 3 {
		t.Errorf("advertised %v to five associations by three probes", got)
	}

	// Without a prober a declined address waits for the end of its time.
	s = newServer(t, dhcpsrv.Config{}, small6("100"))
	c = newClient6(t, s, mac6(1))
	c.decline(addrs(c.bind(ia(1)))[0])
	if got := solicit(2); len(got) > 0 {
		t.Errorf("offered %v unprobed", got)
	}
}

// Clients keep at most a quarter of a pool of IPv6 out of use by declining.
func TestDeclinesAreBounded6(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office6()) // a pool of eight
	var last string
	for n := range 7 {
		c := newClient6(t, s, mac6(n))
		last = addrs(c.bind(ia(1)))[0]
		c.decline(last)
	}
	newClient6(t, s, mac6(9)).bind(ia(1)) // what ended is expired with the next packet
	out, kept := 0, false
	for l := range s.Leases(dhcpsrv.LeaseFilter{State: dhcpsrv.Declined}) {
		out++
		kept = kept || l.Addr == ip(last)
	}
	if out > 2 || !kept {
		t.Errorf("%d of 8 addresses are out of use after 7 declines; the last one is: %v", out, kept)
	}
}

// When no other address of IPv6 is left, the oldest offer that its client did not accept goes to another.
func TestOldestOffer6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, dhcpsrv.Config{}, small6("101"))
		advertised := func(n int) []string {
			return addrs(newClient6(t, s, mac6(n)).send(dhcpv6.MessageTypeSolicit, ia(1)))
		}
		first := advertised(1)
		time.Sleep(time.Second)
		advertised(2)
		if got := advertised(3); len(got) > 0 {
			t.Errorf("%v is offered although its client may still accept it", got)
		}
		time.Sleep(6 * time.Second)
		if got := advertised(3); len(got) != 1 || got[0] != first[0] {
			t.Errorf("offered %v, want the oldest offer %v", got, first)
		}
	})
}

// Where pools belong to classes, old offers and declined addresses of the client's own pools are its last resort as well.
func TestLastResortOfClass(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			prober := &inUse{}
			snap := office()
			snap.Subnets[0].Pools = []dhcpsrv.Pool{
				{First: ip("192.0.2.100"), Last: ip("192.0.2.100"), Class: "blue"}, {First: ip("192.0.2.110"), Last: ip("192.0.2.119")},
			}
			own := "192.0.2.100"
			if v6 {
				snap, own = office6(), "2001:db8:1::100"
				snap.Subnets[0].Pools = []dhcpsrv.Pool{
					{First: ip(own), Last: ip(own), Class: "blue"}, {First: ip("2001:db8:1::200"), Last: ip("2001:db8:1::207")},
				}
			}
			snap.Classes = []dhcpsrv.Class{{Name: "blue", MACPrefix: net.HardwareAddr{2, 0, 0, 0, 6}}}
			s := newServer(t, dhcpsrv.Config{Prober: prober}, snap)
			offered := func(n byte) string {
				mac := net.HardwareAddr{2, 0, 0, 0, 6, n}
				if v6 {
					if got := addrs(newClient6(t, s, mac.String()).send(dhcpv6.MessageTypeSolicit, ia(1))); len(got) > 0 {
						return got[0]
					}
				} else if m, _ := newClient(t, s, mac).send(dhcpv4.MessageTypeDiscover); m != nil {
					return m.YourIPAddr.String()
				}
				return ""
			}
			if got := offered(1); got != own {
				t.Fatalf("offered %s", got)
			}
			if got := offered(2); got != "" {
				t.Errorf("offered %s although its client may still accept it", got)
			}
			time.Sleep(7 * time.Second)
			if got := offered(2); got != own {
				t.Errorf("offered %q, want the old offer", got)
			}
			time.Sleep(time.Minute)
			prober.set(own, true)
			if got := offered(3); got != "" {
				t.Errorf("offered %s, which answers", got)
			}
			prober.set(own, false)
			if got := offered(4); got != own {
				t.Errorf("offered %q, want the declined address, which no longer answers", got)
			}
		})
	}
}
