package dnssrv

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// An oldServer refuses messages with an OPT record, in one of the ways in which servers do.
type oldServer struct {
	refusal        int
	bare           bool // the refusal is a header alone
	reserved       bool // it also refuses bits that RFC 1035 has as reserved
	always         bool // it refuses all messages
	extended, asks atomic.Int32
}

// ServeDNS implements dns.Handler.
func (s *oldServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.asks.Add(1)
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	opt := q.IsEdns0()
	if opt != nil {
		s.extended.Add(1)
	}
	switch {
	case s.always || opt != nil || s.reserved && (q.AuthenticatedData || q.CheckingDisabled):
		m.Rcode = s.refusal
		if s.bare {
			m.Question = nil
		}
		if s.refusal == dns.RcodeBadVers {
			m.SetEdns0(512, false) // an extended code needs it
		}
	default:
		rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A 203.0.113.9")
		if err == nil {
			m.Answer = append(m.Answer, rr)
		}
	}
	_ = w.WriteMsg(m)
}

// start serves datagrams, and returns the address.
func (s *oldServer) start(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, done := make(chan struct{}), make(chan error, 1)
	server := &dns.Server{PacketConn: conn, Handler: s, NotifyStartedFunc: func() { close(started) }}
	go func() { done <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown(); <-done })
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

func TestUpstreamsWithoutEDNS(t *testing.T) {
	for _, refusal := range []int{dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers} {
		for _, bare := range []bool{false, true} {
			for _, validation := range []Validation{ValidationAuto, ValidationNo} {
				t.Run(fmt.Sprintf("%s bare %t validation %s", dns.RcodeToString[refusal], bare, validation), func(t *testing.T) {
					var log bytes.Buffer
					s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
					old := &oldServer{refusal: refusal, bare: bare, reserved: true}
					f := Forwarding{Servers: []netip.AddrPort{old.start(t)}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Validation: validation}
					if err := s.SetForwarding(f); err != nil {
						t.Fatal(err)
					}
					for i := range 6 {
						q := new(dns.Msg).SetQuestion(fmt.Sprintf("host%d.example.", i), dns.TypeA)
						if i%2 == 1 {
							q.SetEdns0(1232, i == 3)
						}
						if m := s.HandleMsg(t.Context(), q, stranger); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 || (m.IsEdns0() != nil) != (i%2 == 1) {
							t.Errorf("question %d: %v", i, m)
						}
					}
					if n := old.extended.Load(); n != 1 {
						t.Errorf("%d of %d questions had EDNS, want only the first", n, old.asks.Load())
					}
					if n := strings.Count(log.String(), "upstream without EDNS"); n != 1 {
						t.Errorf("logged %d times:\n%s", n, &log)
					}
					if u := s.Stats().Upstreams[0]; !u.NoEDNS || u.Resting || u.Failed != 0 {
						t.Errorf("%+v", u)
					}
				})
			}
		}
	}
}

// A server that refuses a question both ways is like one that refuses it, and is asked with EDNS
// again; another one is asked.
func TestRefusalsThatAreNotAboutEDNS(t *testing.T) {
	s := New(Config{})
	odd, good := &oldServer{refusal: dns.RcodeFormatError, always: true}, &oldServer{refusal: dns.RcodeFormatError}
	f := Forwarding{Servers: []netip.AddrPort{odd.start(t), good.start(t)}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	if err := s.SetForwarding(f); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		q := new(dns.Msg).SetQuestion(fmt.Sprintf("host%d.example.", i), dns.TypeA)
		if m := s.HandleMsg(t.Context(), q, stranger); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
			t.Errorf("question %d: %v", i, m)
		}
	}
	for _, u := range s.Stats().Upstreams {
		if u.NoEDNS != (u.Server == f.Servers[1]) {
			t.Errorf("%s: without EDNS %t", u.Server, u.NoEDNS)
		}
	}
}

func TestEDNSIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		u := &upstream{log: slog.New(slog.NewTextHandler(&log, nil))}
		refusal := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeFormatError}}
		for range 3 {
			u.noteEDNS(false, refusal)
			time.Sleep(basicLife - time.Second)
			if !u.basic() {
				t.Error("forgotten before its time")
			}
			time.Sleep(time.Second)
			if u.basic() {
				t.Error("never tried again")
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		// A server that was updated and then replaced by an old one is news.
		u.noteEDNS(true, nil)
		u.noteEDNS(false, refusal)
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("logged %d times, want 2", n)
		}
	})
}
