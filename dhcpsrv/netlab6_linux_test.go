package dhcpsrv_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// serve6 serves DHCPv6 on eth0 of a namespace.
func serve6(t *testing.T, ns *netlab.NS, s *dhcpsrv.Server) {
	var conn dhcpsrv.Conn
	if err := ns.Do(func() (err error) {
		conn, err = dhcplink.Listen6(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve6(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve6: %v", err)
		}
	})
}

// settled waits until the link-local address of eth0 may be used.
func settled(t *testing.T, ns *netlab.NS) {
	t.Helper()
	for range 100 {
		out, _ := ns.Command(context.Background(), "ip", "-6", "addr", "show", "dev", "eth0").CombinedOutput()
		if strings.Contains(string(out), "fe80") && !strings.Contains(string(out), "tentative") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("eth0 has no link-local address")
}

// dhclient6 binds a lease, and releases it when release is called.
func dhclient6(t *testing.T, ns *netlab.NS) (release func()) {
	dir := t.TempDir()
	args := []string{"-6", "-1", "-v", "-sf", script6(t), "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "-cf", "/dev/null"}
	run := func(more ...string) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		start := time.Now()
		if out, err := ns.Command(ctx, "dhclient", append(args, more...)...).CombinedOutput(); err != nil {
			t.Fatalf("dhclient: %v\n%s", err, out)
		}
		t.Logf("dhclient -6 took %v", time.Since(start).Round(time.Millisecond))
	}
	run("eth0")
	return func() { run("-r", "eth0") }
}

func script6(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "script6")
	text := "#!/bin/sh\n[ -n \"$new_ip6_address\" ] && ip -6 addr replace $new_ip6_address/128 dev $interface\nexit 0\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func oneBound(t *testing.T, s *dhcpsrv.Server) dhcpsrv.Lease {
	t.Helper()
	var bound []dhcpsrv.Lease
	for l := range s.Leases() {
		if l.State == dhcpsrv.Bound {
			bound = append(bound, l)
		}
	}
	if len(bound) != 1 {
		t.Fatalf("%d leases bound: %+v", len(bound), s.Stats())
	}
	return bound[0]
}

func TestDhclient6(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"))
	lab := netlab.New(t)
	server, client := lab.NS("server"), lab.NS("client")
	lab.Veth(server, "eth0", client, "eth0")
	s := newServer(t, dhcpsrv.Config{Store: openJournal(t, filepath.Join(t.TempDir(), "leases"))}, office6())
	settled(t, server)
	settled(t, client)
	serve6(t, server, s)
	release := dhclient6(t, client)
	if l := oneBound(t, s); l.Link != "eth0" || l.Subnet != "office6" || len(l.MAC) != 6 || len(l.DUID) == 0 {
		t.Errorf("lease %+v", l)
	}
	release()
	// dhclient does not wait for the answer.
	for deadline := time.Now().Add(5 * time.Second); s.Stats().Events["released"] != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not released: %+v", s.Stats())
		}
	}
}

// ISC's client asks for a prefix, which this server does not delegate: it does not choose the server for nothing, asks on, and
// another server can answer it. With an address besides the prefix it is bound at once.
func TestDhclientPrefix(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"))
	lab := netlab.New(t)
	server, client := lab.NS("server"), lab.NS("client")
	lab.Veth(server, "eth0", client, "eth0")
	s := newServer(t, dhcpsrv.Config{}, office6())
	settled(t, server)
	settled(t, client)
	serve6(t, server, s)
	dir, script := t.TempDir(), script6(t)
	start := func(more ...string) (wait func()) {
		ctx, cancel := context.WithCancel(context.Background())
		args := append([]string{"-6", "-1", "-d", "-sf", script, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "-cf", "/dev/null"}, more...)
		cmd := client.Command(ctx, "dhclient", append(args, "eth0")...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			cancel()
			_ = cmd.Wait() // it was ended
		}
	}
	await := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(20 * time.Millisecond) { // for the client
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v", what, s.Stats())
			}
		}
	}
	stop := start("-P")
	await("it does not ask twice", func() bool { return s.Stats().Received["SOLICIT6"] >= 2 })
	stop()
	if n := s.Stats().Received["REQUEST6"]; n != 0 {
		t.Errorf("asked %d times for a prefix that was not offered", n)
	}
	stop = start("-N", "-P")
	await("it gets no address", func() bool {
		for l := range s.Leases() {
			if l.State == dhcpsrv.Bound {
				return true
			}
		}
		return false
	})
	stop()
}

