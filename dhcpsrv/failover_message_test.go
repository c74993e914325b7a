package dhcpsrv_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// withCIAddr says that the client already uses an address.
func withCIAddr(a netip.Addr) dhcpv4.Modifier { return dhcpv4.WithClientIP(a.AsSlice()) }

func wanted(a string) dhcpv4.Modifier { return withWanted(net.ParseIP(a)) }

// TestRequestStates walks through RFC 2131 section 4.3.2: what a request means follows from server identifier, requested
// address and ciaddr, and the answer from what the server knows.
func TestRequestStates(t *testing.T) {
	held, other := newHeld(t)
	tests := []struct {
		name   string
		mac    net.HardwareAddr
		mods   []dhcpv4.Modifier
		change func(*dhcpsrv.Snapshot)
		want   string // message type, "" = silence
		reason dhcpsrv.Reason
	}{
		{"selecting own offer", mac1, []dhcpv4.Modifier{withServer(server.AsSlice()), withWanted(held.AsSlice())}, nil, "ACK", 0},
		{"selecting another server", mac1, []dhcpv4.Modifier{withServer(net.IP{9, 9, 9, 9}), withWanted(held.AsSlice())}, nil, "", dhcpsrv.DropOtherServer},
		{"selecting a free address", mac2, []dhcpv4.Modifier{withServer(server.AsSlice()), withWanted(other.AsSlice())}, nil, "ACK", 0},
		{"selecting another's address", mac2, []dhcpv4.Modifier{withServer(server.AsSlice()), withWanted(held.AsSlice())}, nil, "NAK", dhcpsrv.NakTaken},
		{"selecting without address", mac1, []dhcpv4.Modifier{withServer(server.AsSlice())}, nil, "", dhcpsrv.DropIncomplete},
		{"init-reboot with own lease", mac1, []dhcpv4.Modifier{withWanted(held.AsSlice())}, nil, "ACK", 0},
		{"init-reboot on another network", mac1, []dhcpv4.Modifier{wanted("10.9.9.9")}, nil, "NAK", dhcpsrv.NakWrongNetwork},
		{"init-reboot outside the pool", mac1, []dhcpv4.Modifier{wanted("192.0.2.77")}, nil, "NAK", dhcpsrv.NakNoPool},
		{"init-reboot of an unknown client", mac2, []dhcpv4.Modifier{withWanted(other.AsSlice())}, nil, "ACK", 0},
		{"init-reboot of an unknown client, other servers about", mac2, []dhcpv4.Modifier{withWanted(other.AsSlice())}, notAuthoritative, "", dhcpsrv.DropUnknownLease},
		{"init-reboot with another's lease", mac2, []dhcpv4.Modifier{withWanted(held.AsSlice())}, nil, "NAK", dhcpsrv.NakTaken},
		{"renewing", mac1, []dhcpv4.Modifier{withCIAddr(held)}, nil, "ACK", 0},
		{"renewing a lost lease", mac2, []dhcpv4.Modifier{withCIAddr(other)}, nil, "ACK", 0},
		{"renewing after the pool moved", mac1, []dhcpv4.Modifier{withCIAddr(held)}, otherPool, "NAK", dhcpsrv.NakNoPool},
		{"renewing while another address is reserved", mac1, []dhcpv4.Modifier{withCIAddr(held)}, reserveFor(mac1, "192.0.2.50"), "NAK", dhcpsrv.NakMoved},
		{"renewing an address now reserved for another", mac1, []dhcpv4.Modifier{withCIAddr(held)}, reserveFor(mac2, held.String()), "NAK", dhcpsrv.NakReserved},
		{"no address at all", mac1, nil, nil, "", dhcpsrv.DropIncomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, dhcpsrv.Config{}, office())
			newClient(t, s, mac1).dora()
			if tt.change != nil {
				snap := office()
				tt.change(&snap)
				if err := s.Update(snap); err != nil {
					t.Fatal(err)
				}
			}
			c := newClient(t, s, tt.mac)
			p := dhcpsrv.Packet{Data: c.packet(dhcpv4.MessageTypeRequest, tt.mods...).ToBytes(), Link: "eth0"}
			x := s.Explain(context.Background(), p)
			m, _ := c.send(dhcpv4.MessageTypeRequest, tt.mods...)
			got := ""
			if m != nil {
				got = m.MessageType().String()
			}
			if got != tt.want || x.Reply != tt.want || x.Reason != tt.reason {
				t.Errorf("answer %q, explained as %q because %v; want %q because %v\n%q", got, x.Reply, x.Reason, tt.want, tt.reason, x.Steps)
			}
		})
	}
}

