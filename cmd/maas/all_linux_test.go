package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// refused runs `maas all` expecting that it ends with one line of reason, and returns that line.
func refused(t *testing.T, ns *netlab.NS, args ...string) string {
	t.Helper()
	binary := build(t) // which may take longer than the command
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var stderr strings.Builder
	cmd := ns.Command(ctx, binary, append([]string{"all", "--data", filepath.Join(t.TempDir(), "data")}, args...)...)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err == nil {
		t.Errorf("maas all %v: was not refused", args)
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(stderr.String()), "\n"), func(l string) bool { return strings.HasPrefix(l, "{") }) // the log's
	line := strings.Join(lines, "\n")
	if !strings.HasPrefix(line, "maas: ") || strings.Contains(line, "\n") {
		t.Errorf("maas all %v: want one line, got:\n%s", args, line)
	}
	return line
}

func expect(t *testing.T, line string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(line, want) {
			t.Errorf("got  %s\nwant %s in it", line, want)
		}
	}
}

func TestAllRefusesWhatCannotWork(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dnsmasq", "dnsmasq-base"))
	lab := netlab.New(t)
	ns, other := lab.NS("site"), lab.NS("other")
	lab.Veth(ns, "eth0", other, "eth0")

	expect(t, refused(t, ns, "--interface", "eth0"), "interface eth0 has no IPv4 address", "ip addr add")
	expect(t, refused(t, ns), "no interface has an IPv4 address")
	ns.Addr("eth0", "192.0.2.1/24")

	t.Run("busy port", func(t *testing.T) {
		var busy net.PacketConn
		if err := ns.Do(func() (err error) { busy, err = net.ListenPacket("udp4", "192.0.2.1:69"); return err }); err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		expect(t, refused(t, ns), "TFTP: port 69/udp is in use", "stop that")
	})

	t.Run("busy DHCP port", func(t *testing.T) {
		var busy net.PacketConn
		if err := ns.Do(func() (err error) { busy, err = net.ListenPacket("udp4", "0.0.0.0:67"); return err }); err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		expect(t, refused(t, ns), "port 67", "taken by another program")
	})

	t.Run("corrupt store", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		if err := os.MkdirAll(data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, "maas.db"), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, refused(t, ns, "--data", data), "maas.db")
		if left, _ := os.ReadFile(filepath.Join(data, "maas.db")); !strings.HasPrefix(string(left), "not a database") {
			t.Error("the damaged file was touched")
		}
	})

	t.Run("data directory in use", func(t *testing.T) {
		s := &realSite{t: t, ns: ns, binary: build(t), data: filepath.Join(t.TempDir(), "data")}
		s.args = []string{"all", "--data", s.data}
		s.start()
		defer s.stop()
		expect(t, refused(t, ns, "--data", s.data), "another maas daemon is using it")
		info, err := os.Stat(filepath.Join(s.data, "maas.sock"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("command socket: %v, %v", info, err)
		}
	})

	t.Run("another DHCP server", func(t *testing.T) {
		other.Addr("eth0", "192.0.2.9/24")
		ctx, cancel := context.WithCancel(t.Context())
		dnsmasq := other.Command(ctx, "dnsmasq", "--keep-in-foreground", "--port=0", "--interface=eth0", "--leasefile-ro",
			"--dhcp-range=192.0.2.150,192.0.2.160,2m", "--conf-file=/dev/null", "--user=root", "--pid-file=")
		if err := dnsmasq.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { cancel(); dnsmasq.Wait() }()
		time.Sleep(500 * time.Millisecond) // dnsmasq does not say when it serves
		expect(t, refused(t, ns), "another server, 192.0.2.9", "eth0", "--dhcp-force")

		s := &realSite{t: t, ns: ns, binary: build(t), data: filepath.Join(t.TempDir(), "data")}
		s.args = []string{"all", "--data", s.data, "--dhcp-force"}
		s.start()
		s.stop()
		// From then on the site knows the network: it is served at once, and the other server is only reported.
		var err error
		if s.log, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
			t.Fatal(err)
		}
		defer s.log.Close()
		s.args = []string{"all", "--data", s.data}
		s.start()
		eventually(t, "the other server is reported", func() bool {
			text, err := os.ReadFile(s.log.Name())
			return err == nil && strings.Contains(string(text), "rogue DHCP server found")
		})
		s.stop()
	})
}
