package dhcpsrv_test

import (
	"bytes"
	"context"
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

// office6 is a link with a small pool, and a subnet behind a relay.
func office6() dhcpsrv.Snapshot {
	srv := ip("2001:db8:1::1")
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "office6", Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Link: "eth0", Server: srv,
		Pools: []dhcpsrv.Pool{{First: ip("2001:db8:1::100"), Last: ip("2001:db8:1::107")}},
		DNS:   []netip.Addr{srv}, Domain: "office.test", Search: []string{"office.test", "example.test"}, NTP: []netip.Addr{srv},
	}, {
		Name: "far6", Prefix: netip.MustParsePrefix("2001:db8:2::/64"), Server: srv,
		Pools: []dhcpsrv.Pool{{First: ip("2001:db8:2::1000"), Last: ip("2001:db8:2:0:ffff:ffff:ffff:ffff")}},
	}}}
}

// client6 sends messages as one machine; the tests say what it sends. The messages are made and read by another
// implementation than the server's.
type client6 struct {
	t    testing.TB
	s    *dhcpsrv.Server
	duid dhcpv6.DUID
	src  string
	dst  string
	wrap func(*dhcpv6.Message) dhcpv6.DHCPv6 // relays
}

func newClient6(t testing.TB, s *dhcpsrv.Server, mac string) *client6 {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return &client6{t: t, s: s, duid: &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: hw}, src: "fe80::99", dst: "ff02::1:2"}
}

func ia(id byte, addrs ...string) dhcpv6.Option {
	o := &dhcpv6.OptIANA{IaId: [4]byte{3: id}}
	for _, a := range addrs {
		o.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP(a)})
	}
	return o
}

func (c *client6) packet(kind dhcpv6.MessageType, opts ...dhcpv6.Option) dhcpsrv.Packet {
	m := &dhcpv6.Message{MessageType: kind, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	if c.duid != nil {
		m.AddOption(dhcpv6.OptClientID(c.duid))
	}
	m.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionNTPServer,
		dhcpv6.OptionBootfileURL, dhcpv6.OptionBootfileParam))
	for _, o := range opts {
		m.AddOption(o)
	}
	p := dhcpsrv.Packet{Data: m.ToBytes(), Link: "eth0", Src: netip.AddrPortFrom(ip(c.src), 546), Dst: ip(c.dst)}
	if c.wrap != nil {
		p.Data, p.Src, p.Dst, p.Link = c.wrap(m).ToBytes(), netip.MustParseAddrPort("[2001:db8:3::9]:547"), ip("2001:db8:1::1"), "eth9"
	}
	return p
}

// send returns the reply, or nil for silence. What is answered must be what is explained.
func (c *client6) send(kind dhcpv6.MessageType, opts ...dhcpv6.Option) *dhcpv6.Message {
	c.t.Helper()
	p := c.packet(kind, opts...)
	x := c.s.Explain6(context.Background(), p)
	r, ok := c.s.Handle6(context.Background(), p)
	if ok != (x.Reply != "") {
		c.t.Fatalf("answered %v, explained as %+v", ok, x)
	}
	if !ok {
		return nil
	}
	m, err := dhcpv6.FromBytes(r.Data)
	if err != nil {
		c.t.Fatalf("reply cannot be read: %v", err)
	}
	inner, err := m.GetInnerMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	return inner
}

// addrs are the addresses of a reply with a lifetime.
func addrs(m *dhcpv6.Message) (out []string) {
	for _, ia := range m.Options.IANA() {
		for _, a := range ia.Options.Addresses() {
			if a.ValidLifetime > 0 {
				out = append(out, a.IPv6Addr.String())
			}
		}
	}
	return out
}

func iaStatus(m *dhcpv6.Message) (out []iana.StatusCode) {
	for _, ia := range m.Options.IANA() {
		if s := ia.Options.Status(); s != nil {
			out = append(out, s.StatusCode)
		}
	}
	return out
}

