package netconfig_test

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netconfig"
)

var update = flag.Bool("update", false, "write the golden files")

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func mac(n byte) net.HardwareAddr  { return net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, n} }

// machines are configurations by name.
var machines = map[string]netconfig.Config{
	"static": {
		Interfaces: []netconfig.Interface{
			{
				Name: "eth0", MAC: mac(1), MTU: 9000, Addresses: []netip.Prefix{prefix("192.0.2.10/24"), prefix("192.0.2.11/24"), prefix("2001:db8::10/64")},
				Routes: []netconfig.Route{
					{To: netconfig.Default4, Via: addr("192.0.2.1")}, {To: netconfig.Default6, Via: addr("fe80::1")},
					{To: prefix("198.51.100.0/24"), Via: addr("192.0.2.254"), Metric: 50}, {To: prefix("2001:db8:1::/48"), Via: addr("2001:db8::fe")},
				},
			},
			{Name: "eth1", MAC: mac(2)},
		},
		DNS: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}, Search: []string{"maas", "lab.example"},
	},
	"bond": {
		Interfaces: []netconfig.Interface{
			{Name: "br0", Kind: ipam.Bridge, Parents: []string{"bond0"}, Bridge: netconfig.Bridge{ForwardDelay: 4}, DHCP4: true},
			{Name: "bond0.100", Kind: ipam.VLANInterface, Parents: []string{"bond0"}, VID: 100, MTU: 1400, Addresses: []netip.Prefix{prefix("10.1.0.9/16"), prefix("fd00:1::9/64")},
				Routes: []netconfig.Route{{To: netconfig.Default6, Via: addr("fd00:1::1")}}},
			{Name: "bond0", Kind: ipam.Bond, MAC: mac(1), Parents: []string{"eth0", "eth1"}, Bond: netconfig.Bond{Mode: "802.3ad", MIIMonitor: 100, LACPRate: "fast", TransmitPolicy: "layer3+4"}},
			{Name: "eth0", MAC: mac(1)}, {Name: "eth1", MAC: mac(2)},
		},
	},
	"policy": {
		Interfaces: []netconfig.Interface{
			{Name: "eth0", MAC: mac(1), Addresses: []netip.Prefix{prefix("192.0.2.10/24")}, Routes: []netconfig.Route{{To: netconfig.Default4, Via: addr("192.0.2.1")}}},
			{Name: "eth1", MAC: mac(2), Addresses: []netip.Prefix{prefix("198.51.100.10/32")},
				Routes: []netconfig.Route{
					{To: netconfig.Default4, Via: addr("198.51.100.1"), Table: 101}, {To: prefix("198.51.100.0/24"), Table: 101},
				},
				Rules: []netconfig.Rule{{From: prefix("198.51.100.0/24"), Table: 101}}},
		},
	},
	"dynamic": {
		Interfaces: []netconfig.Interface{{Name: "enp1s0", MAC: mac(1), DHCP4: true, DHCP6: true, AcceptRA: true}, {Name: "enp2s0", MAC: mac(2), DHCP6: true}},
	},
}

