package dhcpsrv_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"pgregory.net/rapid"

	"github.com/gomaas/maas/dhcpsrv"
)

// delegation is a server whose routers do whatever they like, and what each of them was told.
type delegation struct {
	t       *rapid.T
	s       *dhcpsrv.Server
	store   *dhcpsrv.MemStore
	length  int
	pool    netip.Prefix
	clients []*client6
	holds   map[association]granted
}

// association is one of a client, by its IAID; it has one prefix, the last that it was given.
type association struct {
	client int
	id     byte
}

type granted struct {
	prefix netip.Prefix
	until  time.Time
}

// TestNoPrefixTwice lets routers ask for prefixes, renew them, ask for each other's and give them back, while time passes,
// the pool and the length of its prefixes change and the server restarts from its store: at no time do two routers hold
// prefixes that overlap, and the server knows each that it acknowledged.
func TestNoPrefixTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failure any // how rapid ends a case, which has to reach its own goroutine
		synctest.Test(t, func(st *testing.T) {
			defer func() { failure = recover() }()
			delegateAnyhow(st, rt)
		})
		if failure != nil {
			panic(failure)
		}
	})
}

func delegateAnyhow(st *testing.T, rt *rapid.T) {
	w := &delegation{t: rt, store: new(dhcpsrv.MemStore), length: 60, pool: netip.MustParsePrefix("2001:db8:f000::/58"), holds: map[association]granted{}}
	for i := range 5 {
		w.clients = append(w.clients, newClient6(st, nil, mac6(i)))
	}
	w.restart()
	id := func(rt *rapid.T) byte { return byte(rapid.IntRange(1, 2).Draw(rt, "IAID")) }
	rt.Repeat(map[string]func(*rapid.T){
		"": func(*rapid.T) { w.check() },
		"get": func(rt *rapid.T) {
			i, id := w.any(rt), id(rt)
			adv := w.clients[i].send(dhcpv6.MessageTypeSolicit, pd(id, w.anyPrefix(rt)))
			if got, _ := delegations(adv); len(got) == 1 {
				w.ask(i, id, dhcpv6.MessageTypeRequest, got[0])
			}
		},
		"request": func(rt *rapid.T) { w.ask(w.any(rt), id(rt), dhcpv6.MessageTypeRequest, w.anyPrefix(rt)) },
		"renew":   func(rt *rapid.T) { w.ask(w.any(rt), id(rt), dhcpv6.MessageTypeRenew, w.anyPrefix(rt)) },
		"rebind":  func(rt *rapid.T) { w.ask(w.any(rt), id(rt), dhcpv6.MessageTypeRebind, w.anyPrefix(rt)) },
		"release": func(rt *rapid.T) {
			a := association{w.any(rt), id(rt)}
			if held, ok := w.holds[a]; ok {
				w.clients[a.client].send(dhcpv6.MessageTypeRelease, w.server(), pd(a.id, held.prefix.String()))
				delete(w.holds, a)
			}
		},
		"wait": func(rt *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 700).Draw(rt, "seconds")) * time.Second)
		},
		"resize": func(rt *rapid.T) {
			w.length = rapid.IntRange(58, 62).Draw(rt, "length")
			w.pool = netip.PrefixFrom(w.pool.Addr(), rapid.IntRange(56, w.length).Draw(rt, "bits"))
			w.update()
		},
		"restart": func(*rapid.T) { w.restart() },
	})
}

func (w *delegation) any(rt *rapid.T) int {
	return rapid.IntRange(0, len(w.clients)-1).Draw(rt, "client")
}

func (w *delegation) anyPrefix(rt *rapid.T) string {
	n := byte(rapid.IntRange(0, 63).Draw(rt, "place")) << 2
	a := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0xf0, 7: n})
	return netip.PrefixFrom(a, rapid.IntRange(58, 62).Draw(rt, "length")).Masked().String()
}

func (w *delegation) update() {
	snap := office6()
	snap.Subnets[0].Delegate = []dhcpsrv.PrefixPool{{Prefix: w.pool, Length: w.length}}
	if err := w.s.Update(snap); err != nil {
		w.t.Fatal(err)
	}
}

func (w *delegation) restart() {
	synctest.Wait() // the former server stores what ran out, as it does before it ends
	s, err := dhcpsrv.New(dhcpsrv.Config{Store: w.store})
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
	for _, c := range w.clients {
		c.s = s
	}
	w.update()
}

func (w *delegation) server() dhcpv6.Option {
	return dhcpv6.OptServerID(w.clients[0].send(dhcpv6.MessageTypeSolicit, ia(9)).Options.ServerID())
}

// ask notes what a client holds after the answer.
func (w *delegation) ask(i int, id byte, kind dhcpv6.MessageType, p string) {
	opts := []dhcpv6.Option{pd(id, p)}
	if kind != dhcpv6.MessageTypeRebind {
		opts = append(opts, w.server())
	}
	m := w.clients[i].send(kind, opts...)
	if m == nil {
		return
	}
	a := association{i, id}
	for _, p := range m.Options.IAPD() {
		for _, given := range p.Options.Prefixes() {
			q := netip.MustParsePrefix(given.Prefix.String())
			if given.ValidLifetime > 0 {
				w.holds[a] = granted{q, time.Now().Add(given.ValidLifetime)}
			} else if w.holds[a].prefix == q {
				delete(w.holds, a)
			}
		}
	}
}

func (w *delegation) check() {
	for a, held := range w.holds {
		if !time.Now().Before(held.until) {
			delete(w.holds, a)
			continue
		}
		if l, ok := w.s.Lookup(held.prefix.Addr()); !ok || int(l.Bits) != held.prefix.Bits() || l.IAID != uint32(a.id) {
			w.t.Fatalf("client %d holds %v until %v, the server knows %v %+v", a.client, held.prefix, held.until, ok, l)
		}
		for b, theirs := range w.holds {
			if a != b && time.Now().Before(theirs.until) && held.prefix.Overlaps(theirs.prefix) {
				w.t.Fatalf("%+v holds %v, %+v %v", a, held.prefix, b, theirs.prefix)
			}
		}
	}
	for l := range w.s.Leases(dhcpsrv.LeaseFilter{State: dhcpsrv.Bound}) {
		for other := range w.s.Leases(dhcpsrv.LeaseFilter{State: dhcpsrv.Bound}) {
			p, q := netip.PrefixFrom(l.Addr, int(l.Bits)), netip.PrefixFrom(other.Addr, int(other.Bits))
			now := time.Now()
			if l.Bits > 0 && other.Bits > 0 && l.Addr != other.Addr && l.End.After(now) && other.End.After(now) && p.Overlaps(q) {
				w.t.Fatalf("%v of %v and %v of %v overlap", p, l.MAC, q, other.MAC)
			}
		}
	}
}