// bind gets an address in four messages.
func (c *client6) bind(ias ...dhcpv6.Option) *dhcpv6.Message {
	c.t.Helper()
	adv := c.send(dhcpv6.MessageTypeSolicit, ias...)
	if adv == nil || adv.MessageType != dhcpv6.MessageTypeAdvertise {
		c.t.Fatalf("no ADVERTISE: %v", adv)
	}
	opts := []dhcpv6.Option{dhcpv6.OptServerID(adv.Options.ServerID())}
	for _, ia := range adv.Options.IANA() {
		opts = append(opts, ia)
	}
	rep := c.send(dhcpv6.MessageTypeRequest, opts...)
	if rep == nil || rep.MessageType != dhcpv6.MessageTypeReply {
		c.t.Fatalf("no REPLY: %v", rep)
	}
	if diff := cmp.Diff(addrs(adv), addrs(rep)); diff != "" {
		c.t.Errorf("advertised and given (-+):\n%s", diff)
	}
	return rep
}

func TestFourMessages6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &recordingStore{}
		var events []string
		s := newServer(t, dhcpsrv.Config{Store: store, Events: func(e dhcpsrv.Event) { events = append(events, e.Kind.String()) }}, office6())
		c := newClient6(t, s, "02:00:00:00:00:01")
		adv := c.send(dhcpv6.MessageTypeSolicit, ia(1))
		if len(store.batch) != 0 || len(addrs(adv)) != 1 {
			t.Errorf("SOLICIT: %d writes, offered %v", len(store.batch), addrs(adv))
		}
		rep := c.bind(ia(1))
		server := rep.Options.ServerID()
		if diff := cmp.Diff([]string{"office.test", "example.test"}, rep.Options.DomainSearchList().Labels); diff != "" {
			t.Error(diff)
		}
		if dns := rep.Options.DNS(); len(dns) != 1 || dns[0].String() != "2001:db8:1::1" {
			t.Errorf("DNS %v", dns)
		}
		if ntp := rep.Options.NTPServers(); len(ntp) != 1 || ntp[0].String() != "2001:db8:1::1" {
			t.Errorf("NTP %v", ntp)
		}
		addr := addrs(rep)[0]
		l, ok := s.Lookup(ip(addr))
		if !ok || l.MAC.String() != "02:00:00:00:00:01" || l.IAID != 1 || !bytes.Equal(l.DUID, c.duid.ToBytes()) || l.Subnet != "office6" {
			t.Errorf("lease %+v", l)
		}
		if got := rep.Options.OneIANA(); got.T1 != 5*time.Minute || got.T2 != 8*time.Minute {
			t.Errorf("T1 %v T2 %v", got.T1, got.T2)
		}
		time.Sleep(5 * time.Minute)
		if again := c.send(dhcpv6.MessageTypeRenew, dhcpv6.OptServerID(server), ia(1, addr)); addrs(again)[0] != addr {
			t.Errorf("renewed as %v", addrs(again))
		}
		if again := c.send(dhcpv6.MessageTypeRebind, ia(1, addr)); addrs(again)[0] != addr {
			t.Errorf("rebound as %v", addrs(again))
		}
		if rel := c.send(dhcpv6.MessageTypeRelease, dhcpv6.OptServerID(server), ia(1, addr)); rel.Options.Status().StatusCode != iana.StatusSuccess {
			t.Errorf("RELEASE: %v", rel)
		}
		if rel := c.send(dhcpv6.MessageTypeRelease, dhcpv6.OptServerID(server), ia(1, addr)); iaStatus(rel)[0] != iana.StatusNoBinding {
			t.Errorf("second RELEASE: %v", rel)
		}
		if again := addrs(c.bind(ia(1)))[0]; again != addr {
			t.Errorf("after the release got %s, before %s", again, addr)
		}
		time.Sleep(time.Hour)
		c.send(dhcpv6.MessageTypeInformationRequest)
		synctest.Wait()
		if diff := cmp.Diff([]string{"granted", "renewed", "renewed", "released", "granted", "expired"}, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestRapidCommit6(t *testing.T) {
	snap := office6()
	snap.Subnets[0].RapidCommit = true
	s := newServer(t, dhcpsrv.Config{}, snap)
	c := newClient6(t, s, "02:00:00:00:00:01")
	rep := c.send(dhcpv6.MessageTypeSolicit, &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit}, ia(1))
	if rep.MessageType != dhcpv6.MessageTypeReply || rep.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
		t.Fatalf("reply %v", rep)
	}
	if _, ok := s.Lookup(ip(addrs(rep)[0])); !ok {
		t.Error("not leased")
	}
}

