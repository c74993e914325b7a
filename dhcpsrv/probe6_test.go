package dhcpsrv_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// TestProbe6: of two addresses that a client is about to be offered the first is in use. It goes among the declined ones, and the
// client hears of another; what it says meanwhile costs no probe.
func TestProbe6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, conflicts []netip.Addr
		cfg := dhcpsrv.Config{
			Prober: dhcpsrv.ProberFunc(func(_ context.Context, link string, a netip.Addr) (bool, error) {
				if link != "eth0" {
					t.Errorf("link %q", link)
				}
				asked = append(asked, a)
				time.Sleep(200 * time.Millisecond)
				return len(asked) == 1, nil
			}),
			Events: func(ev dhcpsrv.Event) {
				if ev.Kind == dhcpsrv.Conflict {
					conflicts = append(conflicts, ev.Lease.Addr)
				}
			},
		}
		s := newServer(t, cfg, office6())
		c := newClient6(t, s, "02:00:00:00:00:01")
		p := c.packet(dhcpv6.MessageTypeSolicit, ia(1))
		if x := s.Explain6(t.Context(), p); !x.Probe {
			t.Error("the explanation tells of no probe")
		}
		go func() {
			time.Sleep(100 * time.Millisecond)
			if _, ok := s.Handle6(context.Background(), p); ok || s.Stats().Reasons["probing"] != 1 {
				t.Errorf("answered during the probe: %+v", s.Stats())
			}
		}()
		adv := c.send(dhcpv6.MessageTypeSolicit, ia(1))
		time.Sleep(time.Second)
		if len(asked) != 2 || len(conflicts) != 1 || conflicts[0] != asked[0] || slices.Contains(addrs(adv), asked[0].String()) {
			t.Fatalf("advertised %v, probed %v, conflicts %v", addrs(adv), asked, conflicts)
		}
		c.bind(ia(1))
		if c.send(dhcpv6.MessageTypeSolicit, ia(1)); len(asked) != 2 {
			t.Errorf("probed %v: an address the client holds needs no probe", asked)
		}
		if n := len(slices.Collect(s.Leases())); n != 2 {
			t.Errorf("%d leases and declined addresses", n)
		}
	})
}
