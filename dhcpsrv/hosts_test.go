package dhcpsrv_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/gomaas/maas/dhcpsrv"
)

var hostMAC = net.HardwareAddr{2, 0, 0, 0, 0, 7}

// answers is a Hosts that gives every client one answer and counts the calls.
func answers(h dhcpsrv.Host, calls *atomic.Int32) dhcpsrv.HostsFunc {
	return func(context.Context, dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		if calls != nil {
			calls.Add(1)
		}
		return h, nil
	}
}

func TestHostsGiveAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		s := newServer(t, dhcpsrv.Config{Hosts: answers(dhcpsrv.Host{
			Addr: ip("192.0.2.70"), Hostname: "node-7", LeaseTime: time.Hour, Options: dhcpsrv.Options{dhcpsrv.TextOption(252, "http://wpad")},
			Boot: dhcpsrv.BootAnswer{File: "node-7.efi"}, Keep: time.Minute,
		}, &calls)}, office())
		c := newClient(t, s, hostMAC, dhcpv4.WithRequestedOptions(dhcpv4.OptionHostName, dhcpv4.GenericOptionCode(252)))
		if a := c.dora(); a != ip("192.0.2.70") {
			t.Errorf("got %v", a)
		}
		ack, _ := c.send(dhcpv4.MessageTypeRequest, withWanted(net.IP{192, 0, 2, 70}))
		if got := ack.HostName(); got != "node-7" {
			t.Errorf("host name %q", got)
		}
		if got := string(ack.Options.Get(dhcpv4.GenericOptionCode(252))); got != "http://wpad" {
			t.Errorf("option 252 %q", got)
		}
		if got := ack.IPAddressLeaseTime(0); got != time.Hour {
			t.Errorf("lease time %v", got)
		}
		if ack.BootFileName != "node-7.efi" {
			t.Errorf("boot file %q", ack.BootFileName)
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls for one client", n)
		}
		time.Sleep(61 * time.Second)
		c.send(dhcpv4.MessageTypeRequest, withWanted(net.IP{192, 0, 2, 70}))
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls after the time of the answer", n)
		}
		// The address belongs to the client: another one gets an answer of its own.
		other := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, 8})
		if offer, _ := other.send(dhcpv4.MessageTypeDiscover); offer != nil {
			t.Errorf("the address of another client was offered: %v", offer.YourIPAddr)
		}
	})
}

