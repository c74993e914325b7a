package dhcpsrv_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// A server that watches beside dnsmasq answers nothing and learns the lease. After the change of
// mode the client renews it at the same address.
func TestWatchThenServe(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("dnsmasq", "dnsmasq-base"))
	dir := t.TempDir()
	lab := netlab.New(t)
	wire, old, own, machine := lab.NS("wire"), lab.NS("old"), lab.NS("own"), lab.NS("client")
	wire.Bridge("br0")
	for i, ns := range []*netlab.NS{old, own, machine} {
		port := fmt.Sprintf("p%d", i)
		lab.Veth(wire, port, ns, "eth0")
		wire.Port("br0", port)
	}
	old.Addr("eth0", "192.0.2.1/24")
	own.Addr("eth0", "192.0.2.2/24")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	script := filepath.Join(dir, "script")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(script, "#!/bin/sh\ncase $1 in bound|renew) ip addr replace $ip/$mask dev $interface; echo GOT $ip FROM $serverid;; esac\n")
	write(filepath.Join(dir, "conf"), "port=0\ninterface=eth0\ndhcp-authoritative\nlog-dhcp\ndhcp-range=192.0.2.100,192.0.2.150,255.255.255.0,1h\n")

	heard := make(chan dhcpsrv.Watched, 10)
	server, err := dhcpsrv.New(dhcpsrv.Config{Watched: func(w dhcpsrv.Watched) { heard <- w }})
	if err != nil {
		t.Fatal(err)
	}
	subnet := dhcpsrv.Subnet{
		Name: "lan", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: netip.MustParseAddr("192.0.2.2"), Mode: dhcpsrv.ModeWatch,
		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.150")}},
	}
	serve := func() {
		if err := server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{subnet}}); err != nil {
			t.Fatal(err)
		}
	}
	serve()
	var conn dhcpsrv.Conn
	if err := own.Do(func() (err error) {
		conn, err = dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, conn) }()
	defer func() { cancel(); <-done }()

	theirs := old.Command(ctx, "dnsmasq", "-k", "--log-facility=-", "--user=root", "-C", filepath.Join(dir, "conf"), "-l", filepath.Join(dir, "leases"), "--pid-file=")
	linesOf(t, theirs, "DHCP, IP range")
	client := machine.Command(ctx, "udhcpc", "-f", "-t", "20", "-T", "1", "-i", "eth0", "-s", script)
	next := linesOf(t, client, "")
	first := next("GOT (\\S+) FROM 192.0.2.1")
	w := <-heard
	if w.Addr.String() != first || w.Server != netip.MustParseAddr("192.0.2.1") || !w.Kept || !w.Same() {
		t.Errorf("heard %+v, and the client has %s", w, first)
	}
	if sent := server.Stats().Sent; sent["OFFER"]+sent["ACK"]+sent["NAK"] != 0 {
		t.Errorf("sent %v while it watches", sent)
	}
	theirs.Process.Signal(syscall.SIGTERM)
	theirs.Wait()

	// The change: one setting. The old server takes its address along, as one that replaces it does.
	subnet.Mode = dhcpsrv.ModeServe
	serve()
	old.IP("addr", "del", "192.0.2.1/24", "dev", "eth0")
	own.Addr("eth0", "192.0.2.1/24")
	client.Process.Signal(syscall.SIGUSR1)
	if again := next("GOT (\\S+) FROM 192.0.2.2"); again != first {
		t.Errorf("the client had %s, and now %s", first, again)
	}
	client.Process.Kill()
	client.Wait()
}

// linesOf starts a program and waits for a line; the function waits for more.
func linesOf(t *testing.T, cmd *exec.Cmd, ready string) func(pattern string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill(); r.Close() })
	seen, buf := "", make([]byte, 4096)
	next := func(pattern string) string {
		t.Helper()
		want := regexp.MustCompile(pattern)
		r.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			if m := want.FindStringSubmatchIndex(seen); m != nil {
				got := seen[m[0]:m[1]]
				if len(m) > 2 {
					got = seen[m[2]:m[3]]
				}
				seen = seen[m[1]:]
				return strings.TrimSpace(got)
			}
			n, err := r.Read(buf)
			if seen += string(buf[:n]); err != nil {
				t.Fatalf("no line has %q: %v\n%s", pattern, err, seen)
			}
		}
	}
	if ready != "" {
		next(ready)
	}
	return next
}
