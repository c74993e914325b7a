package dhcpsrv_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// neighbour is another DHCP server of the link, as the server under test finds it.
type neighbour struct {
	on, broken atomic.Bool
	asked      atomic.Int64
}

func (n *neighbour) find(ctx context.Context, link string) ([]dhcpsrv.RogueServer, error) {
	n.asked.Add(1)
	if n.broken.Load() {
		return nil, errors.New("link is down")
	}
	<-ctx.Done()
	// The server itself and a proxy answer as well; neither counts.
	found := []dhcpsrv.RogueServer{{ID: server, Addr: server, Offer: ip("192.0.2.101")}, {ID: ip("192.0.2.8"), Offer: ip("0.0.0.0")}}
	if n.on.Load() {
		found = append(found, dhcpsrv.RogueServer{ID: ip("192.0.2.9"), Addr: ip("192.0.2.9"), Offer: ip("192.0.2.55")})
	}
	return found, nil
}

func bootFile(context.Context, dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	return dhcpsrv.BootAnswer{File: "boot.efi", Options: dhcpsrv.Options{{Code: 210, Data: []byte("/x")}}}, true
}

func inMode(m dhcpsrv.Mode) dhcpsrv.Snapshot {
	snap := office()
	snap.Subnets[0].Mode = m
	return snap
}

var (
	pxe  = dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003000"))
	http = dhcpv4.WithOption(dhcpv4.OptClassIdentifier("HTTPClient:Arch:00016:UNDI:003000"))
	uuid = dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, make([]byte, 17)))
)

