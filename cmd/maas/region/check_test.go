package region_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// A change that the rack's DHCP server would refuse is refused where it is asked for; one that is
// no worse than what is published goes through, so that a site can be repaired in steps.
func TestNetworksThatARackWouldRefuse(t *testing.T) {
	r := running(t, region.Config{Dir: t.TempDir()})
	snap := watchDHCP(t, r)
	ctx, inv := t.Context(), r.Inventory()
	api := func(method, path string, form url.Values) string {
		t.Helper()
		req := httptest.NewRequest(method, "/MAAS/api/2.0/"+path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		r.Local().ServeHTTP(w, req)
		return w.Body.String()
	}
	ok(t, errOf(inv.RegisterLinks(ctx, inventory.Registration{Rack: "rack", Trusted: true, Serve: []string{"eth0"}, Links: []inventory.RackLink{
		{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("198.51.100.1/24")}},
	}})))
	waitFor(t, snap, func(s dhcpsrv.Snapshot) bool { return len(s.Subnets) == 2 })
	fabric, err := inv.Fabrics.Create(ctx, ipam.Fabric{})
	ok(t, err)
	other, err := inv.DefaultVLAN(ctx, fabric.ID)
	ok(t, err)
	other.DHCP, other.PrimaryRack = false, "rack"
	ok(t, errOf(inv.VLANs.Update(ctx, other)))

	// Apart from DHCP, which is off there, nothing is wrong with it.
	if got := api("PUT", "subnets/198.51.100.0%2F24/", url.Values{"vlan": {fabric.Name + "/0"}}); !strings.Contains(got, `"cidr":"198.51.100.0/24"`) {
		t.Fatalf("move: %s", got)
	}
	vlan := fmt.Sprintf("fabrics/%d/vlans/0/", fabric.ID)
	const why = "rack rack would refuse the networks that this leads to: subnet"
	if got := api("PUT", vlan, url.Values{"dhcp_on": {"true"}}); !strings.Contains(got, why) || !strings.Contains(got, "eth0") {
		t.Errorf("two VLANs on one link: %s", got)
	}
	if v, err := inv.VLANs.Get(ctx, other.ID); err != nil || v.DHCP {
		t.Errorf("refused and yet stored: %+v, %v", v, err)
	}

	// Another way brought the site there, such as a version without this check.
	other, err = inv.VLANs.Get(ctx, other.ID)
	ok(t, err)
	other.DHCP = true
	ok(t, errOf(inv.VLANs.Update(ctx, other)))
	waitFor(t, snap, func(s dhcpsrv.Snapshot) bool {
		return len(s.Subnets) == 2 && s.Subnets[0].SharedNetwork != s.Subnets[1].SharedNetwork
	})
	if got := api("PUT", "subnets/192.0.2.0%2F24/", url.Values{"gateway_ip": {"192.0.2.254"}}); strings.Contains(got, "refuse") {
		t.Errorf("an unrelated change: %s", got)
	}
	if got := api("PUT", vlan, url.Values{"dhcp_on": {"false"}}); strings.Contains(got, "refuse") {
		t.Errorf("the cure: %s", got)
	}
}
