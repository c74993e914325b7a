package dhcpsrv_test

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/gomaas/maas/dhcpsrv"
)

// branches is office6 whose routers get prefixes of two lengths.
func branches() dhcpsrv.Snapshot {
	snap := office6()
	snap.Subnets[0].Delegate = []dhcpsrv.PrefixPool{
		{Prefix: netip.MustParsePrefix("2001:db8:f000::/48"), Length: 60}, {Prefix: netip.MustParsePrefix("2001:db8:e000::/48"), Length: 56},
	}
	return snap
}

// pd is an association for prefixes; a prefix of :: asks for any of a length.
func pd(id byte, prefixes ...string) dhcpv6.Option {
	o := &dhcpv6.OptIAPD{IaId: [4]byte{3: id}}
	for _, p := range prefixes {
		_, n, err := net.ParseCIDR(p)
		if err != nil {
			panic(err)
		}
		o.Options.Add(&dhcpv6.OptIAPrefix{Prefix: n})
	}
	return o
}

// delegations returns the prefixes of a reply with a lifetime, and the statuses of its associations.
func delegations(m *dhcpv6.Message) (prefixes []string, statuses []iana.StatusCode) {
	for _, ia := range m.Options.IAPD() {
		for _, p := range ia.Options.Prefixes() {
			if p.ValidLifetime > 0 {
				prefixes = append(prefixes, p.Prefix.String())
			}
		}
		if s := ia.Options.Status(); s != nil {
			statuses = append(statuses, s.StatusCode)
		}
	}
	return prefixes, statuses
}

// delegated gets prefixes in four messages.
func (c *client6) delegated(ias ...dhcpv6.Option) []string {
	c.t.Helper()
	adv := c.send(dhcpv6.MessageTypeSolicit, ias...)
	if adv == nil {
		c.t.Fatal("no ADVERTISE")
	}
	offered, _ := delegations(adv)
	opts := []dhcpv6.Option{dhcpv6.OptServerID(adv.Options.ServerID())}
	for _, ia := range adv.Options.IAPD() {
		opts = append(opts, ia)
	}
	got, _ := delegations(c.send(dhcpv6.MessageTypeRequest, opts...))
	if diff := cmp.Diff(offered, got); diff != "" {
		c.t.Errorf("advertised and given (-+):\n%s", diff)
	}
	return got
}