// newHeld returns the address that mac1 gets, and one that is free then.
func newHeld(t *testing.T) (held, free netip.Addr) {
	held = newClient(t, newServer(t, dhcpsrv.Config{}, office()), mac1).dora()
	for free = ip("192.0.2.100"); free == held; free = free.Next() {
	}
	return held, free
}

func notAuthoritative(s *dhcpsrv.Snapshot) { s.Subnets[0].NotAuthoritative = true }

func otherPool(s *dhcpsrv.Snapshot) {
	s.Subnets[0].Pools = []dhcpsrv.Pool{{First: ip("192.0.2.200"), Last: ip("192.0.2.209")}}
}

func reserveFor(mac net.HardwareAddr, addr string) func(*dhcpsrv.Snapshot) {
	return func(s *dhcpsrv.Snapshot) {
		s.Reservations = append(s.Reservations, dhcpsrv.Reservation{MAC: mac, Addr: ip(addr), Hostname: "reserved"})
	}
}

func TestDiscoverSilence(t *testing.T) {
	ctx := context.Background()
	s := newServer(t, dhcpsrv.Config{}, office())
	good := newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover)
	reply := newClient(t, s, mac1).packet(dhcpv4.MessageTypeOffer)
	reply.OpCode = dhcpv4.OpcodeBootReply
	nobody := newClient(t, s, net.HardwareAddr{0, 0, 0, 0, 0, 0}).packet(dhcpv4.MessageTypeDiscover)
	looping := newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover)
	looping.HopCount = 17
	stranger := newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover, dhcpv4.WithRelay(net.IP{10, 9, 9, 1}))
	bootp := newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover)
	bootp.Options.Del(dhcpv4.OptionDHCPMessageType)
	query := newClient(t, s, mac1).packet(dhcpv4.MessageType(10))
	tests := []struct {
		p    dhcpsrv.Packet
		want dhcpsrv.Reason
	}{
		{dhcpsrv.Packet{Data: []byte("hello"), Link: "eth0"}, dhcpsrv.DropMalformed},
		{dhcpsrv.Packet{Data: good.ToBytes()[:243], Link: "eth0"}, 0},                         // cut inside the END padding is sound
		{dhcpsrv.Packet{Data: good.ToBytes()[:242], Link: "eth0"}, dhcpsrv.DropNoReservation}, // its type is cut off: plain BOOTP
		{dhcpsrv.Packet{Data: good.ToBytes()[:235], Link: "eth0"}, dhcpsrv.DropMalformed},
		{dhcpsrv.Packet{Data: reply.ToBytes(), Link: "eth0"}, dhcpsrv.DropNotRequest},
		{dhcpsrv.Packet{Data: looping.ToBytes(), Link: "eth0"}, dhcpsrv.DropHops},
		{dhcpsrv.Packet{Data: nobody.ToBytes(), Link: "eth0"}, dhcpsrv.DropNoIdentity},
		{dhcpsrv.Packet{Data: good.ToBytes(), Link: "eth7"}, dhcpsrv.DropUnknownLink},
		{dhcpsrv.Packet{Data: good.ToBytes()}, dhcpsrv.DropUnknownLink},
		{dhcpsrv.Packet{Data: stranger.ToBytes(), Link: "eth0"}, dhcpsrv.DropUnknownRelay},
		{dhcpsrv.Packet{Data: bootp.ToBytes(), Link: "eth0"}, dhcpsrv.DropNoReservation},
		{dhcpsrv.Packet{Data: query.ToBytes(), Link: "eth0"}, dhcpsrv.DropUnknownType},
	}
	for _, tt := range tests {
		_, ok := s.Handle(ctx, tt.p)
		if x := s.Explain(ctx, tt.p); x.Reason != tt.want || ok != (tt.want == 0) {
			t.Errorf("answered %v, reason %v, want %v; %q", ok, x.Reason, tt.want, x.Steps)
		}
		if tt.want != 0 && s.Stats().Reasons[tt.want.String()] == 0 {
			t.Errorf("%v not counted", tt.want)
		}
	}
}

