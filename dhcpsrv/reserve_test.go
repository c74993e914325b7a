package dhcpsrv_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// Single changes leave the same state as a snapshot with the same content, whatever the leases are.
func TestReserveLikeUpdate(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 19))
		snap := office()
		snap.Subnets[0].ByClientID = seed%3 == 0
		snap.Subnets[0].CircuitQuota = 3 * int(seed%2)
		snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
			Name: "six", Prefix: simSix.prefix(), Link: "eth0", Server: simAddr(simSix, 1),
			Pools: []dhcpsrv.Pool{{First: simAddr(simSix, 10), Last: simAddr(simSix, 19)}},
		})
		s := newServer(t, dhcpsrv.Config{}, snap)
		have := map[int]dhcpsrv.Reservation{}
		for range 60 {
			n := rng.IntN(12)
			switch r, ok := have[n]; {
			case ok && rng.IntN(2) == 0:
				if err := s.Unreserve(r); err != nil {
					t.Fatal(err)
				}
				delete(have, n)
			case ok:
				r.Hostname = fmt.Sprint("name", rng.IntN(9))
				if err := s.Reserve(r); err != nil {
					t.Fatal(err)
				}
				have[n] = r
			default:
				if r = someReservation(rng, n); s.Reserve(r) == nil {
					have[n] = r
				}
			}
			if rng.IntN(5) == 0 {
				sub := &snap.Subnets[rng.IntN(3)]
				sub.Domain = fmt.Sprint("d", rng.IntN(9))
				if rng.IntN(2) == 0 {
					sub.Pools = slices.Clone(sub.Pools)
					last := sub.Pools[0].First.As16()
					last[15] += byte(5 + rng.IntN(5))
					if sub.Pools[0].Last = netip.AddrFrom16(last); sub.Prefix.Addr().Is4() {
						sub.Pools[0].Last = sub.Pools[0].Last.Unmap()
					}
				}
				if err := s.SetSubnet(*sub); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				someClient(t, s, rng)
			}
			got := s.Indexes()
			snap.Reservations = nil
			for _, r := range have {
				snap.Reservations = append(snap.Reservations, r)
			}
			if err := s.UpdateWhole(snap); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.Indexes(), got); diff != "" {
				t.Fatalf("seed %d (-want +got)\n%s", seed, diff)
			}
		}
	}
}

