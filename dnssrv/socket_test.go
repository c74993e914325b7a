package dnssrv_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// On a wildcard socket the answer comes from the address that was asked: a connected client takes no other.
func TestAnswersLeaveFromTheAddressAsked(t *testing.T) {
	for network, targets := range map[string][]string{"udp4": {"127.0.0.1", "127.0.0.77"}, "udp": {"127.0.0.78", "::1"}} {
		s := example(t)
		conn, err := net.ListenPacket(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.ServePacket(ctx, conn) }()
		_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		for _, target := range targets {
			for name, qtype := range map[string]uint16{"web.maas.": dns.TypeA, "maas.": dns.TypeSOA} { // both paths
				q := new(dns.Msg)
				q.SetQuestion(name, qtype)
				if m, err := dns.Exchange(q, net.JoinHostPort(target, port)); err != nil || len(m.Answer) == 0 {
					t.Errorf("%s at %s: %v, %v", name, target, m, err)
				}
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// A question that has to wait does not hold up the next one of its connection.
func TestPipelinedQuestionsDoNotWaitForEachOther(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := example(t)
	if err := s.SetForwarding(dnssrv.Forwarding{
		Domains: []dnssrv.DomainForwarding{{Name: "example", Servers: []netip.AddrPort{netip.MustParseAddrPort(silent.LocalAddr().String())}}},
		Allow:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}); err != nil {
		t.Fatal(err)
	}
	conn, err := dns.Dial("tcp", serve(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, name := range []string{"slow.example.", "web.maas."} {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		if err := conn.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"web.maas.", "slow.example."} {
		m, err := conn.ReadMsg()
		if err != nil || m.Question[0].Name != want {
			t.Fatalf("%v, %v; want that about %s", m, err, want)
		}
		if want == "slow.example." && m.Rcode != dns.RcodeServerFailure {
			t.Errorf("a silent server: %v", m)
		}
	}
}
