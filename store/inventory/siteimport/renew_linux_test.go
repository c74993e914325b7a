package siteimport_test

import (
	"bufio"
	"context"
	"io"
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
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// A lease that the old server gave to a client is renewed by a server of ours with the imported
// leases: the client never notices that there is another server.
func TestLeaseOfDhcpdIsRenewed(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	dhcpd := filepath.Join(qemutest.Unpacked(t, "amd64", "isc-dhcp-server"), "usr/sbin/dhcpd")
	renewed(t, oldServer{
		conf: "dhcpd.conf", leases: "dhcpd.leases", ready: "Server starting service|Sending on",
		text: `authoritative; default-lease-time 3600;
subnet 192.0.2.0 netmask 255.255.255.0 { range 192.0.2.100 192.0.2.199; option routers 192.0.2.1; }`,
		command: func(conf, leases string) []string {
			return []string{dhcpd, "-4", "-f", "-d", "--no-pid", "-cf", conf, "-lf", leases, "eth0"}
		},
	})
}

func TestLeaseOfDnsmasqIsRenewed(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("dnsmasq", "dnsmasq-base"))
	renewed(t, oldServer{
		conf: "dnsmasq.conf", leases: "dnsmasq.leases", ready: "DHCP, IP range",
		text: "port=0\ninterface=eth0\ndhcp-authoritative\ndhcp-range=192.0.2.100,192.0.2.199,255.255.255.0,1h\n",
		command: func(conf, leases string) []string {
			return []string{"dnsmasq", "-k", "--log-facility=-", "--user=root", "-C", conf, "-l", leases, "--pid-file="}
		},
	})
}

func TestLeaseOfKeaIsRenewed(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("kea-dhcp4", "kea-dhcp4-server"))
	renewed(t, oldServer{
		conf: "kea-dhcp4.conf", leases: "kea-leases4.csv", ready: "DHCP4_STARTED", header: keaHeader,
		text: `{ "Dhcp4": { "interfaces-config": { "interfaces": [ "eth0" ] }, "valid-lifetime": 3600, "authoritative": true,
  "lease-database": { "type": "memfile", "persist": true, "name": "LEASES" },
  "loggers": [ { "name": "kea-dhcp4", "severity": "INFO", "output_options": [ { "output": "stdout", "flush": true } ] } ],
  "subnet4": [ { "subnet": "192.0.2.0/24", "pools": [ { "pool": "192.0.2.100-192.0.2.199" } ] } ] } }`,
		command: func(conf, leases string) []string {
			dir := filepath.Dir(conf)
			return []string{"env", "KEA_PIDFILE_DIR=" + dir, "KEA_LOCKFILE_DIR=" + dir, "kea-dhcp4", "-c", conf}
		},
	})
}

// keaHeader begins the lease file of Kea, which refuses one without.
const keaHeader = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"

// oldServer is the server whose lease is taken over.
type oldServer struct {
	conf, leases string // names of files
	text         string
	ready        string // a line that the server writes when it serves
	header       string // of the file of leases
	command      func(conf, leases string) []string
}

func renewed(t *testing.T, o oldServer) {
	dir := t.TempDir()
	conf, leases := filepath.Join(dir, o.conf), filepath.Join(dir, o.leases)
	write(t, dir, o.conf, strings.ReplaceAll(o.text, "LEASES", leases))
	write(t, dir, o.leases, o.header)
	write(t, dir, "script", "#!/bin/sh\ncase $1 in bound|renew) ip addr replace $ip/$mask dev $interface;; esac\n")

	lab := netlab.New(t)
	server, machine := lab.NS("server"), lab.NS("client")
	lab.Veth(server, "eth0", machine, "eth0")
	server.Addr("eth0", "192.0.2.1/24")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	args := o.command(conf, leases)
	old := server.Command(ctx, args[0], args[1:]...)
	waitFor(t, started(t, old), o.ready)

	client := machine.Command(ctx, "udhcpc", "-f", "-t", "20", "-T", "1", "-i", "eth0", "-x", "hostname:desk", "-s", filepath.Join(dir, "script"))
	lines := started(t, client)
	lease := waitFor(t, lines, `lease of ([\d.]+) obtained`)
	addr := netip.MustParseAddr(lease[1])
	old.Process.Signal(syscall.SIGTERM)
	old.Wait()

	s, before := imported(t, dir, addr, o.conf, o.leases)
	serveOn(t, server, s)
	client.Process.Signal(syscall.SIGUSR1) // renew now
	if got := waitFor(t, lines, `lease of ([\d.]+) obtained`); got[1] != lease[1] {
		t.Errorf("the old server gave %s, and the renewal %s", lease[1], got[1])
	}
	after, ok := s.Lookup(addr)
	if !ok || !after.Changed.After(before.Changed) || after.Hostname != "desk" || s.Stats().Received["DISCOVER"] != 0 {
		t.Errorf("imported as %+v, renewed as %+v; %+v", before, after, s.Stats())
	}
	client.Process.Kill()
	client.Wait()
}

// imported returns a server that serves what was read from files, with its lease.
func imported(t *testing.T, dir string, addr netip.Addr, names ...string) (*dhcpsrv.Server, dhcpsrv.Lease) {
	t.Helper()
	got, err := siteimport.Read(os.DirFS(dir), siteimport.Options{}, names...)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Leases) != 1 || got.Leases[0].Addr != addr {
		t.Fatalf("leases %+v\n%s", got.Leases, got.Report)
	}
	j, err := journal.Open(filepath.Join(dir, "leases"))
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
		Name: doc.Subnets[0].CIDR, Prefix: netip.MustParsePrefix(doc.Subnets[0].CIDR), Link: "eth0", Server: netip.MustParseAddr("192.0.2.1"), Pools: []dhcpsrv.Pool{pool},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := s.Lookup(addr)
	if age := time.Since(before.Start); age < -time.Second || age > time.Hour {
		t.Errorf("began at %v", before.Start)
	}
	return s, before
}

func serveOn(t *testing.T, ns *netlab.NS, s *dhcpsrv.Server) {
	t.Helper()
	var conn dhcpsrv.Conn
	err := ns.Do(func() (err error) {
		conn, err = dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth0"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// started starts a program and returns what it writes, by lines.
func started(t *testing.T, cmd *exec.Cmd) <-chan string {
	t.Helper()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		for scan := bufio.NewScanner(r); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	t.Cleanup(func() { cmd.Process.Kill(); w.Close() })
	return lines
}

// waitFor waits for a line that matches.
func waitFor(t *testing.T, lines <-chan string, pattern string) []string {
	t.Helper()
	want, seen := regexp.MustCompile(pattern), []string{}
	for timeout := time.After(20 * time.Second); ; {
		select {
		case line := <-lines:
			seen = append(seen, line)
			if m := want.FindStringSubmatch(line); m != nil {
				return m
			}
		case <-timeout:
			t.Fatalf("no line has %q:\n%s", pattern, strings.Join(seen, "\n"))
		}
	}
}