func TestPoolExhausted(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office())
	for i := range 10 {
		newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 1, byte(i)}).dora()
	}
	if m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover); m != nil {
		t.Errorf("offer of %v from a full pool", m.YourIPAddr)
	}
	if n := s.Stats().Reasons["pool-exhausted"]; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestReleaseAndComeBack(t *testing.T) {
	var kinds []string
	s := newServer(t, dhcpsrv.Config{Events: func(ev dhcpsrv.Event) { kinds = append(kinds, ev.Kind.String()) }}, office())
	c := newClient(t, s, mac1)
	a := c.dora()
	if m, _ := newClient(t, s, mac2).send(dhcpv4.MessageTypeRelease, withCIAddr(a), withServer(server.AsSlice())); m != nil {
		t.Error("a release was answered")
	}
	if _, ok := s.Lookup(a); !ok {
		t.Fatal("a client released another's lease")
	}
	c.send(dhcpv4.MessageTypeRelease, withCIAddr(a), withServer(server.AsSlice()))
	if l, ok := s.Lookup(a); ok {
		t.Errorf("still bound: %+v", l)
	}
	// The others take what was never used first, so the client finds its address again.
	for i := range 9 {
		newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 1, byte(i)}).dora()
	}
	if again := c.dora(); again != a {
		t.Errorf("came back to %v, had %v", again, a)
	}
	c.send(dhcpv4.MessageTypeRelease, withCIAddr(a))
	if last := newClient(t, s, mac2).dora(); last != a {
		t.Errorf("least recently used address is %v, got %v", a, last)
	}
	want := append([]string{"granted", "released"}, slices.Repeat([]string{"granted"}, 10)...)
	if diff := cmp.Diff(append(want, "released", "granted"), kinds); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
}

func TestDecline(t *testing.T) {
	var last dhcpsrv.Event
	s := newServer(t, dhcpsrv.Config{Events: func(ev dhcpsrv.Event) { last = ev }}, office())
	c := newClient(t, s, mac1)
	a := c.dora()
	newClient(t, s, mac2).send(dhcpv4.MessageTypeDecline, withWanted(a.AsSlice()), withServer(server.AsSlice()))
	if _, ok := s.Lookup(a); !ok {
		t.Fatal("a client declined another's lease")
	}
	c.send(dhcpv4.MessageTypeDecline, withWanted(a.AsSlice()), withServer(server.AsSlice()))
	if last.Kind != dhcpsrv.ClientDeclined || last.Lease.Addr != a || last.Lease.State != dhcpsrv.Declined {
		t.Errorf("event %+v", last)
	}
	if b := c.dora(); b == a {
		t.Errorf("got the declined address %v again", a)
	}
}

func TestInform(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office())
	m, r := newClient(t, s, mac1).send(dhcpv4.MessageTypeInform, withCIAddr(ip("192.0.2.33")))
	if m == nil || m.MessageType() != dhcpv4.MessageTypeAck || !m.YourIPAddr.Equal(net.IPv4zero) || m.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
		t.Fatalf("answer %v", m)
	}
	if got := m.Router(); len(got) != 1 {
		t.Errorf("routers %v", got)
	}
	if r.Dst.String() != "192.0.2.33:68" || r.HW != nil {
		t.Errorf("sent to %v", r.Dst)
	}
	for range s.Leases() {
		t.Error("INFORM made a lease")
	}
}

