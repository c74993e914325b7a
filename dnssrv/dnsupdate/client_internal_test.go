package dnsupdate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

var (
	testKey   = dnssrv.Key{Name: "maas", Secret: "c2VjcmV0LW9mLXRoaXMtdGVzdC1vbmx5LWFiY2RlZg=="}
	testZones = []string{"corp.example", "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"}
)

// foreign is a server of others, and a client of it. down makes it unreachable, code refuse.
type foreign struct {
	*Client
	s    *dnssrv.Server
	down atomic.Bool
	code int
	asks atomic.Int64
}

func newForeign(t *testing.T, change func(*Config)) *foreign {
	t.Helper()
	f := &foreign{s: dnssrv.New(dnssrv.Config{})}
	var c dnssrv.Change
	for _, z := range testZones {
		c.Zones = append(c.Zones, dnssrv.Zone{Name: z})
	}
	c.Set = []dnssrv.RRset{{Name: "www.corp.example", Type: "A", Data: []string{"192.0.2.80"}}}
	rules := []dnssrv.UpdateRule{}
	for _, z := range testZones {
		rules = append(rules, dnssrv.UpdateRule{Key: testKey.Name, Below: z})
	}
	if err := errors.Join(f.s.Update(c), f.s.SetAccess(dnssrv.Access{Keys: []dnssrv.Key{testKey}, Update: rules})); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Server: "192.0.2.53:53", Key: testKey, Zones: testZones}
	if change != nil {
		change(&cfg)
	}
	var err error
	if f.Client, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	f.Client.exchange = func(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
		f.asks.Add(1)
		if f.down.Load() {
			return nil, errors.New("no answer")
		}
		if f.code != 0 {
			return new(dns.Msg).SetRcode(m, f.code), nil
		}
		m.SetTsig(dns.CanonicalName(testKey.Name), dns.HmacSHA256, 300, time.Now().Unix())
		wire, _, err := dns.TsigGenerate(m, string(testKey.Secret), "", false)
		if err != nil {
			return nil, err
		}
		out := new(dns.Msg)
		return out, out.Unpack(f.s.Handle(ctx, wire, netip.MustParseAddr("192.0.2.1")))
	}
	return f
}

// settled runs the client until nothing changes any more.
func (f *foreign) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	synctest.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func (f *foreign) is(t *testing.T, name, qtype, want string) {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.StringToType[qtype])
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	answer := new(dns.Msg)
	if err := answer.Unpack(f.s.Handle(t.Context(), wire, netip.MustParseAddr("192.0.2.1"))); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rr := range answer.Answer {
		got = append(got, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(got)
	if text := strings.Join(got, " "); text != want {
		t.Errorf("%s %s is %q, want %q", name, qtype, text, want)
	}
}

func host(name, addr string, client byte) Host {
	return Host{Name: name, Addr: netip.MustParseAddr(addr), MAC: net.HardwareAddr{2, 0, 0, 0, 0, client}}
}

const reverse7 = "7.2.0.192.in-addr.arpa"

func TestLeaseHasAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeign(t, nil)
		f.Set(host("Web.corp.example", "192.0.2.7", 1))
		six := host("web.corp.example", "2001:db8::7", 1)
		f.Set(six)
		f.Set(host("web.elsewhere.example", "192.0.2.7", 1)) // the name is in no zone; the address's is
		f.settled(t)
		f.is(t, "web.corp.example", "A", "192.0.2.7")
		f.is(t, "web.corp.example", "AAAA", "2001:db8::7")
		f.is(t, reverse7, "PTR", "web.elsewhere.example.")
		f.is(t, dnssrv.PTRName(six.Addr), "PTR", "web.corp.example.")

		f.Set(host("web.corp.example", "192.0.2.8", 1)) // another address
		f.Remove(six)
		f.settled(t)
		f.is(t, "web.corp.example", "A", "192.0.2.8")
		f.is(t, "web.corp.example", "AAAA", "")
		f.is(t, dnssrv.PTRName(six.Addr), "PTR", "")

		f.Remove(host("web.corp.example", "192.0.2.7", 1)) // the lease before ends late
		f.settled(t)
		f.is(t, "web.corp.example", "A", "192.0.2.8")
		f.Remove(host("web.corp.example", "192.0.2.8", 1))
		f.settled(t)
		f.is(t, "web.corp.example", "A", "")
		f.is(t, "web.corp.example", "DHCID", "")
		if s := f.Stats(); s.Pending+int(s.Conflicts+s.Dropped+s.Failures) != 0 || s.Sent == 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNamesOfOthersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeign(t, nil)
		f.Set(host("web.corp.example", "192.0.2.7", 1))
		f.settled(t)
		f.Set(host("web.corp.example", "192.0.2.9", 2))
		f.Set(host("www.corp.example", "192.0.2.10", 2)) // of an administrator
		f.settled(t)
		f.is(t, "web.corp.example", "A", "192.0.2.7")
		f.is(t, "www.corp.example", "A", "192.0.2.80")
		f.Remove(host("web.corp.example", "192.0.2.7", 2))
		f.Remove(host("www.corp.example", "192.0.2.80", 2))
		f.settled(t)
		f.is(t, "web.corp.example", "A", "192.0.2.7")
		f.is(t, "www.corp.example", "A", "192.0.2.80")
		if s := f.Stats(); s.Conflicts != 2 || s.Pending != 0 {
			t.Errorf("%+v", s)
		}
		f.cfg.Replace = true
		f.Set(host("www.corp.example", "192.0.2.10", 2))
		f.settled(t)
		f.is(t, "www.corp.example", "A", "192.0.2.10")
	})
}

