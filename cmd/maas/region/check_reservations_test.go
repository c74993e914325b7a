package region_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// Whatever the API takes, the DHCP servers of the racks take; what they would refuse is refused with
// the reason.
func TestReservationsThatARackWouldRefuse(t *testing.T) {
	r := running(t, region.Config{Dir: t.TempDir()})
	inv := r.Inventory()
	ok(t, errOf(inv.RegisterLinks(t.Context(), inventory.Registration{Rack: "rack", Trusted: true, Serve: []string{"eth0"}, Links: []inventory.RackLink{
		{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")}},
	}})))
	for _, step := range []struct{ method, path, form, refused string }{
		{"POST", "subnets/", "cidr=2001:db8::/64", ""},
		{"POST", "machines/", "hostname=one&architecture=amd64&mac_addresses=02:00:00:00:00:01&mac_addresses=02:00:00:00:00:02", ""},
		{"POST", "machines/", "hostname=two&architecture=amd64&mac_addresses=02:00:00:00:00:03", ""},
		{"POST", "nodes/one/interfaces/?op=create_bond", "name=bond0&parents=eth0&parents=eth1&mac_address=02:00:00:00:00:01", ""},
		// The members of a bond have its reservation until it is set up.
		{"POST", "nodes/one/interfaces/bond0/?op=link_subnet", "mode=STATIC&subnet=192.0.2.0/24&ip_address=192.0.2.50", ""},
		{"POST", "nodes/one/interfaces/eth1/?op=link_subnet", "mode=STATIC&subnet=192.0.2.0/24&ip_address=192.0.2.51", "the same client already has reservation"},
		{"POST", "reservedips/", "ip=192.0.2.52&mac_address=02:00:00:00:00:02", "the same client already has reservation"},
		{"POST", "reservedips/", "ip=192.0.2.53&mac_address=02:00:00:00:00:03", ""},
		{"POST", "reservedips/", "ip=2001:db8::53&mac_address=02:00:00:00:00:02", ""},
		{"POST", "nodes/two/interfaces/eth0/?op=link_subnet", "mode=STATIC&subnet=192.0.2.0/24&ip_address=192.0.2.54", ""},
		{"POST", "reservedips/", "ip=192.0.2.1&mac_address=02:00:00:00:00:09", "192.0.2.1"},
		{"POST", "reservedips/", "ip=192.0.2.255&mac_address=02:00:00:00:00:09", "192.0.2.255"},
		{"POST", "dhcp-snippets/", "name=odd&value=option ntp-servers nowhere;&node=two", "ntp-servers"},
		{"PUT", "subnets/192.0.2.0%2F24/", "relays=192.0.2.1", ""},
		{"DELETE", "machines/one/", "", ""},
		{"POST", "reservedips/", "ip=192.0.2.52&mac_address=02:00:00:00:00:02", ""},
	} {
		form, err := url.ParseQuery(strings.ReplaceAll(step.form, ";", "%3B"))
		ok(t, err)
		req := httptest.NewRequest(step.method, "/MAAS/api/2.0/"+step.path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		r.Local().ServeHTTP(w, req)
		if refused := w.Code >= 400; refused != (step.refused != "") || !strings.Contains(w.Body.String(), step.refused) || w.Code >= 500 {
			t.Errorf("%s %s %s: %d %s, want %q", step.method, step.path, step.form, w.Code, w.Body, step.refused)
		}
		takesAll(t, inv)
	}
}

// takesAll fails the test if a DHCP server refuses the plan of a rack.
func takesAll(t *testing.T, inv *inventory.Inventory) {
	t.Helper()
	m, err := inv.Model(t.Context())
	ok(t, err)
	for _, rack := range m.Racks {
		server, err := dhcpsrv.New(dhcpsrv.Config{FindServers: func(context.Context, string) ([]dhcpsrv.RogueServer, error) { return nil, nil }})
		ok(t, err)
		if err := server.Update(plan.DHCP(m, rack)); err != nil {
			t.Errorf("rack %s refuses what was taken: %v", rack.Name, err)
		}
	}
}