func TestSeveralIAs(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office6())
	got := addrs(newClient6(t, s, "02:00:00:00:00:01").bind(ia(1), ia(2), ia(3)))
	slices.Sort(got)
	if len(slices.Compact(got)) != 3 {
		t.Errorf("three IAs got %v", got)
	}
}

// The last of nine clients finds a pool of eight empty; when one ends its lease, it gets that address.
func TestExhausted6(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office6())
	seen := map[string]*dhcpv6.Message{}
	var first *client6
	for i := range 8 {
		c := newClient6(t, s, net.HardwareAddr{2, 0, 0, 0, 0, byte(i)}.String())
		rep := c.bind(ia(1))
		seen[addrs(rep)[0]] = rep
		if first == nil {
			first = c
		}
	}
	if len(seen) != 8 {
		t.Fatalf("%d addresses for 8 clients", len(seen))
	}
	late := newClient6(t, s, "02:00:00:00:00:99")
	if adv := late.send(dhcpv6.MessageTypeSolicit, ia(1)); adv == nil || iaStatus(adv)[0] != iana.StatusNoAddrsAvail {
		t.Fatalf("ADVERTISE %v", adv)
	}
	rep := first.send(dhcpv6.MessageTypeRebind, ia(1))
	addr := addrs(rep)[0]
	first.send(dhcpv6.MessageTypeRelease, dhcpv6.OptServerID(rep.Options.ServerID()), ia(1, addr))
	if got := addrs(late.bind(ia(1)))[0]; got != addr {
		t.Errorf("got %s, free was %s", got, addr)
	}
}

func TestReservations6(t *testing.T) {
	snap := office6()
	mac, _ := net.ParseMAC("52:54:00:77:e1:97")
	snap.Reservations = []dhcpsrv.Reservation{
		{Name: "by-duid", DUID: []byte("\x00\x04uuid-of-the-node"), Addr: ip("2001:db8:1::d")},
		{Name: "by-mac", MAC: mac, Addr: ip("2001:db8:1::e"), Hostname: "node"},
	}
	s := newServer(t, dhcpsrv.Config{}, snap)
	c := newClient6(t, s, "02:00:00:00:00:01")
	c.duid = &dhcpv6.DUIDOpaque{Type: 4, Data: []byte("uuid-of-the-node")}
	if got := addrs(c.bind(ia(1))); got[0] != "2001:db8:1::d" {
		t.Errorf("by DUID: %v", got)
	}
	// Firmware with a DUID of its own, which tells its link address only by where it sends from; then the system, whose
	// DUID holds it: one machine, one address.
	c.duid, c.src = &dhcpv6.DUIDOpaque{Type: 4, Data: []byte("another uuid her")}, "fe80::5054:ff:fe77:e197"
	if got := addrs(c.bind(ia(7))); got[0] != "2001:db8:1::e" {
		t.Errorf("by link-local address: %v", got)
	}
	system := newClient6(t, s, mac.String())
	rep := system.bind(ia(9))
	if got := addrs(rep); got[0] != "2001:db8:1::e" {
		t.Errorf("by DUID-LL: %v", got)
	}
	if l, _ := s.Lookup(ip("2001:db8:1::e")); l.IAID != 9 {
		t.Errorf("lease %+v", l)
	}
	stranger := newClient6(t, s, "02:00:00:00:00:02")
	if got := addrs(stranger.bind(ia(1, "2001:db8:1::e"))); slices.Contains(got, "2001:db8:1::e") {
		t.Errorf("a stranger got a reserved address: %v", got)
	}
}