// The last state of each name is sent when the server is back, and attempts have growing pauses.
func TestServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeign(t, nil)
		f.down.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		for i := range 200 {
			f.Set(host("web.corp.example", fmt.Sprintf("192.0.2.%d", i+1), 1))
		}
		f.Set(host("gone.corp.example", "192.0.2.7", 2))
		f.Remove(host("gone.corp.example", "192.0.2.7", 2))
		time.Sleep(time.Hour)
		if n := f.asks.Load(); n < 10 || n > 30 {
			t.Errorf("%d attempts in an hour, want about 20", n)
		}
		if p := f.Stats().Pending; p != 202 { // two names, and a reverse name for each address
			t.Errorf("%d pending", p)
		}
		f.down.Store(false)
		time.Sleep(lastPause)
		f.is(t, "web.corp.example", "A", "192.0.2.200")
		f.is(t, "gone.corp.example", "A", "")
		if s := f.Stats(); s.Pending != 0 || s.Failures == 0 {
			t.Errorf("%+v", s)
		}
		cancel()
		<-done
	})
}

// What a server refuses is given up after some attempts, and what is too much is not taken.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForeign(t, func(c *Config) { c.MaxPending = 3 })
		f.code = dns.RcodeRefused
		for i := range 5 {
			f.Set(host(fmt.Sprintf("h%d.corp.example", i), "192.0.2.7", byte(i)))
		}
		if s := f.Stats(); s.Pending != 3 || s.Dropped != 3 {
			t.Errorf("%+v, want 3 pending of 6", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		time.Sleep(24 * time.Hour)
		if s := f.Stats(); s.Pending != 0 || s.Dropped != 6 || s.Failures != 3*maxAttempts {
			t.Errorf("%+v", s)
		}
		cancel()
		<-done
		for _, odd := range []Host{{}, {Name: "web.corp.example"}, host("*.corp.example", "192.0.2.1", 1), host("corp.example", "192.0.2.99", 1), {Name: "web.corp.example", Addr: netip.MustParseAddr("192.0.2.1")}} {
			f.Set(odd)
		}
		if s := f.Stats(); s.Pending != 1 { // the reverse name of the zone's own
			t.Errorf("odd hosts: %+v", s)
		}
	})
}

