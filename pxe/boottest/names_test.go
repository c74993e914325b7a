package boottest_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

// TestNames: the system resolves its own name, forward and back, at the DNS server that DHCP names.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, forward, back, want string }{
		{"good", "", "node-1.lab.test.", ""},
		{"wrong address", "192.0.2.77", "node-1.lab.test.", "names: node-1.lab.test has the address 192.0.2.77, the machine has 192.0.2.1"},
		{"wrong name", "", "other.lab.test.", "leads back to other.lab.test, not to node-1.lab.test"},
		{"no name", "", "", "has no name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := bootWithDNS(t, tt.forward, tt.back)
				if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if err == nil && (len(r.Running.Names) != 3 || !slices.Contains(r.Running.Names, "www.lab.test = 192.0.2.80")) {
					t.Errorf("names %q", r.Running.Names)
				}
			})
		})
	}
}

// bootWithDNS boots a machine beside a DNS server. Forward "" answers with the lease's address.
func bootWithDNS(t *testing.T, forward, back string) (*boottest.Report, error) {
	seg := boottest.NewSegment(prefix)
	node := seg.Server(serverAddr)
	var lease netip.Addr
	dhcp, err := dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{}), Events: func(e dhcpsrv.Event) { lease = e.Lease.Addr }})
	must(t, err)
	must(t, dhcp.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "test", Prefix: prefix, Link: seg.Link, Server: serverAddr, DNS: []netip.Addr{serverAddr}, Domain: "lab.test",
		Pools: []dhcpsrv.Pool{{First: addr("192.0.2.100"), Last: addr("192.0.2.199")}},
	}}}))
	boot, err := pxe.New(pxe.Config{Resolver: pxe.Static(profile()), Files: files(), Loaders: loaders()})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	conn, err := node.DHCP()
	must(t, err)
	wg.Go(func() { dhcp.Serve(ctx, conn) })
	l, err := node.Listen("tcp", ":5248")
	must(t, err)
	wg.Go(func() { boot.Serve(ctx, l) })
	pc, err := node.ListenPacket("udp", ":53")
	must(t, err)
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		value := map[string]string{"www.lab.test.": "192.0.2.80", "node-1.lab.test.": forward}[name]
		if value == "" {
			value = lease.String()
		}
		rr := name + " 30 IN A " + value
		if q.Question[0].Qtype == dns.TypePTR {
			if rr = name + " 30 IN PTR " + back; back == "" {
				w.WriteMsg(a)
				return
			}
		}
		record, err := dns.NewRR(rr)
		must(t, err)
		a.Answer = append(a.Answer, record)
		w.WriteMsg(a)
	})}
	wg.Go(func() { srv.ActivateAndServe() })
	r, err := seg.NewMachine(boottest.MachineConfig{Hostname: "node-1", Resolve: []string{"www.lab.test"}}).Boot(ctx)
	srv.Shutdown()
	cancel()
	wg.Wait()
	return r, err
}
