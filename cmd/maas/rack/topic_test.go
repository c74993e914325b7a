package rack_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/store/inventory"
)

// nameserver serves a rack until the test ends.
func nameserver(t *testing.T, reg *rpc.Region, requests ...net.Listener) (r *rack.Rack, packets net.PacketConn) {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if r, err = rack.New(rack.Config{Dir: t.TempDir(), Dial: rpc.Loopback(reg, "rack")}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, rack.Sockets{DNSPacket: []net.PacketConn{packets}, Proxy: requests}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.Close()
	})
	return r, packets
}

// ask asks for a name once. A server that does not answer gives nil.
func ask(server net.PacketConn) <-chan *dns.Msg {
	answer := make(chan *dns.Msg, 1)
	go func() {
		client := dns.Client{Timeout: 30 * time.Second}
		msg, _, _ := client.Exchange(new(dns.Msg).SetQuestion("node.maas.", dns.TypeA), server.LocalAddr().String())
		answer <- msg
	}()
	return answer
}

// service returns the report of a rack on one of its servers.
func service(r *rack.Rack, name string) inventory.RackService {
	for _, s := range r.Report().Services {
		if s.Name == name {
			return s
		}
	}
	return inventory.RackService{}
}

// When the first state is one that a rack cannot serve, it says so, and who asks is refused instead of waiting.
func TestANewRackAnswersWhateverItHears(t *testing.T) {
	reg := rpc.NewRegion(rpc.RegionConfig{})
	r, packets := nameserver(t, reg)
	reg.State("rack").Set(dnsrpc.Topic, map[string][]byte{"zone/maas": []byte("no JSON")})
	if answer := <-ask(packets); answer == nil || answer.Rcode != dns.RcodeRefused {
		t.Errorf("answers %v", answer)
	}
	eventually(t, "reported", func() bool {
		got := service(r, "dns")
		return got.Status == "degraded" && strings.HasPrefix(got.Info, "serves nothing yet: ")
	})
}

// A new rack refuses no client before its first state has arrived: a client that asks earlier gets
// its answer then.
func TestANewRackRefusesNobodyBeforeItKnows(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer origin.Close()
	reg, requests := rpc.NewRegion(rpc.RegionConfig{}), loopback(t)
	r, packets := nameserver(t, reg, requests)
	name, page := ask(packets), make(chan int, 1)
	go func() {
		status, _, _ := through(t, requests.Addr().String(), origin.URL)
		page <- status
	}()
	select {
	case answer := <-name:
		t.Fatalf("%v before there are names", answer)
	case status := <-page:
		t.Fatalf("status %d before there is a policy", status)
	case <-time.After(200 * time.Millisecond):
	}
	if got := service(r, "dns"); got.Status != "off" {
		t.Errorf("while it waits it is %+v", got)
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
	if answer := <-name; answer == nil || len(answer.Answer) != 1 {
		t.Errorf("answers %v", answer)
	}
	if got := service(r, "dns"); got.Status != "running" {
		t.Errorf("when it answers it is %+v", got)
	}
	if status := <-page; status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}
