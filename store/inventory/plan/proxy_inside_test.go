package plan_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Machines may use the proxies of racks. These lead them out of the site and not into its subnets, to BMCs, racks and regions; an
// exception of the site opens a subnet or a host and none of those.
func TestProxiesLeadOutOfTheSite(t *testing.T) {
	ctx := t.Context()
	inv := openInventory(t, "memory:")
	if _, err := inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: prefix("192.0.2.1/24")}); err != nil {
		t.Fatal(err)
	}
	other := must[ipam.Fabric](t)(inv.Fabrics.Create(ctx, ipam.Fabric{Name: "other"}))
	vlans := must[[]ipam.VLAN](t)(inv.VLANs.List(ctx))
	vlan := int64(0)
	for _, v := range vlans {
		if v.FabricID == other.ID {
			vlan = v.ID
		}
	}
	for _, p := range []string{"10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/16", "2001:db8:1::/64"} {
		must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix(p).Masked(), VLANID: vlan}))
	}
	must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "far", Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{prefix("10.1.0.1/24")}}}}))
	for _, at := range []string{"10.9.0.2:5250", "[2001:db8:9::2]:5250", "maas.example:5250"} {
		if err := inv.Regions.Register(ctx, inventory.Region{Name: at, Addresses: []string{at}}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for i, bmc := range []string{"https://10.8.0.9", "10.8.0.10", "10.8.0.11:623", "[2001:db8:8::9]:443", "10.2.0.9", "192.0.2.9", "BMC.example.", "https://bmc2.example:8443/redfish", "https://2001:db8:8::a/", " 10.8.0.14:443/x ", "/run/qmp.sock", "qemu+ssh://root@10.8.0.12/system"} {
		must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{
			Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: []byte{2, 0, 0, 0, 0, byte(i)}, Kind: ipam.Physical, Enabled: true}}},
			Power:      inventory.Power{Type: "redfish", Params: map[string]string{"power_address": bmc}},
		}))
	}
	check := func(what string, want map[string]bool) {
		t.Helper()
		m := model(t, inv)
		deny := plan.Proxy(m, "rack", "rack", plan.BMCsOf(m.Machines)).Policy.Deny
		for text, reachable := range want {
			denied := false
			for _, p := range deny {
				denied = denied || p.Contains(netip.MustParseAddr(text))
			}
			if denied == reachable {
				t.Errorf("%s: %s is denied: %v, by %v", what, text, denied, deny)
			}
		}
	}
	m := model(t, inv)
	if got := plan.Proxy(m, "rack", "rack", plan.BMCsOf(m.Machines)).DenyHosts; !slices.Equal(got, []string{"bmc.example", "bmc2.example"}) {
		t.Errorf("names of BMCs: %q", got)
	}
	never := map[string]bool{
		"10.8.0.9": false, "10.8.0.10": false, "10.8.0.11": false, "10.8.0.12": false, "10.8.0.14": false, "2001:db8:8::9": false, "2001:db8:8::a": false, "192.0.2.9": false, "10.2.0.9": false,
		"10.2.0.77":// beside a BMC
		false, "10.9.0.2": false, "2001:db8:9::2": false, "192.0.2.1": false, // regions and racks
		"10.1.0.1": false,
	}
	check("by default", never)
	check("by default", map[string]bool{
		"192.0.2.77": false, "203.0.113.1": true, "10.8.0.13": true, "2001:db8:7::1": true, "10.9.0.3": true,
		"10.1.0.77": false, "10.3.0.1": false, "10.3.9.1": false, "2001:db8:1::1": false,
	})
	if err := inv.Settings.Set(ctx, setting.AllowProxyTo, "10.3.9.0/24 10.1.0.77, 10.2.0.0/24 0.0.0.0/0 192.0.2.50 10.2.0.9"); err != nil {
		t.Fatal(err)
	}
	check("with all allowed", never)
	check("with all allowed", map[string]bool{"10.1.0.78": true, "10.3.0.1": true, "2001:db8:1::1": false, "192.0.2.50": true, "192.0.2.51": false})
	if err := inv.Settings.Set(ctx, setting.AllowProxyTo, "10.3.9.0/24 10.1.0.77"); err != nil {
		t.Fatal(err)
	}
	check("with exceptions", never)
	check("with exceptions", map[string]bool{"10.1.0.77": true, "10.1.0.78": false, "10.3.9.1": true, "10.3.0.1": false})
	for _, wrong := range []string{"x", "10.0.0.0/33", "10.3.9.0/24 mirror.example"} {
		if err := inv.Settings.Set(ctx, setting.AllowProxyTo, wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

// A change of a machine that brings another BMC concerns the proxies, and no other does.
func TestBMCsChanged(t *testing.T) {
	with := func(address string) inventory.Part {
		return inventory.Part{Machines: []inventory.Machine{{Power: inventory.Power{Params: map[string]string{"power_address": address}}}}}
	}
	for _, c := range []struct {
		before, after inventory.Part
		want          bool
	}{
		{with("10.0.0.1"), with("10.0.0.1"), false}, {with("10.0.0.1"), with("https://10.0.0.1/"), false}, {with("10.0.0.1"), with("10.0.0.2"), true},
		{inventory.Part{}, with("10.0.0.1"), true}, {with("10.0.0.1"), inventory.Part{}, true}, {inventory.Part{}, with("bmc.example"), true}, {with("bmc.example"), with("BMC.example."), false}, {inventory.Part{}, inventory.Part{}, false},
	} {
		if got := plan.BMCsChanged(&inventory.Changes{Before: c.before, After: c.after}); got != c.want {
			t.Errorf("%+v to %+v: %v", c.before, c.after, got)
		}
	}
}
