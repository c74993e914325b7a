package dhcpsrv_test

import (
	"context"
	"net"
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

// network is a server at 192.0.2.1 on eth0 with a client's namespace at the other end.
type network struct {
	lab            *netlab.Lab
	server, client *netlab.NS
	s              *dhcpsrv.Server
}

func newNetwork(t *testing.T, snap dhcpsrv.Snapshot) *network {
	lab := netlab.New(t)
	n := &network{lab: lab, server: lab.NS("server"), client: lab.NS("client")}
	lab.Veth(n.server, "eth0", n.client, "eth0")
	n.server.Addr("eth0", "192.0.2.1/24")
	n.s = newServer(t, dhcpsrv.Config{Store: openJournal(t, filepath.Join(t.TempDir(), "leases"))}, snap)
	n.serve(t)
	return n
}

func (n *network) serve(t *testing.T) {
	var conn dhcpsrv.Conn
	err := n.server.Do(func() (err error) {
		conn, err = dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	})
	if err != nil {
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
}

// run runs a client program and returns the one lease that is bound afterwards.
func (n *network) run(t *testing.T, ns *netlab.NS, name string, args ...string) dhcpsrv.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	start := time.Now()
	out, err := ns.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%+v", name, err, out, n.s.Stats())
	}
	t.Logf("%s took %v", name, time.Since(start).Round(time.Millisecond))
	var bound []dhcpsrv.Lease
	for l := range n.s.Leases() {
		if l.State == dhcpsrv.Bound {
			bound = append(bound, l)
		}
	}
	if len(bound) != 1 {
		t.Fatalf("%d leases bound\n%s", len(bound), out)
	}
	return bound[0]
}

// script makes the program that udhcpc calls with what it got: it sets the address.
func script(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n[ \"$1\" = bound ] && ip addr replace $ip/$mask dev $interface\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUdhcpc(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	n := newNetwork(t, office())
	args := []string{"-n", "-q", "-f", "-i", "eth0", "-x", "hostname:node-1", "-s", script(t)}
	l := n.run(t, n.client, "udhcpc", args...)
	if l.Hostname != "node-1" || l.Link != "eth0" || !strings.HasPrefix(l.VendorClass, "udhcp") {
		t.Errorf("lease %+v", l)
	}
	if again := n.run(t, n.client, "udhcpc", args...); again.Addr != l.Addr {
		t.Errorf("got %v, then %v", l.Addr, again.Addr)
	}
	// Without -q it keeps the lease until it is told to end; -R releases it then.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, _ := n.client.Command(ctx, "timeout", "-s", "TERM", "1", "udhcpc", "-f", "-R", "-i", "eth0", "-s", script(t)).CombinedOutput()
	if !strings.Contains(string(out), "released") {
		t.Fatalf("%s", out)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, ok := n.s.Lookup(l.Addr); !ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("released lease is still bound: %+v", n.s.Stats())
		}
	}
}

func TestDhclient(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"))
	n := newNetwork(t, office())
	dir := t.TempDir()
	args := []string{"-4", "-1", "-n", "-d", "-v", "-sf", script(t), "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "-cf", "/dev/null", "eth0"}
	// It stays in the foreground with its lease: ask it to go after it has one.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := n.client.Command(ctx, "timeout", append([]string{"-s", "TERM", "4", "dhclient"}, args[:2]...)...)
	cmd.Args = append(cmd.Args, args[3:]...)
	out, _ := cmd.CombinedOutput()
	if !strings.Contains(string(out), "bound to 192.0.2.1") {
		t.Fatalf("%s\n%+v", out, n.s.Stats())
	}
	// With its lease file it starts in INIT-REBOOT.
	before := n.s.Stats()
	out, _ = n.client.Command(ctx, "timeout", cmd.Args[5:]...).CombinedOutput()
	if after := n.s.Stats(); !strings.Contains(string(out), "bound to 192.0.2.1") || after.Received["DISCOVER"] != before.Received["DISCOVER"] {
		t.Errorf("init-reboot: %s\n%+v", out, after)
	}
}

// TestRelay puts ISC's relay agent between the client and the server.
func TestRelay(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("dhcrelay", "isc-dhcp-relay"))
	n := newNetwork(t, office())
	far := n.lab.NS("far")
	n.lab.Veth(n.client, "eth1", far, "eth0")
	n.client.Addr("eth0", "192.0.2.2/24")
	n.client.Addr("eth1", "198.51.100.1/24")
	n.server.IP("route", "add", "198.51.100.0/24", "via", "192.0.2.2")
	ctx, cancel := context.WithCancel(context.Background())
	relay := n.client.Command(ctx, "dhcrelay", "-4", "-d", "--no-pid", "-a", "-id", "eth1", "-iu", "eth0", "192.0.2.1")
	var log strings.Builder
	relay.Stderr = &log
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		relay.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	time.Sleep(300 * time.Millisecond)
	l := n.run(t, far, "udhcpc", "-n", "-q", "-f", "-i", "eth0", "-s", script(t))
	if l.Subnet != "far" || l.Relay != netip.MustParseAddr("198.51.100.1") || string(l.CircuitID) != "eth1" {
		t.Errorf("lease %+v", l)
	}
}

// TestBurst makes the load of a power restore: many clients at once, over real sockets. No client
// has to ask twice.
func TestBurst(t *testing.T) {
	netlab.Require(t, netlab.Root)
	snap := office()
	snap.Subnets[1].Prefix = netip.MustParsePrefix("10.0.0.0/8")
	snap.Subnets[1].Pools[0] = dhcpsrv.Pool{First: ip("10.1.0.0"), Last: ip("10.1.255.255")}
	n := newNetwork(t, snap)
	const clients = 1000
	var pc net.PacketConn
	n.client.Addr("eth0", "192.0.2.2/24")
	n.client.IP("addr", "add", "10.0.0.1/32", "dev", "lo")
	n.server.IP("route", "add", "10.0.0.1/32", "via", "192.0.2.2")
	if err := n.client.Do(func() (err error) {
		pc, err = net.ListenPacket("udp4", "10.0.0.1:67")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	pc.(*net.UDPConn).SetReadBuffer(8 << 20)
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:67"))
	start := time.Now()
	for i := range clients {
		p := newClient(t, n.s, macOf(uint32(i))).packet(1, relayFrom(ip("10.0.0.1")))
		if _, err := pc.WriteTo(p.ToBytes(), to); err != nil {
			t.Fatal(err)
		}
	}
	acks := 0
	buf := make([]byte, 1500)
	for pc.SetReadDeadline(time.Now().Add(20 * time.Second)); acks < clients; {
		size, _, err := pc.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%d of %d bound: %v; %+v", acks, clients, err, n.s.Stats())
		}
		if buf[242] == 5 {
			acks++
			continue
		}
		offer := parse(t, buf[:size])
		p := newClient(t, n.s, offer.ClientHWAddr).packet(3, relayFrom(ip("10.0.0.1")), withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr))
		if _, err := pc.WriteTo(p.ToBytes(), to); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d clients bound in %v", clients, time.Since(start).Round(time.Millisecond))
}