// Two relays, the inner one with an interface identifier and option 79.
func TestRelays6(t *testing.T) {
	snap := office6()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	snap.Reservations = []dhcpsrv.Reservation{{MAC: mac, Addr: ip("2001:db8:2::77")}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	c := newClient6(t, s, "02:00:00:00:00:01")
	c.duid = &dhcpv6.DUIDOpaque{Type: 4, Data: []byte("uuid-of-the-node")}
	c.wrap = func(m *dhcpv6.Message) dhcpv6.DHCPv6 {
		inner, err := dhcpv6.EncapsulateRelay(m, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:2::1"), net.ParseIP("fe80::5"))
		if err != nil {
			t.Fatal(err)
		}
		inner.AddOption(dhcpv6.OptInterfaceID([]byte("port 7")))
		inner.AddOption(dhcpv6.OptClientLinkLayerAddress(iana.HWTypeEthernet, mac))
		outer, err := dhcpv6.EncapsulateRelay(inner, dhcpv6.MessageTypeRelayForward, net.IPv6unspecified, net.ParseIP("fe80::6"))
		if err != nil {
			t.Fatal(err)
		}
		outer.AddOption(dhcpv6.OptInterfaceID([]byte("uplink")))
		return outer
	}
	if got := addrs(c.bind(ia(1))); got[0] != "2001:db8:2::77" {
		t.Errorf("got %v", got)
	}
	l, _ := s.Lookup(ip("2001:db8:2::77"))
	if string(l.CircuitID) != "port 7" || l.Relay != ip("2001:db8:2::1") || l.MAC.String() != mac.String() {
		t.Errorf("lease %+v", l)
	}
	r, ok := s.Handle6(context.Background(), c.packet(dhcpv6.MessageTypeSolicit, ia(1)))
	if !ok || r.Dst != netip.MustParseAddrPort("[2001:db8:3::9]:547") || r.Link != "" {
		t.Fatalf("reply to %v on %q", r.Dst, r.Link)
	}
	m, err := dhcpv6.FromBytes(r.Data)
	if err != nil {
		t.Fatal(err)
	}
	outer := m.(*dhcpv6.RelayMessage)
	inner := outer.Options.RelayMessage().(*dhcpv6.RelayMessage)
	if string(outer.Options.InterfaceID()) != "uplink" || string(inner.Options.InterfaceID()) != "port 7" || outer.HopCount != 1 ||
		!inner.PeerAddr.Equal(net.ParseIP("fe80::5")) {
		t.Errorf("outer %v", outer)
	}
}

func TestOtherMessages6(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office6())
	c := newClient6(t, s, "02:00:00:00:00:01")
	rep := c.bind(ia(1))
	server, addr := dhcpv6.OptServerID(rep.Options.ServerID()), addrs(rep)[0]
	if m := c.send(dhcpv6.MessageTypeConfirm, ia(1, addr)); m.Options.Status().StatusCode != iana.StatusSuccess {
		t.Errorf("CONFIRM at home: %v", m)
	}
	if m := c.send(dhcpv6.MessageTypeConfirm, ia(1, "2001:db8:9::1")); m.Options.Status().StatusCode != iana.StatusNotOnLink {
		t.Errorf("CONFIRM elsewhere: %v", m)
	}
	if m := c.send(dhcpv6.MessageTypeConfirm, ia(1)); m != nil {
		t.Errorf("CONFIRM of nothing: %v", m)
	}
	if m := c.send(dhcpv6.MessageTypeRequest, server, ia(1, "2001:db8:9::1")); iaStatus(m)[0] != iana.StatusNotOnLink {
		t.Errorf("REQUEST of an address of elsewhere: %v", m)
	}
	other := dhcpv6.OptServerID(&dhcpv6.DUIDOpaque{Type: 9, Data: []byte("another")})
	if m := c.send(dhcpv6.MessageTypeRequest, other, ia(1)); m != nil {
		t.Errorf("REQUEST to another server: %v", m)
	}
	if m := c.send(dhcpv6.MessageTypeSolicit, server, ia(1)); m != nil {
		t.Errorf("SOLICIT with a server: %v", m)
	}
	c.dst = "2001:db8:1::1"
	if m := c.send(dhcpv6.MessageTypeRenew, server, ia(1, addr)); m.Options.Status().StatusCode != iana.StatusUseMulticast {
		t.Errorf("unicast: %v", m)
	}
	c.dst = "ff02::1:2"
	if m := c.send(dhcpv6.MessageTypeDecline, server, ia(1, addr)); m.Options.Status().StatusCode != iana.StatusSuccess {
		t.Errorf("DECLINE: %v", m)
	}
	if got := addrs(c.bind(ia(1)))[0]; got == addr {
		t.Error("got the declined address again")
	}
	c.duid = nil
	if m := c.send(dhcpv6.MessageTypeInformationRequest); m == nil || len(m.Options.DNS()) != 1 || m.Options.ClientID() != nil {
		t.Errorf("INFORMATION-REQUEST: %v", m)
	}
	if m := c.send(dhcpv6.MessageTypeSolicit, ia(1)); m != nil {
		t.Errorf("SOLICIT of nobody: %v", m)
	}
	if n := s.Stats().Reasons["other-server"]; n != 1 {
		t.Errorf("other-server counted %d times", n)
	}
}

func TestBoot6(t *testing.T) {
	boot := dhcpsrv.BootSelectorFunc(func(_ context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
		switch {
		case slices.Contains(q.UserClasses, "iPXE"):
			return dhcpsrv.BootAnswer{File: "http://[2001:db8:1::1]/boot.ipxe"}, true
		case slices.Contains(q.Arch, 16):
			return dhcpsrv.BootAnswer{File: "http://[2001:db8:1::1]/uki.efi"}, true
		case slices.Contains(q.Arch, 7):
			return dhcpsrv.BootAnswer{File: "shimx64.efi", NextServer: q.Server, Params: []string{"console=ttyS0", "quiet"}}, true
		}
		return dhcpsrv.BootAnswer{}, false
	})
	s := newServer(t, dhcpsrv.Config{Boot: boot}, office6())
	c := newClient6(t, s, "02:00:00:00:00:01")
	arch := func(a iana.Arch) dhcpv6.Option { return dhcpv6.OptClientArchType(a) }
	class := func(text string) dhcpv6.Option {
		return &dhcpv6.OptVendorClass{EnterpriseNumber: 343, Data: [][]byte{[]byte(text)}}
	}
	bare := &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionUserClass, OptionData: []byte("iPXE")} // as iPXE sends it
	for _, test := range []struct {
		name, url string
		params    []string
		opts      []dhcpv6.Option
	}{
		{"UEFI", "tftp://[2001:db8:1::1]/shimx64.efi", []string{"console=ttyS0", "quiet"}, []dhcpv6.Option{arch(7), class("PXEClient:Arch:00007:UNDI:003016"), ia(1)}},
		{"HTTP", "http://[2001:db8:1::1]/uki.efi", nil, []dhcpv6.Option{arch(16), class("HTTPClient:Arch:00016:UNDI:003001"), ia(1)}},
		{"iPXE", "http://[2001:db8:1::1]/boot.ipxe", nil, []dhcpv6.Option{arch(7), bare, ia(1)}},
		{"system", "", nil, []dhcpv6.Option{ia(1)}},
	} {
		m := c.send(dhcpv6.MessageTypeSolicit, test.opts...)
		if got := m.Options.BootFileURL(); got != test.url {
			t.Errorf("%s: URL %q, want %q", test.name, got, test.url)
		}
		if vc := m.Options.VendorClass(343); (test.name == "HTTP") != (len(vc) == 1 && string(vc[0]) == "HTTPClient") {
			t.Errorf("%s: vendor class %q", test.name, vc)
		}
		if diff := cmp.Diff(test.params, m.Options.BootFileParam()); diff != "" {
			t.Errorf("%s: parameters (-want +got)\n%s", test.name, diff)
		}
	}
}