func TestHostsActions(t *testing.T) {
	for name, tt := range map[string]struct {
		host    dhcpsrv.Host
		err     error
		offer   string // "" = silence
		request dhcpv4.MessageType
		reason  string
	}{
		"pool":          {offer: "192.0.2.10", request: dhcpv4.MessageTypeAck},
		"ignore":        {host: dhcpsrv.Host{Action: dhcpsrv.HostIgnore}, reason: "host-ignored"},
		"refuse":        {host: dhcpsrv.Host{Action: dhcpsrv.HostRefuse}, request: dhcpv4.MessageTypeNak, reason: "refused"},
		"error":         {err: errors.New("database is gone"), reason: "host-failed"},
		"other subnet":  {host: dhcpsrv.Host{Addr: ip("198.51.100.50")}, reason: "host-failed"},
		"no subnet":     {host: dhcpsrv.Host{Addr: ip("203.0.113.1")}, reason: "host-failed"},
		"the server":    {host: dhcpsrv.Host{Addr: server}, reason: "host-failed"},
		"broadcast":     {host: dhcpsrv.Host{Addr: ip("192.0.2.255")}, reason: "host-failed"},
		"reserved":      {host: dhcpsrv.Host{Addr: ip("192.0.2.60")}, reason: "host-failed"},
		"other family":  {host: dhcpsrv.Host{Addr: ip("2001:db8::1")}, reason: "host-failed"},
		"option":        {host: dhcpsrv.Host{Options: dhcpsrv.Options{{Code: 53, Data: []byte{1}}}}, reason: "host-failed"},
		"lease time":    {host: dhcpsrv.Host{LeaseTime: -1}, reason: "host-failed"},
		"keep":          {host: dhcpsrv.Host{Keep: -1}, reason: "host-failed"},
		"action":        {host: dhcpsrv.Host{Action: 9}, reason: "host-failed"},
		"two at once":   {host: dhcpsrv.Host{Action: dhcpsrv.HostIgnore, Addr: ip("192.0.2.70")}, reason: "host-failed"},
		"long hostname": {host: dhcpsrv.Host{Hostname: strings.Repeat("a", 256)}, reason: "host-failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			snap := office()
			snap.Reservations = []dhcpsrv.Reservation{{MAC: macOf(60), Addr: ip("192.0.2.60")}}
			s := newServer(t, dhcpsrv.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Hosts: dhcpsrv.HostsFunc(func(context.Context, dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
				return tt.host, tt.err
			})}, snap)
			c := newClient(t, s, hostMAC)
			offer, _ := c.send(dhcpv4.MessageTypeDiscover)
			if (offer != nil) != (tt.offer != "") {
				t.Fatalf("offer %v", offer)
			}
			packet := c.packet(dhcpv4.MessageTypeRequest, withWanted(net.IP{192, 0, 2, 101}))
			x := s.Explain(t.Context(), dhcpsrv.Packet{Data: packet.ToBytes(), Link: "eth0"})
			reply, _ := c.send(dhcpv4.MessageTypeRequest, withWanted(net.IP{192, 0, 2, 101}))
			if tt.request == 0 && reply != nil || tt.request != 0 && (reply == nil || reply.MessageType() != tt.request) {
				t.Errorf("reply to a request: %v", reply)
			}
			if tt.reason != "" && (x.Reason.String() != tt.reason || s.Stats().Reasons[tt.reason] == 0) {
				t.Errorf("explained by %v %q, counted %v", x.Reason, x.Steps, s.Stats().Reasons)
			}
			if tt.reason == "host-failed" && !strings.Contains(log.String(), "answer of Hosts not used") {
				t.Errorf("log: %s", log.String())
			}
			// A client with a reservation needs no answer.
			if a := newClient(t, s, macOf(60)).dora(); a != ip("192.0.2.60") {
				t.Errorf("the reserved client got %v", a)
			}
		})
	}
}

func TestHosts6(t *testing.T) {
	host := dhcpsrv.Host{Addr: ip("2001:db8:1::7:7"), LeaseTime: time.Hour, Options: dhcpsrv.Options{{Code: 24, Data: []byte("\x04rack\x00")}},
		Boot: dhcpsrv.BootAnswer{File: "http://[2001:db8:1::1]/a.efi"}}
	var got dhcpsrv.HostQuery
	s := newServer(t, dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(_ context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		got = q
		return host, nil
	})}, office6())
	c := newClient6(t, s, "02:00:00:00:00:07")
	m := c.bind(ia(1))
	if a := addrs(m); !slices.Equal(a, []string{"2001:db8:1::7:7"}) {
		t.Errorf("addresses %v", a)
	}
	if l := m.Options.DomainSearchList(); l == nil || !slices.Equal(l.Labels, []string{"rack"}) {
		t.Errorf("search list %v", l)
	}
	if m.Options.BootFileURL() != "http://[2001:db8:1::1]/a.efi" {
		t.Errorf("boot file %q", m.Options.BootFileURL())
	}
	if v := m.Options.IANA()[0].Options.Addresses()[0].ValidLifetime; v != time.Hour {
		t.Errorf("lease time %v", v)
	}
	if got.DUID == nil || !bytes.Equal(got.MAC, hostMAC) || got.Subnet != "office6" {
		t.Errorf("query %+v", got)
	}
	for name, tt := range map[string]struct {
		host   dhcpsrv.Host
		status []iana.StatusCode // nil = silence
	}{
		"refuse":       {dhcpsrv.Host{Action: dhcpsrv.HostRefuse}, []iana.StatusCode{iana.StatusNoAddrsAvail}},
		"ignore":       {host: dhcpsrv.Host{Action: dhcpsrv.HostIgnore}},
		"other subnet": {host: dhcpsrv.Host{Addr: ip("2001:db8:2::7")}},
		"other client": {host: dhcpsrv.Host{Addr: ip("2001:db8:1::7:7")}},
		"other family": {host: dhcpsrv.Host{Addr: ip("192.0.2.7")}},
		"the server":   {host: dhcpsrv.Host{Addr: ip("2001:db8:1::1")}},
		"option":       {host: dhcpsrv.Host{Options: dhcpsrv.Options{{Code: 1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			host = tt.host
			m := newClient6(t, s, "02:00:00:00:01:"+map[bool]string{true: "00", false: "01"}[len(name)%2 == 0]).send(dhcpv6.MessageTypeSolicit, ia(byte(len(name))))
			if (m != nil) != (tt.status != nil) || m != nil && !slices.Equal(iaStatus(m), tt.status) {
				t.Errorf("reply %v", m)
			}
		})
		s = newServer(t, dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(_ context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
			if bytes.Equal(q.MAC, hostMAC) {
				return dhcpsrv.Host{Addr: ip("2001:db8:1::7:7")}, nil
			}
			return host, nil
		})}, office6())
		newClient6(t, s, "02:00:00:00:00:07").bind(ia(1))
	}
}

