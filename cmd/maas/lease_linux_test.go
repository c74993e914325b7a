package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// A lease that a real client has is shown, released, and known afterwards.
func TestLeaseCommands(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	n := newRackNet(t)
	n.startRegion()
	n.rack.start("--enrol-file", tokenFile(t, n.token()))
	eventually(t, "the rack is connected", n.connected)
	says := func(text string, args ...string) {
		t.Helper()
		var out string
		defer func() {
			if t.Failed() {
				t.Logf("%v: %s", args, out)
			}
		}()
		eventually(t, fmt.Sprintf("%v has %q", args, text), func() bool {
			var err error
			out, err = maas(t, append(args, "--data", n.data)...)
			return err == nil && strings.Contains(strings.Join(strings.Fields(out), " "), text)
		})
	}
	address := n.lease(n.clients[0])
	if address == "" {
		t.Fatal("no lease")
	}
	says("state active", "lease", "show", address)
	held := time.Now().Format(time.RFC3339Nano)
	says("The lease of "+address+" has ended", "lease", "release", address)
	if out, err := maas(t, "lease", "release", address, "--data", n.data); err == nil || !strings.Contains(out, "lease of "+address+" does not exist") {
		t.Errorf("released twice: %s", out)
	}
	says("state free", "lease", "show", address)
	says("released", "lease", "history", address)
	says("then released", "explain", "ip", address, "--at", held)
	says("no lease of it at that time", "explain", "ip", address, "--at", "0s")
	says("before: leased to", "explain", "ip", address, "--at", "0s")
	says(address+" leased to", "events", "--kind", "lease")
	if out, err := maas(t, "events", "--data", n.data); err != nil || strings.Contains(out, "leased to") {
		t.Errorf("leases are among the events without a kind: %s", out)
	}
}

// A real client of a class gets an address of the range of its class, and one of an ignored class
// gets none.
func TestDHCPClasses(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	n := newRackNet(t)
	n.startRegion()
	n.rack.start("--enrol-file", tokenFile(t, n.token()))
	eventually(t, "the rack is connected", n.connected)
	run := func(args ...string) {
		t.Helper()
		if out, err := maas(t, append(args, "--data", n.data)...); err != nil {
			t.Fatalf("%v: %s", args, out)
		}
	}
	run("dhcp-class", "create", "phones", "vendor_class=Phone")
	run("iprange", "create", "192.0.2.20-192.0.2.29", "type=dynamic", "dhcp_class=phones")
	run("dhcp-class", "create", "guests", "vendor_class=Guest", "ignore=true")
	eventually(t, "the rack serves the class", func() bool { return strings.HasPrefix(n.lease(n.clients[0], "-V", "Phone 7"), "192.0.2.2") })
	if got := n.lease(n.clients[1]); !strings.HasPrefix(got, "192.0.2.") || strings.HasPrefix(got, "192.0.2.2") && len(got) == len("192.0.2.20") {
		t.Errorf("a client of no class has %q", got)
	}
	if got := n.lease(n.clients[2], "-V", "Guest", "-t", "2"); got != "" {
		t.Errorf("a client that is ignored has %q", got)
	}
}