// Leases of both families share a journal and outlive the server.
func TestJournal6(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	journal := openJournal(t, path)
	s := newServer(t, dhcpsrv.Config{Store: journal}, office6())
	c := newClient6(t, s, "02:00:00:00:00:01")
	rep := c.bind(ia(1), ia(2))
	before := slices.Collect(s.Leases())
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	c.s = newServer(t, dhcpsrv.Config{Store: openJournal(t, path)}, office6())
	if after := slices.Collect(c.s.Leases()); len(after) != 2 || !bytes.Equal(after[1].DUID, before[1].DUID) || after[1].IAID != before[1].IAID {
		t.Errorf("leases %+v, before %+v", after, before)
	}
	if diff := cmp.Diff(addrs(rep), addrs(c.bind(ia(1), ia(2)))); diff != "" {
		t.Errorf("other addresses after the restart:\n%s", diff)
	}
}

// When the store fails, the client gets no answer and the address is free again.
func TestCommitFails6(t *testing.T) {
	store := &failing6{}
	s := newServer(t, dhcpsrv.Config{Store: store}, office6())
	c := newClient6(t, s, "02:00:00:00:00:01")
	adv := c.send(dhcpv6.MessageTypeSolicit, ia(1))
	p := c.packet(dhcpv6.MessageTypeRequest, dhcpv6.OptServerID(adv.Options.ServerID()), ia(1))
	store.fail = true
	if _, ok := s.Handle6(context.Background(), p); ok {
		t.Error("answered without a commit")
	}
	for l := range s.Leases() {
		t.Errorf("left behind: %+v", l)
	}
	store.fail = false
	if _, ok := s.Handle6(context.Background(), p); !ok {
		t.Error("no answer once the store works")
	}
}

