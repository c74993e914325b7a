package siteimport_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// A client of IPv6 renews at the server that gave its lease, which is gone, and then rebinds at any
// server: ours keeps its address.
func TestLeaseOfDhcpd6IsRebound(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"))
	dhcpd := filepath.Join(qemutest.Unpacked(t, "amd64", "isc-dhcp-server"), "usr/sbin/dhcpd")
	rebound(t, oldServer{
		conf: "dhcpd6.conf", leases: "dhcpd6.leases", ready: "Server starting service|Sending on",
		text: `authoritative; default-lease-time 600; preferred-lifetime 600; option dhcp-renewal-time 5; option dhcp-rebinding-time 8;
subnet6 2001:db8:1::/64 { range6 2001:db8:1::1000 2001:db8:1::1fff; }`,
		command: func(conf, leases string) []string {
			return []string{dhcpd, "-6", "-f", "-d", "--no-pid", "-cf", conf, "-lf", leases, "eth0"}
		},
	})
}

func TestLeaseOfKea6IsRebound(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhclient", "isc-dhcp-client"), netlab.Program("kea-dhcp6", "kea-dhcp6-server"))
	rebound(t, oldServer{
		conf: "kea-dhcp6.conf", leases: "kea-leases6.csv", ready: "DHCP6_STARTED",
		text: `{ "Dhcp6": { "interfaces-config": { "interfaces": [ "eth0" ] }, "valid-lifetime": 600, "preferred-lifetime": 600,
  "renew-timer": 5, "rebind-timer": 8, "data-directory": "DIR", "lease-database": { "type": "memfile", "persist": true, "name": "LEASES" },
  "loggers": [ { "name": "kea-dhcp6", "severity": "INFO", "output_options": [ { "output": "stdout", "flush": true } ] } ],
  "subnet6": [ { "id": 1, "subnet": "2001:db8:1::/64", "interface": "eth0", "pools": [ { "pool": "2001:db8:1::1000-2001:db8:1::1fff" } ] } ] } }`,
		command: func(conf, leases string) []string {
			dir := filepath.Dir(conf)
			return []string{"env", "KEA_PIDFILE_DIR=" + dir, "KEA_LOCKFILE_DIR=" + dir, "kea-dhcp6", "-c", conf}
		},
	})
}

func rebound(t *testing.T, o oldServer) {
	dir := t.TempDir()
	conf, leases := filepath.Join(dir, o.conf), filepath.Join(dir, o.leases)
	write(t, dir, o.conf, strings.NewReplacer("LEASES", leases, "DIR", dir).Replace(o.text))
	if o.conf == "dhcpd6.conf" { // Kea writes the header of its file itself
		write(t, dir, o.leases, "")
	}
	write(t, dir, "script", `#!/bin/sh
[ -n "$new_ip6_address" ] && ip -6 addr replace $new_ip6_address/128 dev $interface nodad && echo "$reason of $new_ip6_address"
exit 0
`)
	lab := netlab.New(t)
	server, machine := lab.NS("server"), lab.NS("client")
	lab.Veth(server, "eth0", machine, "eth0")
	server.Addr("eth0", "2001:db8:1::1/64")
	for _, ns := range []*netlab.NS{server, machine} {
		checked(t, ns)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := o.command(conf, leases)
	old := server.Command(ctx, args[0], args[1:]...)
	waitFor(t, started(t, old), o.ready)

	client := machine.Command(ctx, "dhclient", "-6", "-d", "-sf", filepath.Join(dir, "script"), "-lf", filepath.Join(dir, "client"), "--no-pid", "eth0")
	lines := started(t, client)
	lease := waitFor(t, lines, `BOUND6 of (\S+)`)
	addr := netip.MustParseAddr(lease[1])
	old.Process.Signal(syscall.SIGTERM)
	old.Wait()

	s, before := imported6(t, dir, addr, o.conf, o.leases)
	serve6On(t, server, s)
	if got := waitFor(t, lines, `(?:RENEW6|REBIND6) of (\S+)`); got[1] != lease[1] {
		t.Errorf("the old server gave %s, and the renewal %s", lease[1], got[1])
	}
	after, ok := s.Lookup(addr)
	if !ok || !after.Changed.After(before.Changed) || s.Stats().Received["SOLICIT"] != 0 {
		t.Errorf("imported as %+v, rebound as %+v; %+v", before, after, s.Stats())
	}
	client.Process.Kill()
	client.Wait()
}

// checked waits until the kernel has checked the link-local address, before which programs refuse
// to use it.
func checked(t *testing.T, ns *netlab.NS) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, err := ns.Command(t.Context(), "ip", "-6", "addr", "show", "dev", "eth0", "scope", "link").CombinedOutput()
		if err == nil && strings.Contains(string(out), "fe80:") && !strings.Contains(string(out), "tentative") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no link-local address: %v\n%s", err, out)
		}
	}
}

// imported6 returns a server that serves the subnet and range of the files, with their lease.
func imported6(t *testing.T, dir string, addr netip.Addr, names ...string) (*dhcpsrv.Server, dhcpsrv.Lease) {
	t.Helper()
	got, err := siteimport.Read(os.DirFS(dir), siteimport.Options{}, names...)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Leases) != 1 || got.Leases[0].Addr != addr {
		t.Fatalf("leases %+v\n%s", got.Leases, got.Report)
	}
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	if err := j.Commit(t.Context(), []dhcpsrv.Lease{got.Leases[0].DHCP()}); err != nil {
		t.Fatal(err)
	}
	s, err := dhcpsrv.New(dhcpsrv.Config{Store: j})
	if err != nil {
		t.Fatal(err)
	}
	doc := got.Document
	pool := dhcpsrv.Pool{First: netip.MustParseAddr(doc.Ranges[0].Start), Last: netip.MustParseAddr(doc.Ranges[0].End)}
	err = s.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: doc.Subnets[0].CIDR, Prefix: netip.MustParsePrefix(doc.Subnets[0].CIDR), Link: "eth0", Server: netip.MustParseAddr("2001:db8:1::1"), Pools: []dhcpsrv.Pool{pool},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	before, ok := s.Lookup(addr)
	if !ok {
		t.Fatalf("the lease of %s is not in the journal", addr)
	}
	return s, before
}

func serve6On(t *testing.T, ns *netlab.NS, s *dhcpsrv.Server) {
	t.Helper()
	var conn dhcpsrv.Conn
	err := ns.Do(func() (err error) {
		conn, err = dhcplink.Listen6(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	})
	if err != nil {
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