func TestPrefixDelegation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "leases")
		store := openJournal(t, path)
		s := newServer(t, dhcpsrv.Config{Store: store}, branches())
		c := newClient6(t, s, "02:00:00:00:00:01")
		got := c.delegated(pd(1))
		if len(got) != 1 || !strings.HasSuffix(got[0], "/60") {
			t.Fatalf("got %v", got)
		}
		srv := c.send(dhcpv6.MessageTypeSolicit, pd(1)).Options.ServerID()
		first := netip.MustParsePrefix(got[0])
		l, ok := s.Lookup(first.Addr().Next())
		if !ok || l.Bits != 60 || l.Subnet != "office6" || len(l.DUID) == 0 || l.IAID != 1 {
			t.Errorf("lease %+v, %v", l, ok)
		}
		if n := len(slices.Collect(s.Leases(dhcpsrv.LeaseFilter{Prefix: netip.MustParsePrefix("2001:db8:f000::/48")}))); n != 1 {
			t.Errorf("%d leases in the pool", n)
		}
		// An address and a prefix with the same number are two things.
		both := c.send(dhcpv6.MessageTypeSolicit, ia(1), pd(1))
		if p, _ := delegations(both); len(addrs(both)) != 1 || !slices.Equal(p, got) {
			t.Errorf("advertised %v and %v", addrs(both), p)
		}
		// The lease lasts 10 minutes, is renewed, and survives a restart.
		time.Sleep(8 * time.Minute)
		if p, _ := delegations(c.send(dhcpv6.MessageTypeRenew, dhcpv6.OptServerID(srv), pd(1, got[0]))); !slices.Equal(p, got) {
			t.Errorf("renewed %v", p)
		}
		time.Sleep(5 * time.Minute)
		store.Close()
		s = newServer(t, dhcpsrv.Config{Store: openJournal(t, path)}, branches())
		c.s = s
		if l, ok := s.Lookup(first.Addr()); !ok || l.Bits != 60 {
			t.Errorf("after a restart %+v, %v", l, ok)
		}
		if p, _ := delegations(c.send(dhcpv6.MessageTypeRebind, pd(1, got[0]))); !slices.Equal(p, got) {
			t.Errorf("rebound %v", p)
		}
		// Another client cannot release it, its own can, and gets the same one again.
		other := newClient6(t, s, "02:00:00:00:00:02")
		if _, st := delegations(other.send(dhcpv6.MessageTypeRelease, dhcpv6.OptServerID(srv), pd(1, got[0]))); !slices.Equal(st, []iana.StatusCode{iana.StatusNoBinding}) {
			t.Errorf("status %v", st)
		}
		if p := other.delegated(pd(1)); len(p) != 1 || p[0] == got[0] {
			t.Errorf("another client got %v", p)
		}
		c.send(dhcpv6.MessageTypeRelease, dhcpv6.OptServerID(srv), pd(1, got[0]))
		if _, ok := s.Lookup(first.Addr()); ok {
			t.Error("not released")
		}
		if p := c.delegated(pd(1)); !slices.Equal(p, got) {
			t.Errorf("after the release %v", p)
		}
		if _, st := delegations(c.send(dhcpv6.MessageTypeDecline, dhcpv6.OptServerID(srv), pd(1, got[0]))); !slices.Equal(st, []iana.StatusCode{iana.StatusNoBinding}) {
			t.Errorf("declined with status %v", st)
		}
		if x := s.Explain6(t.Context(), c.packet(dhcpv6.MessageTypeSolicit, pd(1))); x.Prefix != first {
			t.Errorf("explained %v, %v", x.Prefix, x.Steps)
		}
	})
}

// A client gets the length it asks for if a pool has it, and the nearest otherwise; it gets what it names if that is free.
func TestPrefixHints(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, branches())
	for n, tt := range []struct{ hint, suffix string }{
		{"::/56", "/56"}, {"::/60", "/60"}, {"::/48", "/56"}, {"::/64", "/60"}, {"2001:db8:f000:40::/60", "2001:db8:f000:40::/60"}, {"2001:db9::/60", "/60"}, {"::/0", "/60"},
	} {
		c := newClient6(t, s, mac6(n))
		if got := c.delegated(pd(1, tt.hint)); len(got) != 1 || !strings.HasSuffix(got[0], tt.suffix) {
			t.Errorf("asked for %s: got %v", tt.hint, got)
		}
	}
	c := newClient6(t, s, mac6(99))
	if got := c.delegated(pd(1, "2001:db8:f000:40::/60")); len(got) != 1 || got[0] == "2001:db8:f000:40::/60" {
		t.Errorf("got %v, which another client has", got)
	}
}

// One client gets no more prefixes than its quota, in one message or in many; another still gets some. A full pool is reused
// from the lease that ended first.
func TestPrefixLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := branches()
		snap.Subnets[0].Delegate = []dhcpsrv.PrefixPool{{Prefix: netip.MustParsePrefix("2001:db8:f000::/48"), Length: 50}}
		snap.Subnets[0].PrefixQuota = 3
		s := newServer(t, dhcpsrv.Config{}, snap)
		greedy := newClient6(t, s, mac6(1))
		got := greedy.delegated(pd(1), pd(2), pd(3), pd(4), pd(5))
		for n := range byte(5) {
			p, _ := delegations(greedy.send(dhcpv6.MessageTypeSolicit, pd(10+n)))
			got = append(got, p...)
		}
		if len(got) != 3 {
			t.Errorf("one client got %v", got)
		}
		if p := newClient6(t, s, mac6(2)).delegated(pd(1)); len(p) != 1 {
			t.Errorf("another client got %v", p)
		}
		if _, st := delegations(newClient6(t, s, mac6(3)).send(dhcpv6.MessageTypeSolicit, pd(1))); !slices.Equal(st, []iana.StatusCode{iana.StatusNoPrefixAvail}) {
			t.Errorf("status %v", st)
		}
		time.Sleep(time.Hour)
		if p := newClient6(t, s, mac6(3)).delegated(pd(1)); len(p) != 1 {
			t.Errorf("after the leases ended: %v", p)
		}
	})
}

