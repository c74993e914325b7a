package dhcpsrv_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// While clients ask and leave, snapshots that differ in their reservations leave the server as if
// it had entered every lease anew.
func TestUpdateOfReservations(t *testing.T) {
	base := office()
	for i := range base.Subnets {
		base.Subnets[i].CircuitQuota = 5
	}
	base.Subnets = append(base.Subnets, room6("2001:db8::1").Subnets...)
	store := new(dhcpsrv.MemStore) // with so many leases that packets get between
	base.Subnets = append(base.Subnets, campus().Subnets...)
	base.Subnets[len(base.Subnets)-1].Link = "eth1"
	store.Commit(t.Context(), manyLeases(2000))
	s := newServer(t, dhcpsrv.Config{Store: store}, base)
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		var clients sync.WaitGroup
		for n := range 2 {
			rng := rand.New(rand.NewPCG(uint64(round), uint64(n)))
			clients.Go(func() {
				for range 40 {
					someClient(t, s, rng)
				}
			})
		}
		snap := base
		for n := range 12 {
			if rng.IntN(3) == 0 {
				snap.Reservations = append(snap.Reservations, someReservation(rng, n))
			}
		}
		if err := s.Update(snap); err != nil { // meanwhile
			t.Fatal(err)
		}
		clients.Wait()
		got := s.Indexes()
		if err := s.UpdateWhole(snap); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.Indexes(), got); diff != "" {
			t.Fatalf("round %d (-want +got)\n%s", round, diff)
		}
	}
	if st := s.Stats(); st.Panics > 0 || st.Events["granted"] < 20 {
		t.Errorf("%+v", st)
	}
}

// Clients that come while an update looks at the leases are known by what the new reservations know them by, too.
func TestUpdateMeetsNewClients(t *testing.T) {
	store := new(dhcpsrv.MemStore)
	store.Commit(t.Context(), manyLeases(50_000))
	s := newServer(t, dhcpsrv.Config{Store: store}, campus())
	line := func(i int) string { return fmt.Sprint("line ", i) }
	snap := campus()
	for i := range 3000 {
		snap.Reservations = append(snap.Reservations, dhcpsrv.Reservation{Name: fmt.Sprint(i), Subscriber: line(i), Addr: netip.AddrFrom4([4]byte{10, 40, byte(i >> 8), byte(i)})})
	}
	updated, came := make(chan error), 0
	go func() { updated <- s.Update(snap) }()
	var err error
	for done := false; !done && came < len(snap.Reservations); came++ {
		agent := dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.SubscriberIDSubOption, []byte(line(came))))
		c := newClient(t, s, macOf(1_000_000+uint32(came)), dhcpv4.WithOption(agent), dhcpv4.WithRelay(net.IP{10, 0, 0, 1}))
		if offer, _ := c.send(dhcpv4.MessageTypeDiscover); offer != nil {
			c.send(dhcpv4.MessageTypeRequest, withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr))
		}
		select {
		case err = <-updated:
			done = true
		default:
		}
	}
	if came == len(snap.Reservations) {
		err = <-updated
	}
	if err != nil {
		t.Fatal(err)
	}
	got := s.Indexes()
	if err := s.UpdateWhole(snap); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Indexes(), got); diff != "" {
		t.Errorf("after %d clients (-want +got)\n%s", came, diff)
	}
}

// A snapshot that has the same subnets in another order changes which one of a shared network serves first.
func TestUpdateOfOrder(t *testing.T) {
	snap := office()
	for i := range snap.Subnets {
		snap.Subnets[i].SharedNetwork = "floor"
	}
	s := newServer(t, dhcpsrv.Config{}, snap)
	for n := range 4 {
		c := newClient(t, s, macOf(uint32(n)))
		offer, _ := c.send(dhcpv4.MessageTypeDiscover)
		if want := snap.Subnets[0]; offer == nil || want.Prefix.Addr().AsSlice()[0] != offer.YourIPAddr.To4()[0] {
			t.Errorf("round %d: subnet %s is first, and the offer is %v", n, want.Name, offer)
		}
		slices.Reverse(snap.Subnets)
		if err := s.Update(snap); err != nil {
			t.Fatal(err)
		}
	}
}

// someReservation is for client n, known by one thing or another.
func someReservation(rng *rand.Rand, n int) dhcpsrv.Reservation {
	r := dhcpsrv.Reservation{Name: fmt.Sprint(n), Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(98 + n)})}
	if rng.IntN(4) == 0 {
		r.Addr = simAddr(simSix, 9+n)
	}
	switch mac := (net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}); rng.IntN(3) {
	case 0:
		r.MAC = mac
	case 1:
		if r.MAC = mac; r.Addr.Is4() {
			r.ClientID = append([]byte{1}, mac...)
		}
	default:
		r.Subscriber = fmt.Sprint("line ", n%4)
		if r.Name += " by line"; n >= 4 {
			r.Subscriber += fmt.Sprint(n)
		}
	}
	return r
}