// TestAuto follows a link on which another server comes, goes and comes again.
func TestAuto(t *testing.T) {
	var other neighbour
	cfg := dhcpsrv.Config{FindServers: other.find, Boot: dhcpsrv.BootSelectorFunc(bootFile)}
	serve(t, cfg, inMode(dhcpsrv.ModeAuto), func(s *dhcpsrv.Server, p *pipe) {
		expect := func(want dhcpsrv.Mode, by string) {
			t.Helper()
			synctest.Wait()
			m := s.Modes()[0]
			x := s.Explain(t.Context(), dhcpsrv.Packet{Data: newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"})
			if m.Mode != want || m.By != by || m.Set != dhcpsrv.ModeAuto || x.Mode != want || x.ModeBy != by {
				t.Fatalf("mode %v by %q, explained %v by %q; want %v by %q", m.Mode, m.By, x.Mode, x.ModeBy, want, by)
			}
		}
		expect(dhcpsrv.ModeAuto, "auto: still listening for other servers")
		if x := s.Explain(t.Context(), dhcpsrv.Packet{Data: newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"}); x.Reason != dhcpsrv.DropListening {
			t.Errorf("while listening: %v", x.Reason)
		}
		time.Sleep(4 * time.Second)
		expect(dhcpsrv.ModeServe, "auto: no other server answers")
		c := newClient(t, s, mac1)
		offer := p.ask(c, dhcpv4.MessageTypeDiscover)
		ack := p.ask(c, dhcpv4.MessageTypeRequest, withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr))
		held, _ := netip.AddrFromSlice(ack.YourIPAddr)

		// A client that takes another server's offer gives it away long before the next probe is due.
		other.on.Store(true)
		time.Sleep(20 * time.Second)
		p.in <- dhcpsrv.Packet{Data: newClient(t, s, mac2).packet(dhcpv4.MessageTypeRequest, wanted("192.0.2.55"), withServer([]byte{192, 0, 2, 9})).ToBytes(), Link: "eth0"}
		time.Sleep(5 * time.Second)
		expect(dhcpsrv.ModeProxy, "auto: 192.0.2.9 answers")
		if r := p.ask(newClient(t, s, mac2), dhcpv4.MessageTypeDiscover); r != nil {
			t.Errorf("offered %v beside another server", r)
		}
		// A client with a lease keeps it until its end, and no longer.
		l, _ := s.Lookup(held)
		renewed := p.ask(c, dhcpv4.MessageTypeRequest, withCIAddr(held))
		if renewed == nil || renewed.MessageType() != dhcpv4.MessageTypeAck || renewed.IPAddressLeaseTime(0) >= 10*time.Minute {
			t.Fatalf("renewal: %v", renewed)
		}
		if again, ok := s.Lookup(held); !ok || again.End.After(l.End) {
			t.Errorf("lease ended at %v, now at %v", l.End, again.End)
		}
		if r := p.ask(newClient(t, s, mac2), dhcpv4.MessageTypeRequest, wanted("192.0.2.105")); r != nil {
			t.Errorf("told %v to a client of the other server", r)
		}

		// It is taken over from after two quiet minutes; a broken link is not quiet.
		other.on.Store(false)
		other.broken.Store(true)
		time.Sleep(10 * time.Minute)
		expect(dhcpsrv.ModeProxy, "auto: 192.0.2.9 answers")
		if r := p.ask(c, dhcpv4.MessageTypeRequest, withCIAddr(held)); r != nil {
			t.Errorf("a lease at its end: %v", r)
		}
		other.broken.Store(false)
		time.Sleep(dhcpsrv.ForeignQuiet - 5*time.Second)
		expect(dhcpsrv.ModeProxy, "auto: 192.0.2.9 answers")
		time.Sleep(time.Minute)
		expect(dhcpsrv.ModeServe, "auto: no other server answers")

		// When it comes back at once the patience is twice as long.
		other.on.Store(true)
		time.Sleep(70 * time.Second)
		expect(dhcpsrv.ModeProxy, "auto: 192.0.2.9 answers")
		other.on.Store(false)
		time.Sleep(dhcpsrv.ForeignQuiet + 80*time.Second)
		expect(dhcpsrv.ModeProxy, "auto: 192.0.2.9 answers")
		time.Sleep(dhcpsrv.ForeignQuiet)
		expect(dhcpsrv.ModeServe, "auto: no other server answers")

		// A new snapshot does not start over; a snapshot without the mode ends the search.
		if err := s.Update(inMode(dhcpsrv.ModeAuto)); err != nil {
			t.Fatal(err)
		}
		expect(dhcpsrv.ModeServe, "auto: no other server answers")
		if err := s.Update(office()); err != nil {
			t.Fatal(err)
		}
		before := other.asked.Load()
		time.Sleep(time.Hour)
		if n := other.asked.Load(); n != before {
			t.Errorf("asked %d times without being told to", n-before)
		}
	})
}

// TestProxy answers each kind of client where another server gives the addresses.
func TestProxy(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(bootFile), Prober: dhcpsrv.ProberFunc(func(context.Context, string, netip.Addr) (bool, error) {
		t.Error("probed an address")
		return false, nil
	})}, inMode(dhcpsrv.ModeProxy))
	c := newClient(t, s, mac1)
	if m, _ := c.send(dhcpv4.MessageTypeDiscover); m != nil {
		t.Errorf("a system got %v", m)
	}
	if m, _ := c.send(dhcpv4.MessageTypeInform); m != nil {
		t.Errorf("a system's INFORM got %v", m)
	}
	for _, test := range []struct {
		name  string
		class dhcpv4.Modifier
		want  map[uint8]string
	}{
		{"PXE", pxe, map[uint8]string{43: "060108ff", 60: "505845436c69656e74"}},
		{"HTTP", http, map[uint8]string{60: "48545450436c69656e74"}},
	} {
		m, r := c.send(dhcpv4.MessageTypeDiscover, test.class, uuid)
		if m == nil || m.MessageType() != dhcpv4.MessageTypeOffer || !m.YourIPAddr.IsUnspecified() || m.BootFileName != "boot.efi" || !m.ServerIPAddr.Equal(server.AsSlice()) {
			t.Fatalf("%s: %v", test.name, m)
		}
		if r.Dst != netip.MustParseAddrPort("255.255.255.255:68") || r.HW != nil {
			t.Errorf("%s: sent to %v %v", test.name, r.Dst, r.HW)
		}
		test.want[53], test.want[54], test.want[97] = "02", "c0000201", strings.Repeat("00", 17)
		test.want[66], test.want[67], test.want[210] = "3139322e302e322e31", "626f6f742e656669", "2f78"
		if diff := cmp.Diff(test.want, optionsOf(m)); diff != "" {
			t.Errorf("%s: options (-want +got)\n%s", test.name, diff)
		}
	}
	if n := s.Stats(); n.Committed != 0 || n.Reasons["proxy"] != 2 {
		t.Errorf("stats %+v", n)
	}
	none := newServer(t, dhcpsrv.Config{}, inMode(dhcpsrv.ModeProxy))
	if m, _ := newClient(t, none, mac1).send(dhcpv4.MessageTypeDiscover, pxe); m != nil || none.Stats().Reasons["no-boot"] != 1 {
		t.Errorf("nothing to load: %v, %+v", m, none.Stats())
	}
}