// crowd is a Conn with n clients that begin at once. Each requests what it is offered.
type crowd struct {
	dora  dora
	in    chan []byte
	done  chan struct{} // closed once all are bound
	ended chan struct{}
	once  sync.Once

	mu   sync.Mutex
	left int
}

func newCrowd(t testing.TB, n int) *crowd {
	c := &crowd{dora: newDORA(t), in: make(chan []byte, 2*n), done: make(chan struct{}), ended: make(chan struct{}), left: n}
	for i := range n {
		b := bytes.Clone(c.dora.discover)
		copy(b[28:], macOf(uint32(i)))
		c.in <- b
	}
	return c
}

func (c *crowd) ReadDHCP(b []byte) (int, string, netip.AddrPort, netip.Addr, error) {
	select {
	case data := <-c.in:
		return copy(b, data), "eth0", netip.AddrPort{}, netip.Addr{}, nil
	case <-c.ended:
		return 0, "", netip.AddrPort{}, netip.Addr{}, net.ErrClosed
	}
}

func (c *crowd) WriteDHCP(b []byte, _ string, _ netip.Addr, _ netip.AddrPort, _ net.HardwareAddr) error {
	if b[242] == 5 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.left--; c.left == 0 {
			close(c.done)
		}
		return nil
	}
	request := bytes.Clone(c.dora.request)
	copy(request[28:], b[28:34])
	for at := 240; ; at += 2 + int(request[at+1]) {
		if request[at] == 50 {
			copy(request[at+2:], b[16:20])
			break
		}
	}
	c.in <- request
	return nil
}

func (c *crowd) Close() error {
	c.once.Do(func() { close(c.ended) })
	return nil
}

// slowHosts answers after a time, from the number in the link address.
func slowHosts(after time.Duration) dhcpsrv.HostsFunc {
	return func(ctx context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return dhcpsrv.Host{}, ctx.Err()
		}
		n := binary.BigEndian.Uint32(q.MAC[2:])
		return dhcpsrv.Host{Addr: netip.AddrFrom4([4]byte{10, 200, byte(n>>8) + 1, byte(n)})}, nil
	}
}

func serveCrowd(t testing.TB, s *dhcpsrv.Server, c *crowd) time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	began := time.Now()
	go func() { ended <- s.Serve(ctx, c) }()
	<-c.done
	took := time.Since(began)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return took
}

// Ten thousand clients are bound although each answer takes 100 ms.
func TestSlowHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, now, most atomic.Int32
		hosts := slowHosts(100 * time.Millisecond)
		s := newServer(t, dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(ctx context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
			calls.Add(1)
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			return hosts(ctx, q)
		})}, campus())
		const n = 10_000
		if took := serveCrowd(t, s, newCrowd(t, n)); took > 1500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if calls.Load() != n || most.Load() > 1024 {
			t.Errorf("%d calls, %d at once", calls.Load(), most.Load())
		}
	})
}

