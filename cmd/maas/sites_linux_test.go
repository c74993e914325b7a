package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// A daemon with both roles serves several networks, and lets a rack of another host in.
func TestAllServesNetworksAndTakesRacks(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("udhcpc", "udhcpc"))
	lab := netlab.New(t)
	site, far := lab.NS("site"), lab.NS("far")
	clients := map[string]*netlab.NS{"192.0.2.": lab.NS("c1"), "198.51.100.": lab.NS("c2"), "203.0.113.": lab.NS("c3")}
	lab.Veth(site, "eth0", clients["192.0.2."], "eth0")
	lab.Veth(site, "eth1", clients["198.51.100."], "eth0")
	lab.Veth(site, "up0", far, "up0")
	lab.Veth(far, "eth0", clients["203.0.113."], "eth0")
	site.Addr("eth0", "192.0.2.1/24")
	site.Addr("eth1", "198.51.100.1/24")
	site.Addr("up0", "10.9.9.1/30")
	far.Addr("up0", "10.9.9.2/30")
	far.Addr("eth0", "203.0.113.1/24")
	n := &rackNet{t: t, data: filepath.Join(t.TempDir(), "site")}
	n.region = newProcess(t, site, "all", "--data", n.data, "--interface", "eth0,eth1", "--dhcp-force")
	n.region.args = append(n.region.args, "--racks", "10.9.9.1:5250")
	n.startRegion()
	rack := newProcess(t, far, "rack", "--data", filepath.Join(t.TempDir(), "rack"), "--interface", "eth0", "--name", "far", "--dhcp-force")
	rack.start("--enrol-file", tokenFile(rack.t, n.token()))
	for network, client := range clients {
		eventually(t, "a machine on "+network+"0 gets an address", func() bool { return strings.HasPrefix(n.lease(client), network) })
	}
	eventually(t, "both racks tell that they serve", func() bool {
		out, err := maas(t, "rack", "list", "--data", n.data, "-o", "json")
		var racks []region.RackInfo
		if err != nil || json.Unmarshal([]byte(out), &racks) != nil || len(racks) != 2 {
			return false
		}
		serving := 0
		for _, k := range racks {
			for _, s := range k.Report.Services {
				if s.Name == "dhcp" && s.Status == "running" && k.Connected && k.Away.IsZero() {
					serving++
				}
			}
		}
		return serving == 2
	})
	site.Addr("eth0", "192.0.2.200/24")
	n.run("an address that came later", func(out string) bool { return strings.Contains(out, "192.0.2.200/24") }, "rack", "list", "-o", "json")
}
