package region_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
	"github.com/gomaas/maas/store/inventory"
)

// fleet is a region and racks that all serve one network, with machines.
type fleet struct {
	t        testing.TB
	inv      *inventory.Inventory
	racks    []*rack.Rack
	machines []inventory.Machine
	subnet   ipam.Subnet
	traffic  atomic.Int64 // bytes between racks and region over TLS
}

func macOf(n int) net.HardwareAddr {
	return net.HardwareAddr{2, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func rackName(n int) string {
	if n == 0 {
		return "rack"
	}
	return fmt.Sprint("rack", n)
}

func newFleet(t *testing.T, racks, machines, records int) *fleet {
	f := &fleet{t: t}
	cfg := region.Config{Dir: t.TempDir()}
	var sockets region.Sockets
	overTLS := os.Getenv("MAAS_PROPAGATION_TLS") != ""
	if overTLS {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ok(t, err)
		cfg.Advertise, sockets.Racks = []string{ln.Addr().String()}, []net.Listener{ln}
	}
	r := runningOn(t, cfg, sockets)
	f.inv = r.Inventory()
	ctx := t.Context()
	var err error
	f.subnet, err = f.inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/14")})
	ok(t, err)
	vlan, err := f.inv.VLANs.Get(ctx, f.subnet.VLANID)
	ok(t, err)
	vlan.DHCP, vlan.PrimaryRack = true, rackName(0)
	for i := range racks {
		link := inventory.RackLink{Name: "eth0", Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 14)}}
		_, err := f.inv.RegisterRack(ctx, inventory.Rack{Name: rackName(i), Links: []inventory.RackLink{link}})
		ok(t, err)
	}
	ok(t, errOf(f.inv.VLANs.Update(ctx, vlan)))
	ok(t, f.inv.Atomically(ctx, func(ctx context.Context) error { return f.fill(ctx, machines, records) }))
	for i := range racks {
		dial := rpc.Loopback(r.RPC(), rackName(i))
		if overTLS {
			dial = f.enrolled(t, r, rackName(i))
		}
		f.racks = append(f.racks, f.serve(t, dial))
	}
	return f
}