func TestConfigErrors(t *testing.T) {
	for want, c := range map[string]Config{
		"Server":     {Zones: testZones},
		"name at le": {Server: "192.0.2.1:53"},
		"Zones: \".": {Server: "192.0.2.1:53", Zones: []string{"."}},
		"Key":        {Server: "192.0.2.1:53", Zones: testZones, Key: dnssrv.Key{Name: "k", Secret: "x"}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The examples of RFC 4701 section 3.6.
func TestDHCID(t *testing.T) {
	duid := []byte{0, 1, 0, 6, 0x41, 0x2d, 0xf1, 0x66, 1, 2, 3, 4, 5, 6}
	for want, h := range map[string]Host{
		"AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=": {Name: "chi6.example.com", DUID: duid},
		"AAEBOSD+XR3Os/0LozeXVqcNc7FwCfQdWL3b/NaiUDlW2No=": {Name: "chi.example.com", ClientID: []byte{1, 7, 8, 9, 0x0a, 0x0b, 0x0c}},
		"AAABxLmlskllE0MVjd57zHcWmEH3pCQ6VytcKD//7es/deY=": {Name: "Client.example.com.", MAC: net.HardwareAddr{1, 2, 3, 4, 5, 6}},
	} {
		if got := h.dhcid(); got != want {
			t.Errorf("%s: %s, want %s", h.Name, got, want)
		}
	}
	v4 := Host{Name: "chi6.example.com", ClientID: append([]byte{255, 0, 0, 0, 1}, duid...)}
	if v4.dhcid() != (Host{Name: v4.Name, DUID: duid}).dhcid() {
		t.Error("one client has two identities")
	}
}

// BIND takes the updates and signs its answers.
func TestBIND(t *testing.T) {
	netlab.Require(t, netlab.Program("named", "bind9"))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	dir := t.TempDir()
	conf := fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile "%s/session.key"; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; notify no; };
controls { };
key maas { algorithm hmac-sha256; secret %q; };
`, dir, dir, port, string(testKey.Secret))
	for _, z := range testZones {
		file := filepath.Join(dir, z)
		text := "$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 192.0.2.53\n"
		if z == testZones[0] {
			text += "www IN A 192.0.2.80\n"
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		conf += fmt.Sprintf("zone %q { type primary; file %q; allow-update { key maas; }; };\n", z, file)
	}
	if err := os.WriteFile(filepath.Join(dir, "named.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("named", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	server := "127.0.0.1:" + port
	ask := func(name string, qtype uint16) string {
		q := new(dns.Msg)
		q.SetQuestion(dns.Fqdn(name), qtype)
		m, err := dns.Exchange(q, server)
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, rr := range m.Answer {
			out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		return strings.Join(out, " ")
	}
	eventually := func(name string, qtype uint16, want string) {
		t.Helper()
		got := ""
		for range 400 { // BIND starts, and the client may pause for a second
			if got = ask(name, qtype); got == want {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%s is %q, want %q", name, got, want)
	}
	c, err := New(Config{Server: server, Key: testKey, Zones: testZones})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	six := host("web.corp.example", "2001:db8::7", 1)
	c.Set(host("web.corp.example", "192.0.2.7", 1))
	c.Set(six)
	eventually(dnssrv.PTRName(six.Addr), dns.TypePTR, "web.corp.example.")
	eventually("web.corp.example", dns.TypeA, "192.0.2.7")
	eventually("web.corp.example", dns.TypeAAAA, "2001:db8::7")
	eventually(reverse7, dns.TypePTR, "web.corp.example.")
	c.Set(host("web.corp.example", "192.0.2.9", 2)) // another client, and an administrator's name
	c.Set(host("www.corp.example", "192.0.2.10", 1))
	c.Set(host("web.corp.example", "192.0.2.8", 1))
	eventually("web.corp.example", dns.TypeA, "192.0.2.8")
	eventually("www.corp.example", dns.TypeA, "192.0.2.80")
	c.Remove(host("web.corp.example", "192.0.2.8", 1))
	eventually("web.corp.example", dns.TypeA, "")
	eventually("web.corp.example", dns.TypeAAAA, "2001:db8::7")
	c.Remove(six)
	eventually("web.corp.example", dns.TypeDHCID, "")
	if s := c.Stats(); s.Conflicts != 2 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
	other, err := New(Config{Server: server, Key: dnssrv.Key{Name: "other", Secret: testKey.Secret}, Zones: testZones})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.send(t.Context(), &job{key: key{"x.corp.example.", dns.TypeA, "AAAB"}, zone: "corp.example.", target: six.Addr}); err == nil {
		t.Error("a key that the server does not have is no error")
	}
}