func optionsOf(m *dhcpv4.DHCPv4) map[uint8]string {
	out := map[uint8]string{}
	for code, data := range m.Options {
		const digits = "0123456789abcdef"
		for _, b := range data {
			out[code] += string([]byte{digits[b>>4], digits[b&15]})
		}
	}
	return out
}

// TestBootServerPort asks on port 4011, as firmware does once it has an address.
func TestBootServerPort(t *testing.T) {
	for _, mode := range []dhcpsrv.Mode{dhcpsrv.ModeServe, dhcpsrv.ModeProxy} {
		s := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(bootFile)}, inMode(mode))
		c := newClient(t, s, mac1)
		send := func(src string, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) (dhcpsrv.Reply, *dhcpv4.DHCPv4) {
			r, ok := s.Handle(t.Context(), dhcpsrv.Packet{
				Data: c.packet(kind, mods...).ToBytes(), Link: "eth0", Src: netip.MustParseAddrPort(src), Dst: server, Port: dhcpsrv.BootServerPort,
			})
			if !ok {
				return r, nil
			}
			return r, parse(t, r.Data)
		}
		r, m := send("192.0.2.55:4011", dhcpv4.MessageTypeRequest, pxe, withCIAddr(ip("192.0.2.55")))
		if m == nil || m.MessageType() != dhcpv4.MessageTypeAck || !m.YourIPAddr.IsUnspecified() || m.BootFileName != "boot.efi" || m.IPAddressLeaseTime(0) != 0 {
			t.Fatalf("%v: %v", mode, m)
		}
		if r.Dst != netip.MustParseAddrPort("192.0.2.55:4011") || r.Src != server {
			t.Errorf("%v: from %v to %v", mode, r.Src, r.Dst)
		}
		if r, _ = send("0.0.0.0:68", dhcpv4.MessageTypeInform, pxe, withCIAddr(ip("192.0.2.55"))); r.Dst != netip.MustParseAddrPort("192.0.2.55:68") {
			t.Errorf("%v: INFORM answered to %v", mode, r.Dst)
		}
		if _, m = send("192.0.2.55:68", dhcpv4.MessageTypeDiscover, pxe); m != nil {
			t.Errorf("%v: DISCOVER got %v", mode, m)
		}
		if _, m = send("192.0.2.55:68", dhcpv4.MessageTypeRequest, withCIAddr(ip("192.0.2.55"))); m != nil {
			t.Errorf("%v: a system got %v", mode, m)
		}
	}
}

func TestModeText(t *testing.T) {
	for text, want := range map[string]dhcpsrv.Mode{"": dhcpsrv.ModeServe, "serve": dhcpsrv.ModeServe, "proxy": dhcpsrv.ModeProxy, "auto": dhcpsrv.ModeAuto} {
		var m dhcpsrv.Mode = 9
		if err := m.UnmarshalText([]byte(text)); err != nil || m != want {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
	var m dhcpsrv.Mode
	if err := m.UnmarshalText([]byte("both")); err == nil {
		t.Error("mode both accepted")
	}
}

func TestModeRefused(t *testing.T) {
	for want, change := range map[string]func(*dhcpsrv.Snapshot){
		`subnet "far": mode auto needs a link`: func(s *dhcpsrv.Snapshot) { s.Subnets[1].Mode = dhcpsrv.ModeAuto },
		`subnet "far": mode 7 is unknown`:      func(s *dhcpsrv.Snapshot) { s.Subnets[1].Mode = 7 },
		`subnet "far": mode serve, but proxy in subnet "office"`: func(s *dhcpsrv.Snapshot) {
			s.Subnets[0].Mode, s.Subnets[1].Link = dhcpsrv.ModeProxy, "eth0"
		},
		`subnet "office6": mode auto is of IPv4`: func(s *dhcpsrv.Snapshot) {
			*s = office6()
			s.Subnets[0].Mode = dhcpsrv.ModeAuto
		},
	} {
		snap := office()
		change(&snap)
		if err := newServer(t, dhcpsrv.Config{}, office()).Update(snap); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nwant %s", err, want)
		}
	}
}
