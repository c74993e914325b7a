package dhcplink_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// network is a server at 192.0.2.1 on eth0 with the namespace of a client at the other end.
type network struct {
	server, client *netlab.NS
	s              *dhcpsrv.Server
}

func newNetwork(t *testing.T) *network {
	lab := netlab.New(t)
	n := &network{server: lab.NS("server"), client: lab.NS("client")}
	lab.Veth(n.server, "eth0", n.client, "eth0")
	n.server.Addr("eth0", "192.0.2.1/24")
	var err error
	if n.s, err = dhcpsrv.New(dhcpsrv.Config{}); err != nil {
		t.Fatal(err)
	}
	if err := n.s.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "office", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: netip.MustParseAddr("192.0.2.1"),
		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.110")}},
	}}}); err != nil {
		t.Fatal(err)
	}
	var conn dhcpsrv.Conn
	if err := n.server.Do(func() (err error) {
		conn, err = dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.s.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return n
}

func TestFindServers(t *testing.T) {
	netlab.Require(t, netlab.Root)
	n := newNetwork(t)
	n.client.Addr("eth0", "192.0.2.2/24")
	address := netip.MustParseAddr("192.0.2.1")
	var found []dhcpsrv.RogueServer
	err := n.client.Do(func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		found, err = dhcplink.FindServers(ctx, "eth0")
		return err
	})
	if err != nil || len(found) != 1 || found[0].ID != address || found[0].Addr != address || len(found[0].MAC) != 6 || !found[0].Offer.IsValid() {
		t.Fatalf("%v %+v", err, found)
	}
	if st := n.s.Stats(); st.Commits != 0 {
		t.Errorf("the probe took a lease: %+v", st)
	}
	err = n.client.Do(func() error {
		_, err := dhcplink.FindServers(context.Background(), "eth9")
		return err
	})
	if err == nil || !strings.Contains(err.Error(), `"eth9"`) {
		t.Errorf("unknown interface: %v", err)
	}
}

func TestListenRefused(t *testing.T) {
	netlab.Require(t, netlab.Root)
	n := newNetwork(t)
	listen := func(iface string) error {
		return n.server.Do(func() error {
			c, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{iface}})
			if err == nil {
				c.Close()
			}
			return err
		})
	}
	if err := listen("eth0"); !errors.Is(err, dhcplink.ErrPortBusy) || !strings.Contains(err.Error(), "dhcplink.test (pid") {
		t.Errorf("second server on the port: %v", err)
	}
	err := n.client.Do(func() error {
		_, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth7"}})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), `"eth7"`) {
		t.Errorf("unknown interface: %v", err)
	}
}