func TestBOOTP(t *testing.T) {
	snap := office()
	reserveFor(mac1, "192.0.2.20")(&snap)
	s := newServer(t, dhcpsrv.Config{}, snap)
	p := newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover)
	p.Options.Del(dhcpv4.OptionDHCPMessageType)
	r, ok := s.Handle(context.Background(), dhcpsrv.Packet{Data: p.ToBytes(), Link: "eth0"})
	if !ok {
		t.Fatal("no answer")
	}
	m, err := dhcpv4.FromBytes(r.Data)
	if err != nil || !m.YourIPAddr.Equal(net.IP{192, 0, 2, 20}) || m.Options.Has(dhcpv4.OptionDHCPMessageType) {
		t.Errorf("%v %v", err, m)
	}
}

func TestRapidCommit(t *testing.T) {
	snap := office()
	snap.Subnets[0].RapidCommit = true
	s := newServer(t, dhcpsrv.Config{}, snap)
	m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover, dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(80), nil))
	if m == nil || m.MessageType() != dhcpv4.MessageTypeAck || !m.Options.Has(dhcpv4.GenericOptionCode(80)) {
		t.Fatalf("answer %v", m)
	}
	a, _ := netip.AddrFromSlice(m.YourIPAddr.To4())
	if _, ok := s.Lookup(a); !ok {
		t.Error("no lease")
	}
}

func TestReplyAddress(t *testing.T) {
	relay := dhcpv4.WithRelay(net.IP{198, 51, 100, 1})
	tests := []struct {
		name string
		kind dhcpv4.MessageType
		mods []dhcpv4.Modifier
		from dhcpsrv.Packet
		want string // link src dst hw
	}{
		{"no address yet", dhcpv4.MessageTypeDiscover, nil, dhcpsrv.Packet{Link: "eth0"}, "eth0 192.0.2.1 YOURS:68 52:54:00:00:00:01"},
		{"broadcast flag", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{dhcpv4.WithBroadcast(true)}, dhcpsrv.Packet{Link: "eth0"}, "eth0 192.0.2.1 255.255.255.255:68"},
		{"relayed", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{relay}, dhcpsrv.Packet{Link: "eth0"}, " invalid 198.51.100.1:67"},
		{"relay with its own port", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{relay, withRelayAgent(19, nil)}, dhcpsrv.Packet{Link: "eth0", Src: netip.MustParseAddrPort("198.51.100.1:1067")}, " invalid 198.51.100.1:1067"},
		{"renewing on the link", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{withCIAddr(ip("192.0.2.105"))}, dhcpsrv.Packet{Link: "eth0", Dst: server}, "eth0 192.0.2.1 192.0.2.105:68"},
		{"renewing through a router", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{withCIAddr(ip("198.51.100.15"))}, dhcpsrv.Packet{Link: "eth0", Dst: server}, " invalid 198.51.100.15:68"},
		{"refused on the link", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{wanted("10.0.0.1")}, dhcpsrv.Packet{Link: "eth0"}, "eth0 192.0.2.1 255.255.255.255:68"},
		{"refused through a router", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{withCIAddr(ip("198.51.100.99"))}, dhcpsrv.Packet{Link: "eth0", Dst: server}, " invalid 198.51.100.99:68"},
		{"refused through a relay", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{relay, wanted("10.0.0.1")}, dhcpsrv.Packet{Link: "eth0"}, " invalid 198.51.100.1:67"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, dhcpsrv.Config{}, office())
			tt.from.Data = newClient(t, s, mac1).packet(tt.kind, tt.mods...).ToBytes()
			r, ok := s.Handle(context.Background(), tt.from)
			if !ok {
				t.Fatal("no answer")
			}
			m, err := dhcpv4.FromBytes(r.Data)
			if err != nil {
				t.Fatal(err)
			}
			dst := r.Dst.String()
			if r.Dst.Addr().String() == m.YourIPAddr.String() && r.HW != nil {
				dst = "YOURS:68"
			}
			got := r.Link + " " + r.Src.String() + " " + dst
			if r.HW != nil {
				got += " " + r.HW.String()
			}
			if r.Src == (netip.Addr{}) {
				got = r.Link + " invalid " + dst
			}
			if got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
			if relayed := m.GatewayIPAddr.Equal(net.IP{198, 51, 100, 1}); relayed && m.MessageType() == dhcpv4.MessageTypeNak && !m.IsBroadcast() {
				t.Error("a relayed NAK must have the broadcast flag")
			}
		})
	}
}

