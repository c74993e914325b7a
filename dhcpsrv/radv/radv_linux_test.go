package radv_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// A Linux host takes the default route and the MTU from the advertisement, and makes itself no address from the prefix.
func TestAdvertiseKernel(t *testing.T) {
	netlab.Require(t, netlab.Root)
	lab := netlab.New(t)
	server, client := lab.NS("server"), lab.NS("client")
	lab.Veth(server, "eth0", client, "eth0")
	s := newServer(t, routed())
	var conn radv.Conn
	if err := server.Do(func() (err error) {
		conn, err = dhcplink.ListenAdvertise(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, conn) }()
	show := func(args ...string) string {
		out, err := client.Command(context.Background(), "ip", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s%s%+v", what, show("-6", "route"), show("-6", "addr"), s.Stats())
			}
		}
	}
	hasDefault := func() bool { return strings.Contains(show("-6", "route"), "default via fe80") }
	until("no default route", hasDefault)
	if out := show("-6", "route"); !strings.Contains(out, "2001:db8:0:1::/64 dev eth0 proto kernel") {
		t.Errorf("prefix is not on the link:\n%s", out)
	}
	if out := show("-6", "addr"); strings.Contains(out, "2001:db8") {
		t.Errorf("autonomous address:\n%s", out)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	until("default route not taken back", func() bool { return !hasDefault() })
}
