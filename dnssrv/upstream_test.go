package dnssrv_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// resolver is an upstream that says of everything what it is told to.
type resolver struct {
	validates bool
	aliases   map[string]string // names of which it says only that they are aliases, of names that it does not know
	dropped   atomic.Int32      // questions that are yet to be left without an answer
	sawCD     atomic.Bool
	asked     atomic.Int32
}

// ServeDNS implements dns.Handler.
func (r *resolver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	r.asked.Add(1)
	if r.dropped.Add(-1) >= 0 {
		return
	}
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	m.AuthenticatedData = r.validates && !q.CheckingDisabled
	if q.CheckingDisabled {
		r.sawCD.Store(true)
	}
	name := q.Question[0].Name
	text := name + " 60 IN A 203.0.113.1"
	if q.Question[0].Qtype == dns.TypeSOA {
		text = name + " 60 IN SOA a. b. 1 2 3 4 5"
	}
	if target, ok := r.aliases[name]; ok {
		text, m.Rcode = name+" 60 IN CNAME "+target, dns.RcodeNameError
	}
	rr, err := dns.NewRR(text)
	if err == nil {
		m.Answer = append(m.Answer, rr)
	}
	_ = w.WriteMsg(m)
}

// start serves the resolver over UDP, or over TLS on ln.
func (r *resolver) start(t *testing.T, ln net.Listener) netip.AddrPort {
	t.Helper()
	server := &dns.Server{Handler: r, Listener: ln}
	addr := ""
	if ln == nil {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server.PacketConn, addr = conn, conn.LocalAddr().String()
	} else {
		addr = ln.Addr().String()
	}
	done := make(chan error, 1)
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { done <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown(); <-done })
	return netip.MustParseAddrPort(addr)
}

func TestValidation(t *testing.T) {
	for _, c := range []struct {
		how       dnssrv.Validation
		validates []bool // of each upstream
		answered  bool
		ad        bool
	}{
		{"", []bool{true}, true, true},
		{dnssrv.ValidationAuto, []bool{false}, true, false},
		{dnssrv.ValidationNo, []bool{true}, true, false},
		{dnssrv.ValidationYes, []bool{true}, true, true},
		{dnssrv.ValidationYes, []bool{false, true}, true, true},
		{dnssrv.ValidationYes, []bool{false}, false, false},
	} {
		f := dnssrv.Forwarding{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Validation: c.how}
		var rs []*resolver
		for _, v := range c.validates {
			r := &resolver{validates: v}
			rs = append(rs, r)
			f.Servers = append(f.Servers, r.start(t, nil))
		}
		f.Domains = []dnssrv.DomainForwarding{{Name: "lab", Servers: f.Servers[:1]}}
		s := dnssrv.New(dnssrv.Config{})
		if err := s.SetForwarding(f); err != nil {
			t.Fatal(err)
		}
		q := new(dns.Msg)
		q.SetQuestion("host.example.", dns.TypeA)
		q.AuthenticatedData = true
		for range 2 { // the second comes from the cache
			m := s.HandleMsg(t.Context(), q, netip.MustParseAddr("192.0.2.9"))
			if len(m.Answer) == 1 != c.answered || m.AuthenticatedData != c.ad {
				t.Errorf("%q %v: %v", c.how, c.validates, m)
			}
		}
		if saw := rs[0].sawCD.Load(); saw != (c.how == dnssrv.ValidationNo) {
			t.Errorf("%q: CD at the upstream: %v", c.how, saw)
		}
		q.SetQuestion("host.lab.", dns.TypeA)
		if m := s.HandleMsg(t.Context(), q, netip.MustParseAddr("192.0.2.9")); len(m.Answer) != 1 {
			t.Errorf("%q: a domain with servers of its own: %v", c.how, m)
		}
	}
	if err := dnssrv.New(dnssrv.Config{}).SetForwarding(dnssrv.Forwarding{Validation: "maybe"}); err == nil {
		t.Error("unknown validation accepted")
	}
}

// counting counts the connections.
type counting struct {
	net.Listener
	accepted atomic.Int32
	last     atomic.Pointer[net.Conn]
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
		c.last.Store(&conn)
	}
	return conn, err
}

// Questions share connections; one that the server has closed meanwhile is replaced without an
// error.
func TestUpstreamsOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate only
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &counting{Listener: tcp}
	addr := (&resolver{}).start(t, tls.NewListener(ln, &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}))
	open := func(roots *x509.CertPool, name string) *dnssrv.Server {
		s := dnssrv.New(dnssrv.Config{Roots: roots})
		if err := s.SetForwarding(dnssrv.Forwarding{Servers: []netip.AddrPort{addr}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TLSName: name}); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(roots, "example.com")
	for i := range 10 {
		if i == 5 {
			(*ln.last.Load()).Close()
		}
		if m := ask(t, s, fmt.Sprintf("host%d.example", i), "A"); len(m.Answer) != 1 {
			t.Fatalf("question %d: %v", i, m)
		}
	}
	if n := ln.accepted.Load(); n != 2 {
		t.Errorf("%d connections for 10 questions, want 2", n)
	}
	for name, s := range map[string]*dnssrv.Server{"another name": open(roots, "other.example.net"), "unknown authority": open(nil, "example.com")} {
		if m := ask(t, s, "host.example", "A"); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %v", name, m)
		}
	}
}

// A resolver that has to look for a name for longer than for others is waited for.
func TestSlowUpstream(t *testing.T) {
	up := &resolver{}
	s := dnssrv.New(dnssrv.Config{})
	err := s.SetForwarding(dnssrv.Forwarding{Servers: []netip.AddrPort{up.start(t, nil)}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) *dns.Msg {
		return s.HandleMsg(t.Context(), new(dns.Msg).SetQuestion(name, dns.TypeA), netip.MustParseAddr("192.0.2.9"))
	}
	ask("quick.example.")
	up.dropped.Store(2) // the first two tries come to nothing
	if m := ask("slow.example."); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
}
