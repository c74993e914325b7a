package dhcpsrv_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// TestLinksComeAndGo serves an interface that is made after the server has started, removed and made again, while a client
// of another one gets its lease each time.
func TestLinksComeAndGo(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	lab := netlab.New(t)
	ns, client := lab.NS("server"), lab.NS("client")
	lab.Veth(ns, "eth0", client, "eth0")
	ns.Addr("eth0", "192.0.2.1/24")
	snap := office()
	snap.Subnets[1].Link, snap.Subnets[1].Server = "eth1", ip("198.51.100.1")
	s := newServer(t, dhcpsrv.Config{Store: openJournal(t, filepath.Join(t.TempDir(), "leases"))}, snap)
	listen(t, ns, s.Serve, func(cfg dhcplink.ListenConfig) (dhcpsrv.Conn, error) {
		return dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth0", "eth1"}, Absent: true})
	})
	lease := func(link, prefix string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		// -B: a frame to a client without an address would leave in the namespace of this process.
		if out, err := client.Command(ctx, "udhcpc", "-B", "-n", "-q", "-f", "-T", "1", "-t", "8", "-i", link, "-s", script(t)).CombinedOutput(); err != nil {
			t.Fatalf("udhcpc on %s: %v\n%s\n%+v", link, err, out, s.Stats())
		}
		for l := range s.Leases() {
			if l.Link == link && netip.MustParsePrefix(prefix).Contains(l.Addr) {
				return
			}
		}
		t.Errorf("no lease on %s", link)
	}
	lease("eth0", "192.0.2.0/24")
	for range 2 {
		lab.Veth(ns, "eth1", client, "eth1")
		ns.Addr("eth1", "198.51.100.1/24")
		lease("eth1", "198.51.100.0/24")
		ns.IP("link", "del", "eth1")
		lease("eth0", "192.0.2.0/24")
	}
}

// TestDnsmasqRelay puts dnsmasq as a relay agent between the client and the server.
func TestDnsmasqRelay(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("dnsmasq", "dnsmasq-base"))
	n := newNetwork(t, office())
	far := n.lab.NS("far")
	n.lab.Veth(n.client, "eth1", far, "eth0")
	n.client.Addr("eth0", "192.0.2.2/24")
	n.client.Addr("eth1", "198.51.100.1/24")
	n.server.IP("route", "add", "198.51.100.0/24", "via", "192.0.2.2")
	ctx, cancel := context.WithCancel(context.Background())
	relay := n.client.Command(ctx, "dnsmasq", "-k", "-C", "/dev/null", "-p", "0", "-u", "root", "--pid-file=", "--dhcp-relay=198.51.100.1,192.0.2.1")
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		relay.Wait()
	}()
	l := n.run(t, far, "udhcpc", "-n", "-q", "-f", "-T", "1", "-t", "8", "-i", "eth0", "-s", script(t))
	if l.Subnet != "far" || l.Relay != ip("198.51.100.1") {
		t.Errorf("lease %+v", l)
	}
}
