package pxedhcp_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

// serveHere makes the test binary a program that serves this interface, see TestServeOnAnInterface.
const serveHere = "MAAS_TEST_PXEDHCP"

// One call with nothing but an interface serves a real client on it: an address over IPv4 and IPv6,
// a loader over TFTP, a script over HTTP. Beside another DHCP server it gives no address.
func TestServeOnAnInterface(t *testing.T) {
	if name := os.Getenv(serveHere); name != "" {
		ctx, stop := context.WithCancel(context.Background())
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // until the test is gone
			stop()
		}()
		if err := pxedhcp.Serve(ctx, pxedhcp.Site{Interfaces: []string{name}, Boot: some}); err != nil {
			t.Fatal(err)
		}
		return
	}
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("curl", "curl"), netlab.Program("dnsmasq", "dnsmasq-base"),
		netlab.Program("dhclient", "isc-dhcp-client"))
	for _, beside := range []bool{false, true} {
		t.Run(map[bool]string{false: "alone", true: "beside dnsmasq"}[beside], func(t *testing.T) {
			lab := netlab.New(t)
			server, client := lab.NS("server"), lab.NS("client")
			server.Bridge("br0")
			server.Addr("br0", "10.77.0.1/24")
			server.Addr("br0", "fd77::1/64")
			lab.Veth(server, "c0", client, "eth0")
			server.Port("br0", "c0")
			if beside {
				other := lab.NS("other")
				lab.Veth(server, "o0", other, "eth0")
				server.Port("br0", "o0")
				other.Addr("eth0", "10.77.0.3/24")
				cmd := other.Command(context.WithoutCancel(t.Context()), "dnsmasq", "-k", "--conf-file=/dev/null", "--pid-file=", "--port=0", "--interface=eth0",
					"--bind-interfaces", "--dhcp-range=10.77.0.60,10.77.0.90,1h", "--dhcp-leasefile="+t.TempDir()+"/leases", "--user=root", "--no-ping", "--log-facility=-")
				log, err := cmd.StderrPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				// Only a server that answers by now is certain to be found by the first search.
				for lines := bufio.NewScanner(log); lines.Scan() && !strings.Contains(lines.Text(), "IP range"); {
				}
				go func() { _, _ = io.Copy(io.Discard, log) }()
				defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			}
			stop := serveIn(t, server, "br0")
			got := lease(t, client)
			if want := map[bool]string{false: `10\.77\.0\.(12[89]|1[3-9]\d|2\d\d)`, true: `10\.77\.0\.[6-8]\d|10\.77\.0\.90`}[beside]; !regexp.MustCompile("^(" + want + ")$").MatchString(got) {
				t.Errorf("address %s, want one of %s", got, want)
			}
			client.Addr("eth0", got+"/24")
			if six := lease6(t, client); !regexp.MustCompile(`^fd77::8[0-9a-f]{3}:`).MatchString(six) {
				t.Errorf("address %s over IPv6", six)
			}
			if out := fetch(t, client, "tftp://10.77.0.1/undionly.kpxe"); out != "iPXE" {
				t.Errorf("TFTP: %q", out)
			}
			if out := fetch(t, client, "http://10.77.0.1:5248/boot/02-00-00-00-00-01/script.ipxe"); !strings.HasPrefix(out, "#!ipxe") || !strings.Contains(out, "quiet") {
				t.Errorf("HTTP: %q", out)
			}
			stop()
		})
	}
}

// serveIn runs the program in a namespace until it has its sockets.
func serveIn(t *testing.T, ns *netlab.NS, link string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	cmd := ns.Command(ctx, os.Args[0], "-test.run", "^TestServeOnAnInterface$")
	cmd.Env = append(os.Environ(), serveHere+"="+link)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
		cancel()
	}
	t.Cleanup(stop)
	return stop
}

// lease gets an address with udhcpc, which asks until the server answers.
func lease(t *testing.T, ns *netlab.NS) string {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = bound ] && echo got $ip\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := ns.Command(t.Context(), "udhcpc", "-n", "-q", "-f", "-t", "30", "-T", "1", "-i", "eth0", "-s", script).CombinedOutput()
	if err != nil {
		t.Fatalf("udhcpc: %v\n%s", err, out)
	}
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		if addr, ok := strings.CutPrefix(lines.Text(), "got "); ok {
			return addr
		}
	}
	t.Fatalf("udhcpc: no address\n%s", out)
	return ""
}

// lease6 gets an address with dhclient.
func lease6(t *testing.T, ns *netlab.NS) string {
	t.Helper()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$reason\" = BOUND6 ] && kill $PPID\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// It refuses to run until the kernel has checked the link-local address.
	for end := time.Now().Add(20 * time.Second); ; {
		out, err := ns.Command(t.Context(), "timeout", "30", "dhclient", "-6", "-1", "-v", "-d", "-sf", script,
			"-lf", filepath.Join(dir, "leases"), "--no-pid", "eth0").CombinedOutput()
		b, _ := os.ReadFile(filepath.Join(dir, "leases"))
		if found := regexp.MustCompile(`iaaddr ([0-9a-f:]+) `).FindSubmatch(b); found != nil {
			return string(found[1])
		}
		if time.Now().After(end) {
			t.Fatalf("dhclient: %v\n%s", err, out)
		}
	}
}

func fetch(t *testing.T, ns *netlab.NS, url string) string {
	t.Helper()
	cmd := ns.Command(t.Context(), "curl", "--silent", "--show-error", "--fail", "--max-time", "10", url)
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v", url, err)
	}
	return string(out)
}