// While the backend hangs for one client, others are served; and the client itself, once it asks after the backend has answered.
func TestStuckHosts(t *testing.T) {
	cfg := dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(ctx context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		if bytes.Equal(q.MAC, hostMAC) {
			<-ctx.Done()
		}
		return dhcpsrv.Host{}, ctx.Err()
	})}
	serve(t, cfg, office(), func(s *dhcpsrv.Server, p *pipe) {
		stuck := newClient(t, s, hostMAC)
		before := time.Now()
		if p.ask(stuck, dhcpv4.MessageTypeDiscover) != nil {
			t.Error("answered while the backend hangs")
		}
		for i := range uint32(5) {
			at := time.Now()
			if p.ask(newClient(t, s, macOf(i)), dhcpv4.MessageTypeDiscover) == nil || time.Since(at) > 0 {
				t.Errorf("client %d waited %v for another one's answer", i, time.Since(at))
			}
		}
		// The second packet waits in place of the first.
		if p.ask(stuck, dhcpv4.MessageTypeDiscover) != nil {
			t.Error("answered while the backend hangs")
		}
		if n := s.Stats().Reasons["host-pending"]; n != 1 {
			t.Errorf("%d packets replaced", n)
		}
		synctest.Wait()
		if took := time.Since(before); took < 10*time.Second || s.Stats().Reasons["host-late"] != 1 {
			t.Errorf("after %v: %v", took, s.Stats().Reasons)
		}
	})
}

// An answer that arrives after the client's patience is used when it asks again.
func TestLateHosts(t *testing.T) {
	serve(t, dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(ctx context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		time.Sleep(4500 * time.Millisecond)
		return dhcpsrv.Host{}, ctx.Err()
	})}, office(), func(s *dhcpsrv.Server, p *pipe) {
		c := newClient(t, s, hostMAC)
		if p.ask(c, dhcpv4.MessageTypeDiscover) != nil {
			t.Error("answered late")
		}
		at := time.Now()
		if p.ask(c, dhcpv4.MessageTypeDiscover) == nil || time.Since(at) > 0 {
			t.Errorf("the answer was not used after %v", time.Since(at))
		}
	})
}

// Calls, waiting clients and answers are bounded, and a server ends although its backend hangs.
func TestHostsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		s := newServer(t, dhcpsrv.Config{HostLookups: 2, Queue: 4, Hosts: dhcpsrv.HostsFunc(func(ctx context.Context, _ dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
			calls.Add(1)
			<-ctx.Done()
			return dhcpsrv.Host{}, ctx.Err()
		})}, office())
		p := newPipe()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Serve(ctx, p) }()
		for i := range uint32(20) {
			p.in <- dhcpsrv.Packet{Data: newClient(t, s, macOf(i)).packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"}
			synctest.Wait()
		}
		if n := s.Stats().Reasons["host-pending"]; calls.Load() != 2 || n != 14 {
			t.Errorf("%d calls, %d dropped", calls.Load(), n)
		}
		before := time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(before) > 0 {
			t.Errorf("ended after %v with %v", time.Since(before), err)
		}
	})
	for name, cfg := range map[string]dhcpsrv.Config{
		"HostLookups": {HostLookups: -1}, "HostCache": {HostCache: -1}, "nil HostsFunc": {Hosts: dhcpsrv.HostsFunc(nil)},
	} {
		if _, err := dhcpsrv.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHostsCacheBound(t *testing.T) {
	var calls atomic.Int32
	s := newServer(t, dhcpsrv.Config{HostCache: 2, Hosts: answers(dhcpsrv.Host{Keep: time.Hour}, &calls)}, office())
	for _, tt := range []struct{ client, calls uint32 }{{0, 1}, {1, 2}, {0, 2}, {2, 3}, {0, 3}, {1, 4}} {
		newClient(t, s, macOf(tt.client)).send(dhcpv4.MessageTypeDiscover)
		if n := calls.Load(); n != int32(tt.calls) {
			t.Fatalf("client %d: %d calls, want %d", tt.client, n, tt.calls)
		}
	}
}

// A panic of the backend is an error.
func TestHostsPanic(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(context.Context, dhcpsrv.HostQuery) (dhcpsrv.Host, error) { panic("backend") })}, office())
	if m, _ := newClient(t, s, hostMAC).send(dhcpv4.MessageTypeDiscover); m != nil || s.Stats().Panics != 1 || s.Stats().Reasons["host-failed"] != 1 {
		t.Errorf("reply %v, %+v", m, s.Stats())
	}
}