// someClient does one thing as one of the clients.
func someClient(t *testing.T, s *dhcpsrv.Server, rng *rand.Rand) {
	n := rng.IntN(12)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}
	if rng.IntN(4) == 0 {
		d := &duo{t: t, s: [2]*dhcpsrv.Server{s}}
		c := d.client(byte(n))
		c.kind = simSix
		if o := d.any(c, c.discover(0)); o.offer {
			c.take([]simReply{d.any(c, c.request(o))})
		}
		if c.holds.IsValid() && rng.IntN(2) == 0 {
			d.any(c, c.release(rng.IntN(8) == 0))
		}
		return
	}
	line := dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte{byte(n % 3)}), dhcpv4.OptGeneric(dhcpv4.SubscriberIDSubOption, fmt.Appendf(nil, "line %d", n%4))))
	c := newClient(t, s, mac, dhcpv4.WithOption(dhcpv4.OptClientIdentifier(append([]byte{1}, mac...))), line, dhcpv4.WithRelay(net.IP{192, 0, 2, 1}))
	offer, _ := c.send(dhcpv4.MessageTypeDiscover)
	if offer == nil || rng.IntN(4) == 0 {
		return
	}
	c.send(dhcpv4.MessageTypeRequest, withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr))
	if kind := rng.IntN(6); kind < 2 {
		c.send([]dhcpv4.MessageType{dhcpv4.MessageTypeRelease, dhcpv4.MessageTypeDecline}[kind], withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr), dhcpv4.WithClientIP(offer.YourIPAddr))
	}
}

// BenchmarkUpdate gives a server with as many leases as reservations a new snapshot, in which one reservation or a subnet
// differs, while another client asks all the time: wait-p99-ms and wait-max-ms are how long that one's exchanges took.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []uint32{10_000, 100_000} {
		for _, what := range []string{"reservation", "subnet"} {
			b.Run(fmt.Sprintf("%s/%d", what, n), func(b *testing.B) {
				s, snap := reserved(b, n)
				stop, waits := make(chan struct{}), make(chan []time.Duration)
				go func() { waits <- exchanges(b, s, stop) }()
				i := 0
				for b.Loop() {
					i++
					snap.Reservations = slices.Clone(snap.Reservations)
					if what == "subnet" {
						snap.Subnets = slices.Clone(snap.Subnets)
						snap.Subnets[0].Domain = fmt.Sprint("d", i)
					} else {
						snap.Reservations[n/2].MAC = macOf(5_000_000 + uint32(i))
					}
					if err := s.Update(snap); err != nil {
						b.Fatal(err)
					}
				}
				close(stop)
				all := <-waits
				slices.Sort(all)
				b.ReportMetric(all[len(all)*99/100].Seconds()*1e3, "wait-p99-ms")
				b.ReportMetric(all[len(all)-1].Seconds()*1e3, "wait-max-ms")
			})
		}
	}
}

// reserved is a server with n reservations, each with its lease.
func reserved(b *testing.B, n uint32) (*dhcpsrv.Server, dhcpsrv.Snapshot) {
	snap, store, leases := campus(), new(dhcpsrv.MemStore), manyLeases(n)
	for _, l := range leases {
		snap.Reservations = append(snap.Reservations, dhcpsrv.Reservation{MAC: l.MAC, Addr: l.Addr})
	}
	if err := store.Commit(b.Context(), leases); err != nil {
		b.Fatal(err)
	}
	return newServer(b, dhcpsrv.Config{Store: store}, snap), snap
}

// manyLeases are leases of the campus.
func manyLeases(n uint32) (leases []dhcpsrv.Lease) {
	for i, now := uint32(0), time.Now(); i < n; i++ {
		addr := netip.AddrFrom4([4]byte{10, 1 + byte(i>>16), byte(i >> 8), byte(i)})
		leases = append(leases, dhcpsrv.Lease{Addr: addr, State: dhcpsrv.Bound, MAC: macOf(i), Subnet: "campus", Start: now, Changed: now, End: now.Add(time.Hour)})
	}
	return leases
}

func exchanges(b *testing.B, s *dhcpsrv.Server, stop <-chan struct{}) (took []time.Duration) {
	d := newDORA(b)
	for i := uint32(0); ; i = (i + 1) % 1000 {
		select {
		case <-stop:
			return took
		default:
		}
		began := time.Now()
		d.run(b, s, i)
		took = append(took, time.Since(began))
	}
}
