package maasapi_test

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// An operator may reserve addresses and have devices, with names. Names that administrators, services, racks and other users have
// are not theirs, and a name that an administrator takes later is the administrator's.
func TestOperatorsTakeNoNames(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	if _, err := s.inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("192.0.2.1/24")}); err != nil {
		t.Fatal(err)
	}
	record := func(name, kind, data string) {
		t.Helper()
		if code, body := s.do("POST", base+"dnsresourcerecords/", url.Values{"name": {name}, "domain": {"maas"}, "rrtype": {kind}, "rrdata": {data}}); code/100 != 2 {
			t.Fatalf("%s: %d %s", name, code, body)
		}
	}
	record("www", "A", "192.0.2.10")
	record("mail", "MX", "10 mx.example.org.")
	record("alias", "CNAME", "www.maas.")
	if code, body := s.do("POST", base+"machines/", node1); code/100 != 2 {
		t.Fatalf("%d %s", code, body)
	}
	olga, otto := s.user(t, "olga", "operator"), s.user(t, "otto", "operator")
	if code, body := otto("POST", base+"ipaddresses/?op=reserve", url.Values{"subnet": {"192.0.2.0/24"}, "hostname": {"ottos"}}); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	for _, name := range []string{"www", "WWW", "mail", "alias", "ns", "rack", "Rack", "wpad", "isatap", "localhost", "node1", "ottos"} {
		for path, form := range map[string]url.Values{
			"ipaddresses/?op=reserve": {"subnet": {"192.0.2.0/24"}, "hostname": {name}},
			"devices/":                {"hostname": {name}, "mac_addresses": {"02:00:00:00:00:99"}},
		} {
			if code, body := olga("POST", base+path, form); code/100 != 4 || !strings.Contains(body, strings.ToLower(name)) {
				t.Errorf("POST %s %s: %d %s", path, name, code, body)
			}
		}
	}
	if _, body := olga("POST", base+"ipaddresses/?op=reserve", url.Values{"subnet": {"192.0.2.0/24"}, "hostname": {"www"}}); !strings.Contains(body, "www is a record") {
		t.Errorf("the refusal is %s", body)
	}
	// Free names are for all: a name for two addresses of one user, a device, and another user's device by its new name.
	for _, ip := range []string{"192.0.2.60", "192.0.2.61"} {
		if code, body := olga("POST", base+"ipaddresses/?op=reserve", url.Values{"ip": {ip}, "hostname": {"free"}}); code != 200 {
			t.Errorf("a free name: %d %s", code, body)
		}
	}
	if code, body := olga("POST", base+"devices/", url.Values{"hostname": {"printer"}, "mac_addresses": {"02:00:00:00:00:98"}}); code/100 != 2 {
		t.Errorf("a device: %d %s", code, body)
	}
	if code, body := olga("PUT", base+"devices/printer/", url.Values{"hostname": {"www"}}); code/100 == 2 {
		t.Errorf("a device's new name: %d %s", code, body)
	}
	addresses := func(name string) []string {
		t.Helper()
		m, err := s.inv.Model(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range plan.DNS(m).Sets {
			if set.Name == name && set.Type == "A" {
				return set.Data
			}
		}
		return nil
	}
	want := map[string][]string{"www.maas": {"192.0.2.10"}, "ns.maas": {"192.0.2.1"}, "rack.maas": {"192.0.2.1"}, "free.maas": {"192.0.2.60", "192.0.2.61"}, "mail.maas": nil}
	for name, data := range want {
		if got := addresses(name); !slices.Equal(got, data) {
			t.Errorf("%s: %v, want %v", name, got, data)
		}
	}
	record("free", "A", "192.0.2.70")
	if got := addresses("free.maas"); !slices.Equal(got, []string{"192.0.2.70"}) {
		t.Errorf("a name that an administrator took: %v", got)
	}
}