// ISC's client is delegated a prefix, beside an address or alone, and releases it.
func TestDhclientIsDelegatedAPrefix(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"))
	for _, flags := range [][]string{{"-P"}, {"-N", "-P"}} {
		lab := netlab.New(t)
		server, client := lab.NS("server"), lab.NS("client")
		lab.Veth(server, "eth0", client, "eth0")
		s := newServer(t, dhcpsrv.Config{Store: openJournal(t, filepath.Join(t.TempDir(), "leases"))}, branches())
		settled(t, server)
		settled(t, client)
		serve6(t, server, s)
		dir := t.TempDir()
		script := filepath.Join(dir, "script")
		if err := os.WriteFile(script, []byte("#!/bin/sh\n[ -z \"$new_ip6_prefix\" ] || echo $new_ip6_prefix >>"+dir+"/prefixes\nexit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"-6", "-1", "-v", "-sf", script, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "-cf", "/dev/null"}, flags...)
		run := func(more ...string) {
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			if out, err := client.Command(ctx, "dhclient", append(args, more...)...).CombinedOutput(); err != nil {
				t.Fatalf("dhclient: %v\n%s", err, out)
			}
		}
		run("eth0")
		var prefix dhcpsrv.Lease
		bound := 0
		for l := range s.Leases(dhcpsrv.LeaseFilter{State: dhcpsrv.Bound}) {
			if bound++; l.Bits > 0 {
				prefix = l
			}
		}
		told, err := os.ReadFile(dir + "/prefixes")
		if want := netip.PrefixFrom(prefix.Addr, 60).String(); bound != len(flags) || prefix.Bits != 60 || err != nil || strings.TrimSpace(string(told)) != want {
			t.Errorf("%v: %d leases bound, prefix %s, dhclient has %q, %v", flags, bound, want, told, err)
		}
		run("-r", "eth0")
		for deadline := time.Now().Add(30 * time.Second); s.Stats().Events["released"] != uint64(bound); time.Sleep(10 * time.Millisecond) { // dhclient does not wait for the answer
			if time.Now().After(deadline) {
				t.Fatalf("not released: %+v", s.Stats())
			}
		}
	}
}

// ISC's relay stands between two links.
func TestDhcrelay6(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"), netlab.Program("dhcrelay", "isc-dhcp-relay"))
	lab := netlab.New(t)
	server, relay, client := lab.NS("server"), lab.NS("relay"), lab.NS("client")
	lab.Veth(server, "eth0", relay, "up")
	lab.Veth(relay, "eth0", client, "eth0")
	server.IP("-6", "addr", "add", "2001:db8:1::1/64", "dev", "eth0", "nodad")
	relay.IP("-6", "addr", "add", "2001:db8:1::2/64", "dev", "up", "nodad")
	relay.IP("-6", "addr", "add", "2001:db8:2::1/64", "dev", "eth0", "nodad")
	for _, ns := range []*netlab.NS{server, relay, client} {
		settled(t, ns)
	}
	s := newServer(t, dhcpsrv.Config{}, office6())
	serve6(t, server, s)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := relay.Command(ctx, "dhcrelay", "-6", "-d", "--no-pid", "-I", "-l", "eth0", "-u", "2001:db8:1::1%up")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cancel()
	time.Sleep(300 * time.Millisecond)
	dhclient6(t, client)
	if l := oneBound(t, s); l.Subnet != "far6" || l.Relay != ip("2001:db8:2::1") {
		t.Errorf("lease %+v", l)
	}
}
