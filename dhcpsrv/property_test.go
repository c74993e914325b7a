package dhcpsrv_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"pgregory.net/rapid"

	"github.com/gomaas/maas/dhcpsrv"
)

// holding is the lease that a client believes to hold.
type holding struct {
	addr  netip.Addr
	until time.Time
}

// world is a server with clients that do whatever they like, and what each of them was told.
type world struct {
	t       *rapid.T
	s       *dhcpsrv.Server
	store   *dhcpsrv.MemStore
	clients []net.HardwareAddr
	offers  map[int]*dhcpv4.DHCPv4
	holds   map[int]holding
}

// TestNoAddressTwice lets clients discover, accept, refuse, renew, reboot, release, decline and ask for each other's
// addresses, while time passes, reservations change and the server restarts from its store: at no time do two clients hold
// one address, and the server never forgets a lease that it acknowledged.
func TestNoAddressTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any // how rapid ends a case, which has to reach its own goroutine
		synctest.Test(t, func(*testing.T) {
			defer func() { failure = recover() }()
			live(rt)
		})
		if failure != nil {
			panic(failure)
		}
	})
}

func live(rt *rapid.T) {
	w := &world{t: rt, store: new(dhcpsrv.MemStore), offers: map[int]*dhcpv4.DHCPv4{}, holds: map[int]holding{}}
	for i := range 8 {
		w.clients = append(w.clients, net.HardwareAddr{2, 0, 0, 0, 0, byte(i)})
	}
	w.restart(nil)
	rt.Repeat(map[string]func(*rapid.T){
		"":         func(*rapid.T) { w.check() },
		"discover": func(rt *rapid.T) { w.discover(w.any(rt)) },
		"accept":   func(rt *rapid.T) { w.accept(w.any(rt)) },
		"elsewhere": func(rt *rapid.T) {
			w.send(w.any(rt), dhcpv4.MessageTypeRequest, withServer(net.IP{9, 9, 9, 9}), wanted("9.9.9.8"))
		},
		"renew":   func(rt *rapid.T) { w.renew(w.any(rt)) },
		"reboot":  func(rt *rapid.T) { w.request(w.any(rt), withWanted(w.anyAddr(rt))) },
		"steal":   func(rt *rapid.T) { w.request(w.any(rt), withServer(server.AsSlice()), withWanted(w.anyAddr(rt))) },
		"release": func(rt *rapid.T) { w.giveBack(w.any(rt), dhcpv4.MessageTypeRelease) },
		"decline": func(rt *rapid.T) { w.giveBack(w.any(rt), dhcpv4.MessageTypeDecline) },
		"wait": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 700).Draw(rt, "seconds")) * time.Second)
		},
		"reserve": func(rt *rapid.T) { w.update(w.reservations(rt)) },
		"restart": func(rt *rapid.T) { w.restart(w.reservations(rt)) },
	})
}

func (w *world) any(rt *rapid.T) int { return rapid.IntRange(0, len(w.clients)-1).Draw(rt, "client") }

// anyAddr is around the pool of six addresses.
func (w *world) anyAddr(rt *rapid.T) net.IP {
	return net.IP{192, 0, 2, byte(rapid.IntRange(98, 107).Draw(rt, "addr"))}
}

func (w *world) snapshot(reserved []dhcpsrv.Reservation) dhcpsrv.Snapshot {
	snap := office()
	snap.Subnets[0].Pools[0].Last = ip("192.0.2.105")
	snap.Reservations = reserved
	return snap
}

// reservations gives some clients an address in or beside the pool.
func (w *world) reservations(rt *rapid.T) (out []dhcpsrv.Reservation) {
	for i, a := range rapid.Permutation([]int{98, 99, 100, 101, 102, 106}).Draw(rt, "addresses") {
		if rapid.Bool().Draw(rt, "reserved") {
			out = append(out, dhcpsrv.Reservation{MAC: w.clients[i], Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(a)})})
		}
	}
	return out
}

func (w *world) update(reserved []dhcpsrv.Reservation) {
	if err := w.s.Update(w.snapshot(reserved)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) restart(reserved []dhcpsrv.Reservation) {
	synctest.Wait() // the former server stores what ran out, as it does before it ends
	s, err := dhcpsrv.New(dhcpsrv.Config{Store: w.store})
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
	w.update(reserved)
}

func (w *world) send(i int, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	mods = append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(w.clients[i]), dhcpv4.WithMessageType(kind)}, mods...)
	p, err := dhcpv4.New(mods...)
	if err != nil {
		w.t.Fatal(err)
	}
	r, ok := w.s.Handle(context.Background(), dhcpsrv.Packet{Data: p.ToBytes(), Link: "eth0"})
	if !ok {
		return nil
	}
	m, err := dhcpv4.FromBytes(r.Data)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) discover(i int) { w.offers[i] = w.send(i, dhcpv4.MessageTypeDiscover) }

func (w *world) accept(i int) {
	if o := w.offers[i]; o != nil {
		w.request(i, withServer(o.ServerIdentifier()), withWanted(o.YourIPAddr))
	}
}

func (w *world) renew(i int) {
	if h, ok := w.holds[i]; ok && time.Now().Before(h.until) {
		w.request(i, withCIAddr(h.addr))
	}
}

// request notes what a client holds after the answer.
func (w *world) request(i int, mods ...dhcpv4.Modifier) {
	m := w.send(i, dhcpv4.MessageTypeRequest, mods...)
	switch {
	case m == nil:
	case m.MessageType() == dhcpv4.MessageTypeNak:
		delete(w.holds, i)
	default:
		a, _ := netip.AddrFromSlice(m.YourIPAddr.To4())
		w.holds[i] = holding{a, time.Now().Add(m.IPAddressLeaseTime(0))}
	}
}

func (w *world) giveBack(i int, kind dhcpv4.MessageType) {
	h, ok := w.holds[i]
	if !ok {
		return
	}
	where := withCIAddr(h.addr)
	if kind == dhcpv4.MessageTypeDecline {
		where = withWanted(h.addr.AsSlice())
	}
	w.send(i, kind, withServer(server.AsSlice()), where)
	delete(w.holds, i)
}

func (w *world) check() {
	holder := map[netip.Addr]int{}
	for i, h := range w.holds {
		if !time.Now().Before(h.until) {
			continue
		}
		if other, taken := holder[h.addr]; taken {
			w.t.Fatalf("%v is held by clients %d and %d", h.addr, i, other)
		}
		holder[h.addr] = i
		l, ok := w.s.Lookup(h.addr)
		if !ok || l.MAC.String() != w.clients[i].String() {
			w.t.Fatalf("client %d holds %v until %v, the server knows %v %+v", i, h.addr, h.until, ok, l)
		}
	}
}
