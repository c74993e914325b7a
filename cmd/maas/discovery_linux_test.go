package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// shows waits until a command's output has all of the words.
func (s *realSite) shows(words []string, args ...string) {
	s.t.Helper()
	s.showsAfter(func() {}, words, args...)
}

// showsAfter does something again and again until a command's output has all of the words.
func (s *realSite) showsAfter(do func(), words []string, args ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		do()
		out, missing := s.maas(args...), ""
		for _, w := range words {
			if !strings.Contains(out, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("maas %v does not show %q:\n%s", args, missing, out)
		}
	}
}

func TestDevicesAreDiscoveredScannedAndPromoted(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("arping", "arping"), netlab.Program("dig", "bind9-dnsutils"))
	s := newRealSite(t, "--no-http-proxy", "--dhcp-range", "192.0.2.100-192.0.2.199")
	lab := netlab.New(t)
	host := lab.NS("host")
	lab.Veth(host, "eth0", s.ns, "h1")
	s.ns.Port("br0", "h1")
	host.IP("link", "set", "eth0", "address", "b8:27:eb:00:00:07")
	for _, addr := range []string{"192.0.2.7", "192.0.2.8", "192.0.2.9"} {
		host.Addr("eth0", addr+"/24")
	}
	s.start()
	defer s.stop()

	// Nothing is sent by the host but announcements: the rack listens.
	announce := func() {
		if out, err := host.Command(t.Context(), "arping", "-i", "eth0", "-c", "1", "-S", "192.0.2.7", "192.0.2.1").CombinedOutput(); err != nil {
			t.Logf("arping: %v: %s", err, out)
		}
	}
	s.showsAfter(announce, []string{"192.0.2.7", "b8:27:eb:00:00:07", "Raspberry Pi", "rack br0"}, "discovery", "list", "--unknown", "both")

	// A sweep finds the quiet addresses, and says so; nothing is asked outside.
	if out := s.maas("discovery", "scan", "192.0.2.0/28"); !strings.Contains(out, "done") || !strings.Contains(out, " 3 ") {
		t.Errorf("scan:\n%s", out)
	}
	s.shows([]string{"192.0.2.8", "192.0.2.9"}, "discovery", "list")
	if out, err := exec.CommandContext(t.Context(), s.binary, "discovery", "scan", "203.0.113.0/24", "--data", s.data).CombinedOutput(); err == nil {
		t.Errorf("a foreign prefix was scanned: %s", out)
	}
	s.interruptScan()

	s.maas("discovery", "promote", "192.0.2.7", "--name", "printer")
	deadline := time.Now().Add(10 * time.Second)
	for s.dig("printer.maas") != "192.0.2.7" || s.dig("-x", "192.0.2.7") != "printer.maas." {
		if time.Now().After(deadline) {
			t.Fatal("what was promoted is not in the DNS")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if out := s.maas("discovery", "list", "--unknown", "mac"); strings.Contains(out, "192.0.2.7") {
		t.Errorf("still unknown:\n%s", out)
	}
	s.shows([]string{"printer.maas was made of what rack rack saw on br0"}, "events")
	s.shows([]string{"192.0.2.8", "Raspberry Pi", "seen on", "br0"}, "discovery", "show", "192.0.2.8")
	s.maas("discovery", "clear", "192.0.2.8")
	s.maas("discovery", "clear", "--all")
	s.maas("discovery", "topology")
	s.maas("discovery", "dhcp-servers")
}

// interruptScan ends a scan as a person at the keyboard does.
func (s *realSite) interruptScan() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, "discovery", "scan", "192.0.2.0/24", "--slow", "--data", s.data)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	// Another one cannot begin meanwhile.
	if again, err := exec.CommandContext(ctx, s.binary, "discovery", "scan", "192.0.2.0/24", "--data", s.data).CombinedOutput(); err == nil {
		s.t.Errorf("two scans at once: %s", again)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "cancelled after") {
		s.t.Errorf("interrupted: %v: %s", err, out.String())
	}
	if out := s.maas("discovery", "scan", "192.0.2.0/29"); !strings.Contains(out, "done") {
		s.t.Errorf("the subnet was not free afterwards: %s", out)
	}
}