// withRelayAgent adds a relay agent option with one sub-option.
func withRelayAgent(code byte, data []byte) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, append([]byte{code, byte(len(data))}, data...))
}

func TestSubnetSelection(t *testing.T) {
	snap := office()
	snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
		Name: "second", Prefix: netip.MustParsePrefix("203.0.113.0/24"), Link: "eth0", Server: ip("203.0.113.1"),
		Pools: []dhcpsrv.Pool{{First: ip("203.0.113.5"), Last: ip("203.0.113.5")}},
	}, dhcpsrv.Subnet{
		Name: "third", Prefix: netip.MustParsePrefix("10.3.0.0/16"), Server: server,
		Pools: []dhcpsrv.Pool{{First: ip("10.3.0.5"), Last: ip("10.3.0.9")}},
	})
	relay := dhcpv4.WithRelay(net.IP{198, 51, 100, 1})
	tests := []struct {
		name, want string
		dst        netip.Addr
		mods       []dhcpv4.Modifier
	}{
		{"link", "office", netip.Addr{}, nil},
		{"address it was sent to", "second", ip("203.0.113.1"), nil},
		{"giaddr", "far", netip.Addr{}, []dhcpv4.Modifier{relay}},
		{"link selection", "third", netip.Addr{}, []dhcpv4.Modifier{relay, withRelayAgent(5, []byte{10, 3, 0, 0})}},
		{"subnet selection", "third", netip.Addr{}, []dhcpv4.Modifier{relay, dhcpv4.WithGeneric(dhcpv4.OptionSubnetSelection, []byte{10, 3, 0, 0})}},
	}
	for _, tt := range tests {
		s := newServer(t, dhcpsrv.Config{}, snap)
		p := dhcpsrv.Packet{Data: newClient(t, s, mac1).packet(dhcpv4.MessageTypeDiscover, tt.mods...).ToBytes(), Link: "eth0", Dst: tt.dst}
		if x := s.Explain(context.Background(), p); x.Subnet != tt.want || x.Reply != "OFFER" {
			t.Errorf("%s: subnet %q, reply %q (%v), want %q", tt.name, x.Subnet, x.Reply, x.Reason, tt.want)
		}
	}
	// A shared network is one wire: when one subnet is full, the other takes over.
	s := newServer(t, dhcpsrv.Config{}, snap)
	for i := range 11 {
		newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 1, byte(i)}).dora()
	}
	if _, ok := s.Lookup(ip("203.0.113.5")); !ok {
		t.Error("the second subnet of the segment was not used")
	}
}

func TestRelayOptions(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office())
	agent := append([]byte{1, 4, 'p', 'o', 'r', 't'}, 11, 4, 198, 51, 100, 1)
	relayed := []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{198, 51, 100, 1}), dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, agent)}
	c := newClient(t, s, mac1, relayed...)
	m, r := c.send(dhcpv4.MessageTypeDiscover)
	if got := m.Options.Get(dhcpv4.OptionRelayAgentInformation); !slices.Equal(got, agent) {
		t.Errorf("option 82 is %x, want %x", got, agent)
	}
	if end := slices.Index(r.Data, 255); !slices.Equal(r.Data[len(r.Data)-1-len(agent):len(r.Data)-1], agent) && end < 0 {
		t.Error("option 82 is not the last")
	}
	if got := m.ServerIdentifier(); !got.Equal(net.IP{198, 51, 100, 1}) {
		t.Errorf("server identifier %v, want the relay's (RFC 5107)", got)
	}
	a := c.selecting(m)
	if l, _ := s.Lookup(a); string(l.CircuitID) != "port" || l.Relay != ip("198.51.100.1") {
		t.Errorf("lease %+v", l)
	}
}