func (f *fleet) fill(ctx context.Context, machines, records int) error {
	a := netip.MustParseAddr("10.1.0.0")
	for i := range machines {
		m, _, err := f.inv.Enlist(ctx, inventory.Enlistment{MAC: macOf(i), Hostname: fmt.Sprint("node", i)})
		if err != nil {
			return err
		}
		a = a.Next()
		if _, err := f.inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: f.subnet.ID, Addr: a}); err != nil {
			return err
		}
		f.machines = append(f.machines, m)
	}
	for i := range records {
		r := inventory.DNSRecord{Name: fmt.Sprint("record", i), Type: "A", Data: netip.AddrFrom4([4]byte{10, 2 + byte(i>>16), byte(i >> 8), byte(i)}).String()}
		if _, err := f.inv.Records.Create(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// enrolled lets a rack in, and connects it over TLS. What goes over the wire is counted.
func (f *fleet) enrolled(t *testing.T, r *region.Region, name string) func(context.Context) (rpc.Conn, error) {
	token, err := r.NewToken(t.Context(), inventory.RackToken{Rack: name, Expires: time.Now().Add(time.Hour)})
	ok(t, err)
	id, addresses, err := enrol.Join(t.Context(), token, name)
	ok(t, err)
	d := &wire.Dialer{Regions: func() []string { return addresses }, TLS: id.TLS, Timeout: time.Minute}
	d.Net = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return countedConn{conn, &f.traffic}, err
	}
	return d.Dial
}

// countedConn adds up what goes over it, both ways.
type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

// Read counts what it reads.
func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

// Write counts what it writes.
func (c countedConn) Write(b []byte) (int, error) {
	c.bytes.Add(int64(len(b)))
	return c.Conn.Write(b)
}

// serve runs a rack without sockets until the test ends.
func (f *fleet) serve(t *testing.T, dial func(context.Context) (rpc.Conn, error)) *rack.Rack {
	r, err := rack.New(rack.Config{Dir: t.TempDir(), Dial: dial, Log: slog.New(slog.DiscardHandler)})
	ok(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var sockets rack.Sockets
	if listen := os.Getenv("MAAS_PROPAGATION_DNS"); listen != "" && len(f.racks) == 0 {
		conn, err := net.ListenPacket("udp", listen)
		ok(t, err)
		sockets.DNSPacket = []net.PacketConn{conn}
	}
	go func() { done <- r.Serve(ctx, sockets) }()
	t.Cleanup(func() {
		stop()
		ok(t, <-done)
		ok(t, r.Close())
	})
	return r
}

// until waits until every rack shows something, and returns how long that took.
func (f *fleet) until(what string, shown func(*rack.Rack) bool) time.Duration {
	f.t.Helper()
	start := time.Now()
	for _, r := range f.racks {
		for !shown(r) {
			if time.Since(start) > time.Minute {
				f.t.Fatalf("%s: not served after a minute", what)
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	return time.Since(start)
}

func (f *fleet) answers(name, want string) func(*rack.Rack) bool {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	return func(r *rack.Rack) bool {
		m := handled(f.t.Context(), r.DNS(), q, netip.MustParseAddr("10.0.0.9"))
		return len(m.Answer) == 1 && m.Answer[0].(*dns.A).A.String() == want
	}
}

// offers tells whether a rack would offer a machine an address. Racks that do not serve the VLAN need not.
func (f *fleet) offers(mac net.HardwareAddr, want string) func(*rack.Rack) bool {
	p, err := dhcpv4.NewDiscovery(mac)
	ok(f.t, err)
	return func(r *rack.Rack) bool {
		if r != f.racks[0] {
			return true
		}
		return r.DHCP().Explain(f.t.Context(), dhcpsrv.Packet{Data: p.ToBytes(), Link: "eth0"}).Addr.String() == want
	}
}

func (f *fleet) boots(mac net.HardwareAddr, want string) func(*rack.Rack) bool {
	return func(r *rack.Rack) bool {
		p, err := r.Profiles().Resolve(f.t.Context(), pxe.Request{MAC: mac})
		return err == nil && p.Name == want
	}
}

// TestPropagation makes changes and waits until each is served by every rack: a name, a reservation, a boot profile, whom the
// proxy serves. With
// MAAS_PROPAGATION="racks machines records rounds" it is a measurement, and with MAAS_PROPAGATION_DNS=127.0.0.1:5353 the
// first rack's names can be asked for meanwhile. MAAS_PROPAGATION_TLS=1 has the racks connect over TLS, and
// MAAS_PROPAGATION_IDLE=30s counts for that time what then still goes over the wire.
func TestPropagation(t *testing.T) {
	racks, machines, records, rounds := 2, 50, 20, 5
	if size := os.Getenv("MAAS_PROPAGATION"); size != "" {
		_, err := fmt.Sscan(size, &racks, &machines, &records, &rounds)
		ok(t, err)
	}
	f := newFleet(t, racks, machines, records)
	first := f.until("the site", f.offers(macOf(machines-1), f.address(machines-1)))
	first += f.until("the names", f.answers(fmt.Sprintf("node%d.maas.", machines-1), f.address(machines-1)))
	t.Logf("%d racks, %d machines, %d records: all served after %v", racks, machines, records, first)
	took := map[string][]time.Duration{}
	for i := range rounds {
		for kind, change := range map[string]func(int) time.Duration{"record": f.changeRecord, "reservation": f.changeAddress, "profile": f.changeProfile, "proxy": f.changeProxy} {
			took[kind] = append(took[kind], change(i))
		}
	}
	for kind, all := range took {
		slices.Sort(all)
		t.Logf("%s: median %v, p99 %v", kind, all[len(all)/2], all[len(all)*99/100])
	}
	if idle, err := time.ParseDuration(os.Getenv("MAAS_PROPAGATION_IDLE")); err == nil {
		before := f.traffic.Load()
		time.Sleep(idle)
		t.Logf("idle: %.0f bytes/s per rack", float64(f.traffic.Load()-before)/idle.Seconds()/float64(racks))
	}
}

func (f *fleet) address(n int) string {
	return netip.AddrFrom4([4]byte{10, 1, byte((n + 1) >> 8), byte(n + 1)}).String()
}

func (f *fleet) changeRecord(i int) time.Duration {
	_, err := f.inv.Records.Create(f.t.Context(), inventory.DNSRecord{Name: fmt.Sprint("new", i), Type: "A", Data: "192.0.2.9"})
	ok(f.t, err)
	return f.until("record", f.answers(fmt.Sprintf("new%d.maas.", i), "192.0.2.9"))
}

func (f *fleet) changeAddress(i int) time.Duration {
	m, _, err := f.inv.Enlist(f.t.Context(), inventory.Enlistment{MAC: macOf(1<<20 + i), Hostname: fmt.Sprint("late", i)})
	ok(f.t, err)
	a := netip.AddrFrom4([4]byte{10, 3, byte(i >> 8), byte(i + 1)})
	_, err = f.inv.LinkInterface(f.t.Context(), m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: f.subnet.ID, Addr: a})
	ok(f.t, err)
	return f.until("reservation", f.offers(macOf(1<<20+i), a.String()))
}

func (f *fleet) changeProfile(i int) time.Duration {
	n := i % len(f.machines)
	m, err := f.inv.MachineByMAC(f.t.Context(), macOf(n))
	ok(f.t, err)
	m.Profile = &pxe.Profile{Name: fmt.Sprint("own", i), Kind: pxe.Local}
	_, err = f.inv.Machines.Update(f.t.Context(), m)
	ok(f.t, err)
	return f.until("profile", f.boots(macOf(n), fmt.Sprint("own", i)))
}

// changeProxy lets a subnet use the proxy, or takes that back.
func (f *fleet) changeProxy(i int) time.Duration {
	s, err := f.inv.Subnets.Get(f.t.Context(), f.subnet.ID)
	ok(f.t, err)
	s.DenyProxy = i%2 == 0
	ok(f.t, errOf(f.inv.Subnets.Update(f.t.Context(), s)))
	ask := httptest.NewRequest("GET", "/not-a-proxy-request", nil)
	ask.RemoteAddr = "10.0.0.9:1024"
	want := map[bool]int{true: http.StatusForbidden, false: http.StatusBadRequest}[s.DenyProxy]
	return f.until("proxy", func(r *rack.Rack) bool {
		w := httptest.NewRecorder()
		r.Proxy().ServeHTTP(w, ask)
		return w.Code == want
	})
}

// A domain that is signed is answered with signatures, by the key that the domain's DS record names.
func TestSignedDomainsAreServedSigned(t *testing.T) {
	f := newFleet(t, 1, 1, 0)
	d, err := f.inv.Domains.Create(t.Context(), inventory.Domain{Name: "lab", Signed: true})
	ok(t, err)
	_, err = f.inv.Records.Create(t.Context(), inventory.DNSRecord{DomainID: d.ID, Name: "web", Type: "A", Data: "192.0.2.9"})
	ok(t, err)
	ask := func(r *rack.Rack, name string, qtype uint16) []dns.RR {
		q := new(dns.Msg)
		q.SetQuestion(name, qtype)
		q.SetEdns0(1232, true)
		return handled(t.Context(), r.DNS(), q, netip.MustParseAddr("10.0.0.9")).Answer
	}
	f.until("signed answer", func(r *rack.Rack) bool { return len(ask(r, "web.lab.", dns.TypeA)) == 2 })
	var key *dns.DNSKEY
	for _, rr := range ask(f.racks[0], "lab.", dns.TypeDNSKEY) {
		if k, is := rr.(*dns.DNSKEY); is {
			key = k
		}
	}
	if key == nil {
		t.Fatal("the zone has no key")
	}
	answer := ask(f.racks[0], "web.lab.", dns.TypeA)
	ok(t, answer[1].(*dns.RRSIG).Verify(key, answer[:1]))
	want, err := f.inv.SigningKey(d).DS("lab")
	ok(t, err)
	if ds := key.ToDS(dns.SHA256); !strings.EqualFold(ds.Digest, want[strings.LastIndex(want, " ")+1:]) {
		t.Errorf("the zone's key gives %v, the domain says %s", ds, want)
	}
	if answer := ask(f.racks[0], "node0.maas.", dns.TypeA); len(answer) != 1 {
		t.Errorf("a domain that is not signed: %v", answer)
	}
}

// errOf keeps the error of a call that returns a value too.
func errOf[T any](_ T, err error) error { return err }

// handled returns the answer of a DNS server to a message.
func handled(ctx context.Context, s *dnssrv.Server, q *dns.Msg, client netip.Addr) *dns.Msg {
	in, err := q.Pack()
	if err != nil {
		panic(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(s.Handle(ctx, in, client)); err != nil {
		panic(err)
	}
	return m
}