// text returns an output as one text.
func text(o netconfig.Output) string {
	var b strings.Builder
	for _, f := range o.Files {
		fmt.Fprintf(&b, "-- %s %o --\n%s", f.Path, f.Mode, f.Text)
	}
	for _, w := range o.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for name, c := range machines {
		for _, f := range netconfig.Formats() {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				out, err := netconfig.Render(c, f)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join("testdata", name, string(f)+".golden")
				if *update {
					_ = os.MkdirAll(filepath.Dir(path), 0o755)
					if err := os.WriteFile(path, []byte(text(out)), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), text(out)); diff != "" {
					t.Errorf("run go test -update (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// drawn is a configuration of some interfaces with what they may have.
func drawn(d *rapid.T) (c netconfig.Config) {
	count := rapid.IntRange(1, 4).Draw(d, "interfaces")
	for n := range count {
		i := netconfig.Interface{Name: fmt.Sprint("eth", n), MAC: mac(byte(n)), DHCP4: rapid.Bool().Draw(d, "dhcp"), MTU: rapid.SampledFrom([]int{0, 1400, 9000}).Draw(d, "mtu")}
		for k := range rapid.IntRange(0, 2).Draw(d, "v4") {
			i.Addresses = append(i.Addresses, prefix(fmt.Sprintf("10.%d.%d.9/24", n, k)))
		}
		for k := range rapid.IntRange(0, 2).Draw(d, "v6") {
			i.Addresses = append(i.Addresses, prefix(fmt.Sprintf("fd00:%d:%d::9/64", n+1, k)))
		}
		for k := range rapid.IntRange(0, 3).Draw(d, "routes") {
			r := netconfig.Route{To: prefix(fmt.Sprintf("172.%d.%d.0/24", 16+n, k)), Via: addr(fmt.Sprintf("10.%d.0.%d", n, 1+k))}
			if rapid.Bool().Draw(d, "family") {
				r = netconfig.Route{To: prefix(fmt.Sprintf("fd0%d:%d::/48", n+1, k+1)), Via: addr(fmt.Sprintf("fd00:%d::%d", n+1, k+1))}
			}
			if rapid.Bool().Draw(d, "link") {
				r.Via = netip.Addr{}
			}
			r.Metric, r.Table = rapid.SampledFrom([]int{0, 77}).Draw(d, "metric"), rapid.SampledFrom([]int{0, 0, 101}).Draw(d, "table")
			i.Routes = append(i.Routes, r)
		}
		c.Interfaces = append(c.Interfaces, i)
	}
	if count > 1 && rapid.Bool().Draw(d, "vlan") {
		c.Interfaces = append(c.Interfaces, netconfig.Interface{Name: "eth1.50", Kind: ipam.VLANInterface, Parents: []string{"eth1"}, VID: 50, Addresses: []netip.Prefix{prefix("10.50.0.9/24")}})
	}
	return c
}

// Every static address and every route is in each format, or a warning names it.
func TestNothingIsLeftOut(t *testing.T) {
	rapid.Check(t, func(d *rapid.T) {
		c := drawn(d)
		for _, f := range netconfig.Formats() {
			out, err := netconfig.Render(c, f)
			if err != nil {
				d.Fatal(err)
			}
			all := strings.ReplaceAll(text(out), "%2F", "/")
			all = strings.ReplaceAll(all, "%3A", ":")
			for _, i := range c.Interfaces {
				for _, a := range i.Addresses {
					if !strings.Contains(all, a.Addr().String()) {
						d.Errorf("%s: address %s of %s is missing:\n%s", f, a, i.Name, all)
					}
				}
				for _, r := range i.Routes {
					if !strings.Contains(all, r.To.Addr().String()) {
						d.Errorf("%s: the route to %s of %s is missing:\n%s", f, r.To, i.Name, all)
					}
				}
			}
		}
	})
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	eth := func(name string) netconfig.Interface { return netconfig.Interface{Name: name, MAC: mac(1)} }
	for want, list := range map[string][]netconfig.Interface{
		`interface "eth0": is there twice`:                              {eth("eth0"), eth("eth0")},
		`interface "eth 0": the name must be`:                           {eth("eth 0")},
		`interface "../x": the name must be`:                            {eth("../x")},
		`interface "eth0": a physical interface is found by its MAC`:    {{Name: "eth0"}},
		`interface "bond0": its parent "eth7" does not exist`:           {{Name: "bond0", Kind: ipam.Bond, Parents: []string{"eth7"}}},
		`interface "bond0": a bond has members`:                         {{Name: "bond0", Kind: ipam.Bond}},
		`interface "br0": is made of itself`:                            {{Name: "br0", Kind: ipam.Bridge, Parents: []string{"br1"}}, {Name: "br1", Kind: ipam.Bridge, Parents: []string{"br0"}}},
		`interface "v": a VLAN has one parent and a tag from 1 to 4094`: {eth("eth0"), {Name: "v", Kind: ipam.VLANInterface, Parents: []string{"eth0"}, VID: 4095}},
		`interface "br1": its member eth0 is one of br0 already`:        {eth("eth0"), {Name: "br0", Kind: ipam.Bridge, Parents: []string{"eth0"}}, {Name: "br1", Kind: ipam.Bridge, Parents: []string{"eth0"}}},
		`interface "eth0": has addresses or routes, and is a member`: {{Name: "eth0", MAC: mac(1), Addresses: []netip.Prefix{prefix("10.0.0.1/8")}},
			{Name: "br0", Kind: ipam.Bridge, Parents: []string{"eth0"}}},
		`interface "eth0": the MTU must be`:                 {{Name: "eth0", MAC: mac(1), MTU: 20}},
		`interface "eth0": the route to 0.0.0.0/0 via fe80`: {{Name: "eth0", MAC: mac(1), Routes: []netconfig.Route{{To: netconfig.Default4, Via: addr("fe80::1")}}}},
		`interface "b": parameter "x\ny=z" is no word`:      {eth("eth0"), {Name: "b", Kind: ipam.Bond, Parents: []string{"eth0"}, Bond: netconfig.Bond{Mode: "x\ny=z"}}},
	} {
		_, err := netconfig.Render(netconfig.Config{Interfaces: list}, netconfig.Netplan)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := netconfig.Render(netconfig.Config{}, "toml"); err == nil || !strings.Contains(err.Error(), "cloud-init-v1, cloud-init-v2") {
		t.Errorf("unknown format: %v", err)
	}
	for _, f := range netconfig.Formats() {
		if _, err := netconfig.Render(netconfig.Config{}, f); err != nil {
			t.Errorf("an empty configuration as %s: %v", f, err)
		}
	}
}
