package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

func TestPlanDHCP6(t *testing.T) {
	inv, ctx := sitetest.Site(t), t.Context()
	rack := model(t, inv).Racks[0]
	rack.Links[0].Addrs = append(rack.Links[0].Addrs, prefix("2001:db8::2/64"))
	v := must[ipam.VLAN](t)(inv.DefaultVLAN(ctx, 0))
	s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("2001:db8::/64"), VLANID: v.ID, Gateway: addr("2001:db8::1")}))
	must[inventory.Rack](t)(inv.RegisterRack(ctx, rack))
	must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{SubnetID: s.ID, Type: ipam.RangeDynamic, Start: addr("2001:db8::1:0"), End: addr("2001:db8::1:ffff")}))
	m := model(t, inv)
	must[ipam.Allocation](t)(inv.LinkInterface(ctx, m.Machines[0].Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: addr("2001:db8::50")}))
	ok(t, inv.Settings.Set(ctx, setting.RouterAdvertisements, "2001:db8::/64"))
	m = model(t, inv)
	snap := plan.DHCP(m, m.Racks[0])
	var b strings.Builder
	for _, s := range snap.Subnets {
		if s.Prefix.Addr().Is6() {
			fmt.Fprintf(&b, "subnet %s link=%q segment=%s server=%s routers=%v dns=%v domain=%s lease=%v pools=%v\n", s.Name, s.Link, s.SharedNetwork, s.Server, s.Routers, s.DNS, s.Domain, s.LeaseTime, s.Pools)
		}
	}
	for _, r := range snap.Reservations {
		if r.Addr.Is6() || r.Hostname == m.Machines[0].Hostname {
			fmt.Fprintf(&b, "%s %s %s\n", r.Name, r.MAC, r.Addr)
		}
	}
	for _, a := range plan.Advertisements(m, m.Racks[0]) {
		fmt.Fprintf(&b, "advertise %s managed=%v router=%v %v\n", a.Link, a.Managed, a.RouterLifetime, a.Prefixes)
	}
	want := `subnet 2001:db8::/64 link="eth0" segment=vlan-1 server=2001:db8::2 routers=[] dns=[2001:db8::2] domain=maas lease=30m0s pools=[{2001:db8::1:0 2001:db8::1:ffff [] }]
node1-eth0 52:54:00:00:00:01 10.0.0.50
node1-eth1 52:54:00:00:00:02 10.0.0.51
node1-eth0 52:54:00:00:00:01 2001:db8::50
advertise eth0 managed=true router=0s [2001:db8::/64]
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	srv, err := dhcpsrv.New(dhcpsrv.Config{})
	ok(t, err)
	ok(t, srv.Update(snap))
}

// A link without IPv6 is told that there is no router, unless a router is heard or the setting says otherwise.
func TestPlanAdvertisements(t *testing.T) {
	inv := sitetest.Site(t)
	if err := inv.Settings.Set(t.Context(), setting.RouterAdvertisements, "eth0"); err == nil || !strings.Contains(err.Error(), "eth0") {
		t.Errorf("a link is no subnet: %v", err)
	}
	for value, want := range map[string][]radv.Advertisement{
		"": {{Link: "eth0", Yield: true}}, "auto": {{Link: "eth0", Yield: true}}, "all": {{Link: "eth0"}}, "none": nil,
		"10.0.0.0/24": {{Link: "eth0"}}, "10.9.0.0/24": nil,
	} {
		ok(t, inv.Settings.Set(t.Context(), setting.RouterAdvertisements, value))
		m := model(t, inv)
		if d := cmp.Diff(want, plan.Advertisements(m, m.Racks[0])); d != "" {
			t.Errorf("%q (-want +got):\n%s", value, d)
		}
	}
}