type failing6 struct {
	dhcpsrv.MemStore
	fail bool
}

func (f *failing6) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	if f.fail {
		return context.DeadlineExceeded
	}
	return f.MemStore.Commit(ctx, batch)
}

func TestUpdateRefuses6(t *testing.T) {
	for _, test := range []struct {
		want   string
		change func(*dhcpsrv.Snapshot)
	}{
		{`subnet "office6": server address`, func(s *dhcpsrv.Snapshot) { s.Subnets[0].Server = ip("192.0.2.1") }},
		{`package radv`, func(s *dhcpsrv.Snapshot) { s.Subnets[0].MTU = 1400 }},
		{`overlaps 2001:db8::/32`, func(s *dhcpsrv.Snapshot) {
			s.Subnets[1].Prefix, s.Subnets[1].Pools = netip.MustParsePrefix("2001:db8::/32"), nil
		}},
		{`leaves the usable addresses`, func(s *dhcpsrv.Snapshot) { s.Subnets[0].Pools[0].Last = ip("2001:db8:9::") }},
		{`already reserved`, func(s *dhcpsrv.Snapshot) {
			r := dhcpsrv.Reservation{DUID: []byte("abc"), Addr: ip("2001:db8:1::5")}
			s.Reservations = []dhcpsrv.Reservation{r, r}
		}},
		{`names neither a MAC nor a DUID`, func(s *dhcpsrv.Snapshot) {
			s.Reservations = []dhcpsrv.Reservation{{Addr: ip("2001:db8:1::5")}}
		}},
		{`option 3 of DHCPv6`, func(s *dhcpsrv.Snapshot) { s.Options6 = dhcpsrv.Options{{Code: 3}} }},
	} {
		snap := office6()
		test.change(&snap)
		err := newServer(t, dhcpsrv.Config{}, office6()).Update(snap)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v\nwant %s", err, test.want)
		}
	}
}