// A reserved prefix goes to its client alone, and to others once its reservation is removed.
func TestReservedPrefix(t *testing.T) {
	const reserved = "2001:db8:f000:20::/60"
	c := newClient6(t, nil, mac6(1))
	snap := branches()
	snap.Reservations = []dhcpsrv.Reservation{{Name: "branch", DUID: c.duid.ToBytes(), Subnet: "office6", Prefix: netip.MustParsePrefix(reserved)}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	if p := newClient6(t, s, mac6(2)).delegated(pd(1, reserved)); len(p) != 1 || p[0] == reserved {
		t.Errorf("another client got %v", p)
	}
	c.s = s
	if p := c.delegated(pd(1)); !slices.Equal(p, []string{reserved}) {
		t.Errorf("got %v", p)
	}
	if err := s.Unreserve(snap.Reservations...); err != nil {
		t.Fatal(err)
	}
	c.s.Release(t.Context(), ip("2001:db8:f000:20::"))
	if p := newClient6(t, s, mac6(3)).delegated(pd(1, reserved)); !slices.Equal(p, []string{reserved}) {
		t.Errorf("after the reservation %v", p)
	}
}

func TestDelegationRefuses(t *testing.T) {
	for want, change := range map[string]func(*dhcpsrv.Snapshot){
		"overlap 2001:db8:1::/64": func(s *dhcpsrv.Snapshot) { s.Subnets[0].Delegate[0].Prefix = netip.MustParsePrefix("2001:db8:1::/48") },
		"overlap 2001:db8:f000::/48": func(s *dhcpsrv.Snapshot) {
			s.Subnets[1].Delegate = []dhcpsrv.PrefixPool{{Prefix: netip.MustParsePrefix("2001:db8:f000::/56"), Length: 60}}
		},
		"set a length from 48 to 110": func(s *dhcpsrv.Snapshot) { s.Subnets[0].Delegate[0].Length = 111 },
		"length 40 do not fit":        func(s *dhcpsrv.Snapshot) { s.Subnets[0].Delegate[0].Length = 40 },
		"not an IPv6 prefix":          func(s *dhcpsrv.Snapshot) { s.Subnets[0].Delegate[0].Prefix = netip.MustParsePrefix("10.0.0.0/8") },
		"negative PrefixQuota":        func(s *dhcpsrv.Snapshot) { s.Subnets[0].PrefixQuota = -1 },
		"none of those that a subnet": func(s *dhcpsrv.Snapshot) { s.Reservations[0].Prefix = netip.MustParsePrefix("2001:db8:f000::/61") },
		"is already reserved for":     func(s *dhcpsrv.Snapshot) { s.Reservations[1].Prefix = s.Reservations[0].Prefix },
		"PrefixQuota are of IPv6": func(s *dhcpsrv.Snapshot) {
			s.Subnets = append(s.Subnets, office().Subnets[0])
			s.Subnets[2].PrefixQuota = 1
		},
	} {
		snap := branches()
		snap.Reservations = []dhcpsrv.Reservation{
			{Name: "one", MAC: mac1, Subnet: "office6", Prefix: netip.MustParsePrefix("2001:db8:f000::/60")}, {Name: "two", MAC: mac2, Subnet: "office6"},
		}
		s := newServer(t, dhcpsrv.Config{}, snap)
		change(&snap)
		if err := s.Update(snap); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
