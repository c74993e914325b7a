package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Two racks serve one VLAN. Whichever is killed, clients keep their addresses, a new one gets an address of its own, and the
// name of the proxy leads to one that lives.
func TestTwoRacksOfAVLAN(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"), netlab.Program("dig", "bind9-dnsutils"), netlab.Program("curl", "curl"))
	lab := netlab.New(t)
	lan, site := lab.NS("lan"), lab.NS("region")
	lan.Bridge("br0")
	n := &rackNet{t: t, data: filepath.Join(t.TempDir(), "region")}
	join := func(name string) *netlab.NS {
		ns := lab.NS(name)
		lab.Veth(ns, "eth0", lan, "p-"+name)
		lan.Port("br0", "p-"+name)
		return ns
	}
	racks := map[string]*process{}
	for name, address := range map[string]string{"a": "1", "b": "2"} {
		ns := join(name)
		ns.Addr("eth0", "192.0.2."+address+"/24")
		lab.Veth(site, "to-"+name, ns, "up0")
		site.Addr("to-"+name, "198.51.100."+address+"1/29")
		ns.Addr("up0", "198.51.100."+address+"2/29")
		racks[name] = newProcess(t, ns, "rack", "--data", filepath.Join(t.TempDir(), name), "--interface", "eth0", "--name", name, "--dhcp-force")
	}
	n.region = newProcess(t, site, "region", "--data", n.data)
	n.startRegion()
	racks["a"].start("--enrol-file", tokenFile(racks["a"].t, n.token()))
	n.run("vlan of the first rack", func(out string) bool { return strings.Contains(out, `"primary_rack": "a"`) }, "vlan", "list", "-o", "json")
	racks["b"].start("--enrol-file", tokenFile(racks["b"].t, n.token()))
	n.run("both racks", func(out string) bool { return strings.Count(out, `"connected": true`) == 2 }, "rack", "list", "-o", "json")
	vlan := n.vlanOf("a")
	n.run("the second rack's part", func(string) bool { return true }, "vlan", "update", vlan, "secondary_rack=b")
	for _, rack := range racks {
		eventually(t, "the racks exchange leases", func() bool { return strings.Contains(rack.logged(), "leases received from partner") })
	}

	held := map[string]*netlab.NS{} // by address
	take := func(client *netlab.NS) {
		t.Helper()
		address := n.lease(client)
		if !strings.HasPrefix(address, "192.0.2.") || held[address] != nil {
			t.Fatalf("a new client got %q, held are %v", address, len(held))
		}
		held[address] = client
	}
	keep := func(when string) {
		t.Helper()
		for address, client := range held {
			if got := n.reboot(client, address); got != address {
				t.Errorf("%s the client of %s got %q", when, address, got)
			}
		}
	}
	for _, name := range []string{"one", "two", "three"} {
		take(join(name))
	}
	machine := join("machine")
	machine.Addr("eth0", "192.0.2.250/24")
	n.run("an exception for the machine", func(string) bool { return true }, "proxy", "set", "allow_proxy_to", "192.0.2.250")
	proxied := func(when, server string) {
		t.Helper()
		const name = "192-0-2-0--24.maas-internal"
		out, err := machine.Command(t.Context(), "dig", "+short", "@"+server, name).Output()
		addrs := strings.Fields(string(out))
		if slices.Sort(addrs); err != nil || !slices.Equal(addrs, []string{"192.0.2.1", "192.0.2.2"}) {
			t.Errorf("%s %s says that %s is %v, %v", when, server, name, addrs, err)
		}
		// Nothing listens at the destination: that the proxy says so is enough.
		eventually(t, when+" the proxy answers", func() bool {
			out, _ := machine.Command(t.Context(), "curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "10",
				"--resolve", name+":8000:192.0.2.1,192.0.2.2", "--proxy", "http://"+name+":8000", "http://192.0.2.250:9999/").Output()
			return string(out) == "502"
		})
	}
	proxied("with both", "192.0.2.1")
	racks["a"].kill()
	keep("without a")
	proxied("without a", "192.0.2.2")
	take(join("four"))
	racks["a"].start()
	merged := func() bool { return strings.Count(racks["a"].logged(), "leases received from partner") == 2 }
	eventually(t, "the rack that was away has the other's leases", merged)
	racks["b"].kill()
	keep("without b")
	proxied("without b", "192.0.2.1")
	take(join("five"))
}

// run repeats a command until its output is as wanted.
func (n *rackNet) run(what string, wanted func(out string) bool, args ...string) {
	n.t.Helper()
	last := ""
	defer func() {
		if n.t.Failed() {
			n.t.Logf("%v: %s", args, last)
		}
	}()
	eventually(n.t, what, func() bool {
		out, err := maas(n.t, append(args, "--data", n.data)...)
		last = out
		return err == nil && wanted(out)
	})
}

// vlanOf names the VLAN that a rack serves.
func (n *rackNet) vlanOf(rack string) string {
	n.t.Helper()
	out, err := maas(n.t, "vlan", "list", "-o", "json", "--data", n.data)
	var vlans []struct {
		Fabric  string `json:"fabric"`
		VID     int    `json:"vid"`
		Primary string `json:"primary_rack"`
	}
	if err != nil || json.Unmarshal([]byte(out), &vlans) != nil {
		n.t.Fatal(out)
	}
	for _, v := range vlans {
		if v.Primary == rack {
			return v.Fabric + "/0"
		}
	}
	n.t.Fatalf("rack %s serves no VLAN: %s", rack, out)
	return ""
}

// reboot asks for the address that the client had, as a machine does that starts again, and returns what it got.
func (n *rackNet) reboot(client *netlab.NS, address string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	out, err := client.Command(ctx, "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-s", "/bin/true", "-t", "8", "-T", "1", "-r", address).CombinedOutput()
	if err != nil {
		n.t.Logf("udhcpc: %v: %s", err, out)
	}
	_, after, _ := strings.Cut(string(out), "lease of ")
	got, _, _ := strings.Cut(after, " ")
	return got
}