func TestReserve(t *testing.T) {
	a, b := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	s := newServer(t, dhcpsrv.Config{}, office())
	reserve := func(want string, rs ...dhcpsrv.Reservation) {
		t.Helper()
		if err := s.Reserve(rs...); err != nil && want == "" || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("reserve: %v, want %q", err, want)
		}
	}
	lease := func(mac net.HardwareAddr, want string) {
		t.Helper()
		if got := newClient(t, s, mac).dora(); got != ip(want) {
			t.Errorf("%v got %v, want %s", mac, got, want)
		}
	}
	reserve("", dhcpsrv.Reservation{MAC: a, Addr: ip("192.0.2.50")}, dhcpsrv.Reservation{MAC: b, Addr: ip("192.0.2.51")})
	lease(a, "192.0.2.50")
	lease(b, "192.0.2.51")
	// All or none.
	reserve("192.0.2.51 is already reserved", dhcpsrv.Reservation{MAC: a, Addr: ip("192.0.2.60")}, dhcpsrv.Reservation{MAC: macOf(9), Addr: ip("192.0.2.51")})
	reserve("names neither", dhcpsrv.Reservation{Addr: ip("192.0.2.61")})
	reserve("in no subnet", dhcpsrv.Reservation{MAC: a, Addr: ip("203.0.113.1")})
	reserve("no subnet \"attic\"", dhcpsrv.Reservation{MAC: a, Subnet: "attic"})
	reserve("the same client already", dhcpsrv.Reservation{MAC: macOf(9), Addr: ip("192.0.2.70")}, dhcpsrv.Reservation{MAC: macOf(9), Addr: ip("192.0.2.71")})
	lease(a, "192.0.2.50")
	// Two clients exchange their addresses, once they have given them back.
	for _, c := range []struct {
		mac  net.HardwareAddr
		addr net.IP
	}{{a, net.IP{192, 0, 2, 50}}, {b, net.IP{192, 0, 2, 51}}} {
		newClient(t, s, c.mac).send(dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(c.addr))
	}
	reserve("", dhcpsrv.Reservation{MAC: a, Addr: ip("192.0.2.51")}, dhcpsrv.Reservation{MAC: b, Addr: ip("192.0.2.50")})
	lease(a, "192.0.2.51")
	lease(b, "192.0.2.50")
	// A second subnet is another scope.
	reserve("", dhcpsrv.Reservation{MAC: a, Addr: ip("198.51.100.50")})
	if err := s.Unreserve(dhcpsrv.Reservation{MAC: a, Subnet: "office"}); err != nil {
		t.Error(err)
	}
	if x := s.Explain(t.Context(), dhcpsrv.Packet{Data: newClient(t, s, a).packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"}); x.Reservation != "" {
		t.Errorf("still reserved: %+v", x)
	}
	if err := s.Unreserve(dhcpsrv.Reservation{MAC: a}, dhcpsrv.Reservation{MAC: macOf(77)}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := s.Unreserve(dhcpsrv.Reservation{MAC: a}); err != nil {
		t.Error(err)
	}
	if err := s.Unreserve(dhcpsrv.Reservation{MAC: a}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// Before a snapshot, a reservation without a subnet is possible, and others are refused.
func TestReserveFirst(t *testing.T) {
	s, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reserve(dhcpsrv.Reservation{MAC: hostMAC, Addr: ip("192.0.2.5")}); err == nil {
		t.Error("an address of no subnet was reserved")
	}
	if err := s.SetSubnet(dhcpsrv.Subnet{}); err == nil || !strings.Contains(err.Error(), "has no name") {
		t.Error(err)
	}
	if err := s.SetSubnet(office().Subnets[0]); err != nil {
		t.Error(err)
	}
	if err := s.Reserve(dhcpsrv.Reservation{MAC: hostMAC, Addr: ip("192.0.2.5")}); err != nil {
		t.Error(err)
	}
	if a := newClient(t, s, hostMAC).dora(); a != ip("192.0.2.5") {
		t.Errorf("got %v", a)
	}
}

func TestSetSubnet(t *testing.T) {
	snap := office()
	snap.Reservations = []dhcpsrv.Reservation{{MAC: hostMAC, Addr: ip("192.0.2.70")}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	held := newClient(t, s, macOf(1)).dora()
	sub := snap.Subnets[0]
	for name, change := range map[string]func(*dhcpsrv.Subnet){
		"options": func(sub *dhcpsrv.Subnet) { sub.LeaseTime = time.Hour },
		"pools": func(sub *dhcpsrv.Subnet) {
			sub.Pools = []dhcpsrv.Pool{{First: ip("192.0.2.20"), Last: ip("192.0.2.110")}}
		},
		"mode": func(sub *dhcpsrv.Subnet) { sub.Link = "eth0"; sub.SharedNetwork = "floor" },
	} {
		change(&sub)
		if err := s.SetSubnet(sub); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a := newClient(t, s, macOf(1)).dora(); a != held {
			t.Errorf("%s: the client moved from %v to %v", name, held, a)
		}
		if a := newClient(t, s, hostMAC).dora(); a != ip("192.0.2.70") {
			t.Errorf("%s: the reserved client got %v", name, a)
		}
	}
	if l, _ := s.Lookup(held); time.Until(l.End) < 59*time.Minute {
		t.Errorf("lease ends %v", l.End)
	}
	for name, change := range map[string]func(*dhcpsrv.Subnet){
		"leaves the usable": func(sub *dhcpsrv.Subnet) { sub.Pools = []dhcpsrv.Pool{{First: ip("192.0.2.0"), Last: ip("192.0.2.9")}} },
		"is not between":    func(sub *dhcpsrv.Subnet) { sub.LeaseTime = 1 },
		"in no subnet":      func(sub *dhcpsrv.Subnet) { sub.Prefix, sub.Pools = netip.MustParsePrefix("192.0.2.0/27"), nil },
		"overlaps":          func(sub *dhcpsrv.Subnet) { sub.Name = "again" },
	} {
		bad := sub
		change(&bad)
		if err := s.SetSubnet(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Clients of a relay without an address in the subnet are served after a change of reservations, too.
func TestUpdateKeepsRelays(t *testing.T) {
	snap := office()
	snap.Subnets[1].Relays = []netip.Addr{ip("10.9.9.9")}
	s := newServer(t, dhcpsrv.Config{}, snap)
	c := newClient(t, s, hostMAC, relayFrom(ip("10.9.9.9")))
	c.link = ""
	a := c.dora()
	snap.Reservations = []dhcpsrv.Reservation{{MAC: macOf(1), Addr: ip("198.51.100.99")}}
	if err := s.Update(snap); err != nil {
		t.Fatal(err)
	}
	if again := c.dora(); again != a {
		t.Errorf("got %v, then %v", a, again)
	}
}

// BenchmarkReserve changes one reservation, or one subnet, of a site with as many reservations and leases, in subnets of 254.
func BenchmarkReserve(b *testing.B) {
	for _, n := range []uint32{1000, 100_000} {
		snap, store := dhcpsrv.Snapshot{}, new(dhcpsrv.MemStore)
		leases := manyLeases(n)
		for i := range leases {
			a := netip.AddrFrom4([4]byte{10, byte(i / 250 / 256), byte(i / 250), byte(i%250 + 2)})
			leases[i].Addr = a
			if net, _ := a.Prefix(24); i%250 == 0 {
				snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{Name: net.String(), Prefix: net, Server: net.Addr().Next()})
			}
			snap.Reservations = append(snap.Reservations, dhcpsrv.Reservation{MAC: leases[i].MAC, Addr: a})
		}
		if err := store.Commit(b.Context(), leases); err != nil {
			b.Fatal(err)
		}
		s := newServer(b, dhcpsrv.Config{Store: store}, snap)
		b.Run(fmt.Sprintf("Reserve/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := snap.Reservations[i%int(n)]
				r.Hostname = "new"
				if err := s.Reserve(r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("UnreserveReserve/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := snap.Reservations[i%int(n)]
				if err := errors.Join(s.Unreserve(r), s.Reserve(r)); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, what := range []string{"options", "pools"} {
			b.Run(fmt.Sprintf("SetSubnet-%s/%d", what, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					sub := snap.Subnets[i%len(snap.Subnets)]
					if sub.Domain = fmt.Sprint("d", i); what == "pools" && i/len(snap.Subnets)%2 == 0 {
						first := sub.Server.Next()
						sub.Pools = []dhcpsrv.Pool{{First: first, Last: first.Next()}}
					}
					if err := s.SetSubnet(sub); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// Single changes while clients are served.
func TestReserveWhileServing(t *testing.T) {
	snap := office()
	s := newServer(t, dhcpsrv.Config{}, snap)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			r := dhcpsrv.Reservation{MAC: macOf(uint32(i % 7)), Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + i%7)})}
			sub := snap.Subnets[0]
			sub.Domain = fmt.Sprint("d", i)
			if err := errors.Join(s.Reserve(r), s.SetSubnet(sub), s.Unreserve(r)); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
			c := newClient(t, s, macOf(uint32(i%7)))
			if offer, _ := c.send(dhcpv4.MessageTypeDiscover); offer != nil {
				c.send(dhcpv4.MessageTypeRequest, withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr))
			}
			s.Explain(t.Context(), dhcpsrv.Packet{Data: c.packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"})
		}
	}
}

// A new subnet leaves the same state as a snapshot with it, stored leases of it included.
func TestSetSubnetAddsOne(t *testing.T) {
	whole := office()
	s := newServer(t, dhcpsrv.Config{}, whole)
	relay := relayFrom(ip("198.51.100.1"))
	held := newClient(t, s, hostMAC, relay).dora()
	without := office()
	without.Subnets = without.Subnets[:1]
	if err := s.Update(without); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSubnet(whole.Subnets[1]); err != nil {
		t.Fatal(err)
	}
	got := s.Indexes()
	if a := newClient(t, s, hostMAC, relay).dora(); a != held {
		t.Errorf("the client moved from %v to %v", held, a)
	}
	if err := s.UpdateWhole(whole); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Indexes(), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := s.Reserve(dhcpsrv.Reservation{MAC: macOf(1), Addr: ip("198.51.100.50")}); err != nil {
		t.Error(err)
	}
	for name, prefix := range map[string]string{"below": "198.51.100.0/25", "above": "198.51.100.128/25", "around": "198.51.0.0/16"} {
		err := s.SetSubnet(dhcpsrv.Subnet{Name: name, Prefix: netip.MustParsePrefix(prefix), Server: ip("198.51.100.200")})
		if err == nil || !strings.Contains(err.Error(), "overlaps") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