// FuzzHandle6 gives the server sequences of packets: nothing panics, what is answered is what was explained, and an address
// is told to a client as its own only after a commit of just that lease.
func FuzzHandle6(f *testing.F) {
	seed := newClient6(f, newServer(f, dhcpsrv.Config{}, office6()), "02:00:00:00:00:01")
	solicit := seed.packet(dhcpv6.MessageTypeSolicit, ia(1), ia(2))
	r, _ := seed.s.Handle6(context.Background(), solicit)
	m, err := dhcpv6.MessageFromBytes(r.Data)
	if err != nil {
		f.Fatal(err)
	}
	id, addr := dhcpv6.OptServerID(m.Options.ServerID()), addrs(m)[0]
	f.Add(joinPackets(solicit.Data, seed.packet(dhcpv6.MessageTypeRequest, id, ia(1, addr)).Data, seed.packet(dhcpv6.MessageTypeRelease, id, ia(1, addr)).Data))
	f.Add(joinPackets(seed.packet(dhcpv6.MessageTypeRebind, ia(1, addr)).Data, seed.packet(dhcpv6.MessageTypeDecline, id, ia(1, addr)).Data))
	f.Add(joinPackets(seed.packet(dhcpv6.MessageTypeConfirm, ia(1, addr)).Data, seed.packet(dhcpv6.MessageTypeInformationRequest).Data))
	f.Add(joinPackets(seed.packet(dhcpv6.MessageTypeSolicit, pd(1), ia(1)).Data, seed.packet(dhcpv6.MessageTypeRequest, id, pd(1), pd(2, "2001:db8:f000::/60"), pd(3, "::/56")).Data,
		seed.packet(dhcpv6.MessageTypeRelease, id, pd(1, "2001:db8:f000::/60")).Data))
	relayed, err := dhcpv6.EncapsulateRelay(m, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:2::1"), net.ParseIP("fe80::5"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(joinPackets(relayed.ToBytes()))
	_, packets := firmwarePackets(f, "testdata/firmware6.txt")
	f.Add(joinPackets(packets...))
	f.Fuzz(func(t *testing.T, data []byte) {
		store := &recordingStore{}
		snap := branches()
		snap.Subnets[0].RapidCommit = true
		s := newServer(t, dhcpsrv.Config{Store: store, Boot: dhcpsrv.BootSelectorFunc(bootByFirmware)}, snap)
		for n := 0; len(data) > 2 && n < 8; n++ {
			size := min(int(data[0])<<8|int(data[1]), len(data)-2)
			p := dhcpsrv.Packet{Data: data[2 : 2+size], Link: "eth0", Src: netip.MustParseAddrPort("[fe80::9]:546"), Dst: ip("ff02::1:2")}
			data = data[2+size:]
			store.batch = nil
			x := s.Explain6(t.Context(), p)
			r, ok := s.Handle6(t.Context(), p)
			if ok != (x.Reply != "") {
				t.Fatalf("answered %v, explained as %q because %v", ok, x.Reply, x.Reason)
			}
			if !ok {
				continue
			}
			if limit := len(p.Data) + 4096; len(r.Data) > limit {
				t.Fatalf("reply of %d bytes to %d", len(r.Data), len(p.Data))
			}
			if x.Reply == "REPLY" && x.Addr.IsValid() && !slices.ContainsFunc(store.batch, func(l dhcpsrv.Lease) bool { return l.Addr == x.Addr && l.State == dhcpsrv.Bound }) {
				t.Fatalf("gave %v without a commit", x.Addr)
			}
			if x.Reply == "REPLY" && x.Prefix.IsValid() && !slices.ContainsFunc(store.batch, func(l dhcpsrv.Lease) bool { return l.Addr == x.Prefix.Addr() && l.State == dhcpsrv.Bound }) {
				t.Fatalf("gave %v without a commit", x.Prefix)
			}
		}
		if st := s.Stats(); st.Panics != 0 {
			t.Fatalf("%d panics", st.Panics)
		}
	})
}
