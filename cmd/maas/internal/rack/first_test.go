package rack_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/cmd/maas/internal/rack"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
)

// A rack that is new refuses nobody before it has heard whom to serve: who asks too early gets the answer as soon as it is
// known.
func TestANewRackRefusesNobodyBeforeItKnows(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer origin.Close()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests := loopback(t)
	reg := rpc.NewRegion(rpc.RegionConfig{})
	r, err := rack.New(rack.Config{Dir: t.TempDir(), Dial: rpc.Loopback(reg, "rack")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- r.Serve(ctx, rack.Sockets{DNSPacket: []net.PacketConn{packets}, Proxy: []net.Listener{requests}})
	}()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.Close()
	}()
	name, page := make(chan int, 1), make(chan int, 1)
	go func() {
		client := dns.Client{Timeout: 20 * time.Second}
		answer, _, err := client.Exchange(new(dns.Msg).SetQuestion("node.maas.", dns.TypeA), packets.LocalAddr().String())
		if err != nil {
			name <- -1
			return
		}
		name <- len(answer.Answer)
	}()
	go func() {
		status, _, _ := through(t, requests.Addr().String(), origin.URL)
		page <- status
	}()
	select {
	case n := <-name:
		t.Fatalf("%d records before there are any", n)
	case status := <-page:
		t.Fatalf("status %d before there is a policy", status)
	case <-time.After(200 * time.Millisecond):
	}
	names, err := dnsrpc.Objects(dnsrpc.Content{
		Zones: []dnssrv.Zone{{Name: "maas"}},
		Sets:  []dnssrv.RRset{{Name: "node.maas", Type: "A", Data: []string{"192.0.2.9"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	policy, err := proxyrpc.Objects(proxyrpc.Content{Policy: proxy.Policy{Allow: here, AllowLocal: here}})
	if err != nil {
		t.Fatal(err)
	}
	reg.State("rack").Set(dnsrpc.Topic, names)
	reg.State("rack").Set(proxyrpc.Topic, policy)
	if n := <-name; n != 1 {
		t.Errorf("%d records", n)
	}
	if status := <-page; status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}