// BenchmarkSlowHosts binds 10,000 clients whose answers take 100 ms each.
func BenchmarkSlowHosts(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := newServer(b, dhcpsrv.Config{Hosts: slowHosts(100 * time.Millisecond)}, campus())
		serveCrowd(b, s, newCrowd(b, 10_000))
	}
}

// BenchmarkHosts is an exchange of a client whose answer is kept.
func BenchmarkHosts(b *testing.B) {
	s := newServer(b, dhcpsrv.Config{Hosts: answers(dhcpsrv.Host{Keep: time.Hour}, nil)}, campus())
	d := newDORA(b)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i = (i + 1) % 1000
		d.run(b, s, i)
	}
}

// A renewal past the relay asks about the same client as its request by the relay did.
func TestHostsKnowTheCircuitAtRenewal(t *testing.T) {
	var asked []string
	s := newServer(t, dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(_ context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		asked = append(asked, string(q.CircuitID)+" "+q.Relay.String())
		return dhcpsrv.Host{Addr: ip("198.51.100.77")}, nil
	})}, office())
	line := dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte("eth7"))))
	c := newClient(t, s, hostMAC, dhcpv4.WithRelay(net.IP{198, 51, 100, 1}), line)
	if a := c.dora(); a != ip("198.51.100.77") {
		t.Fatalf("got %v", a)
	}
	renewal := newClient(t, s, hostMAC).packet(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(net.IP{198, 51, 100, 77}))
	p := dhcpsrv.Packet{Data: renewal.ToBytes(), Src: netip.MustParseAddrPort("198.51.100.77:68"), Dst: server}
	if _, ok := s.Handle(t.Context(), p); !ok {
		t.Error("the renewal was not answered")
	}
	if want := []string{"eth7 198.51.100.1"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// In proxy mode the answer chooses the boot data, and may leave a client to others; addresses in it are not looked at.
func TestHostsInProxyMode(t *testing.T) {
	snap := office()
	snap.Subnets[0].Mode = dhcpsrv.ModeProxy
	host := dhcpsrv.Host{Addr: ip("203.0.113.9"), Boot: dhcpsrv.BootAnswer{File: "a.efi"}}
	s := newServer(t, dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(_ context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		if q.MAC[5] == 8 {
			return dhcpsrv.Host{Action: dhcpsrv.HostIgnore}, nil
		}
		return host, nil
	})}, snap)
	firmware := dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007:UNDI:003000"))
	offer, _ := newClient(t, s, hostMAC, firmware).send(dhcpv4.MessageTypeDiscover)
	if offer == nil || offer.BootFileName != "a.efi" || !offer.YourIPAddr.IsUnspecified() {
		t.Errorf("offer %v", offer)
	}
	if offer, _ := newClient(t, s, macOf(8), firmware).send(dhcpv4.MessageTypeDiscover); offer != nil {
		t.Errorf("ignored client: %v", offer)
	}
	if offer, _ := newClient(t, s, hostMAC).send(dhcpv4.MessageTypeDiscover); offer != nil {
		t.Errorf("no firmware: %v", offer)
	}
}

// What a client gives back needs no answer, and nor does a request that is for another server.
func TestHostsAreNotAsked(t *testing.T) {
	var calls atomic.Int32
	s := newServer(t, dhcpsrv.Config{Hosts: answers(dhcpsrv.Host{}, &calls)}, office())
	c := newClient(t, s, hostMAC)
	c.send(dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(net.IP{192, 0, 2, 100}))
	c.send(dhcpv4.MessageTypeDecline, withWanted(net.IP{192, 0, 2, 100}))
	c.send(dhcpv4.MessageTypeRequest, withServer(net.IP{192, 0, 2, 250}), withWanted(net.IP{192, 0, 2, 100}))
	if n := calls.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}
