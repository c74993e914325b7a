package dnssrv_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs s on loopback over UDP and TCP and returns its address.
func serve(t *testing.T, s *dnssrv.Server) string {
	t.Helper()
	conn, ln := listenBoth(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- s.ServePacket(ctx, conn) }()
	go func() { done <- s.ServeStream(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("serve: %v", err)
			}
		}
	})
	return conn.LocalAddr().String()
}

// listenBoth opens a port for UDP and TCP.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 { // another socket may have the one of the two
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", conn.LocalAddr().String())
		if err == nil {
			return conn, ln
		}
		conn.Close()
	}
	t.Fatal("no free port")
	return nil, nil
}

func TestLargeAnswersComeOverTCP(t *testing.T) {
	s := example(t)
	var addrs []string
	for i := range 200 {
		addrs = append(addrs, fmt.Sprintf("198.51.100.%d", i))
	}
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("many.maas", "A", addrs...)}})
	server := serve(t, s)
	q := new(dns.Msg)
	q.SetQuestion("many.maas.", dns.TypeA)
	m, err := dns.Exchange(q, server)
	m.Compress = true // to measure what travelled
	if err != nil || !m.Truncated || m.Len() > dns.MinMsgSize {
		t.Fatalf("UDP: truncated %v, %d bytes, %v", m.Truncated, m.Len(), err)
	}
	m, _, err = (&dns.Client{Net: "tcp"}).Exchange(q, server)
	if err != nil || len(m.Answer) != 200 {
		t.Fatalf("TCP: %v, %v", m, err)
	}
}

func TestForwardsOnlyForAllowedClients(t *testing.T) {
	upstream := dnssrv.New(dnssrv.Config{})
	update(t, upstream, dnssrv.Change{
		Zones: []dnssrv.Zone{{Name: "example"}},
		Set:   []dnssrv.RRset{set("host.example", "A", "203.0.113.1")},
	})
	s := example(t)
	f := dnssrv.Forwarding{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort(serve(t, upstream))},
		Allow:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
	if err := s.SetForwarding(f); err != nil {
		t.Fatal(err)
	}
	m := ask(t, s, "host.example", "A")
	if len(m.Answer) != 1 || m.Authoritative || !m.RecursionAvailable {
		t.Errorf("allowed client: %v", m)
	}
	q := new(dns.Msg)
	q.SetQuestion("host.example.", dns.TypeA)
	if m := s.HandleMsg(t.Context(), q, netip.MustParseAddr("198.51.100.1")); m.Rcode != dns.RcodeRefused {
		t.Errorf("other client: %v", m)
	}
}

func TestDig(t *testing.T) {
	netlab.Require(t, netlab.Program("dig", "bind9-dnsutils"))
	host, port, _ := net.SplitHostPort(serve(t, example(t)))
	dig := func(args ...string) string {
		t.Helper()
		args = append([]string{"@" + host, "-p", port, "+short", "+time=2"}, args...)
		out, err := exec.CommandContext(t.Context(), "dig", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("dig %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := dig("-x", "192.0.2.7"); got != "web.maas." {
		t.Errorf("reverse: %s", got)
	}
	if got := dig("+tcp", "www.maas", "AAAA"); got != "web.maas.\n2001:db8::7" {
		t.Errorf("alias over TCP: %s", got)
	}
}
