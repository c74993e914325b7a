package maasapi_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// fakeScanner remembers what it was asked.
type fakeScanner struct{ asked []string }

func (f *fakeScanner) Scan(_ context.Context, prefixes []netip.Prefix, slow bool) (maasapi.Scan, error) {
	for _, p := range prefixes {
		f.asked = append(f.asked, p.String())
	}
	if slow {
		f.asked = append(f.asked, "slowly")
	}
	return maasapi.Scan{ID: "scan1", Running: true, Started: []string{"rack-1"}, SweepProgress: discovery.SweepProgress{Total: 10}}, nil
}

func (f *fakeScanner) ScanStatus(_ context.Context, id string) (maasapi.Scan, error) {
	if id != "scan1" {
		return maasapi.Scan{}, fs.ErrNotExist
	}
	return maasapi.Scan{ID: id, SweepProgress: discovery.SweepProgress{Total: 10, Done: 10, Found: 3}}, nil
}

func (f *fakeScanner) CancelScan(ctx context.Context, id string) (maasapi.Scan, error) {
	f.asked = append(f.asked, "cancelled "+id)
	return f.ScanStatus(ctx, id)
}

func newDiscoverySite(t *testing.T) (*site, *fakeScanner) {
	s, scanner := newSite(t), new(fakeScanner)
	s.serve(t, maasapi.Config{Scanner: scanner})
	prefix := netip.MustParsePrefix("192.0.2.0/24")
	if _, err := s.inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: prefix}); err != nil {
		t.Fatal(err)
	}
	link := inventory.RackLink{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
	if _, err := s.inv.RegisterRack(t.Context(), inventory.Rack{Name: "rack-1", Links: []inventory.RackLink{link}}); err != nil {
		t.Fatal(err)
	}
	see(t, s, "192.0.2.7", 7, discovery.Info{Names: []discovery.Name{{Name: "printer", Origin: discovery.MDNS}}})
	return s, scanner
}

func see(t *testing.T, s *site, addr string, last byte, info discovery.Info) {
	t.Helper()
	err := s.inv.Discoveries.Record(t.Context(), "rack-1", discovery.Event{Kind: discovery.New, Device: discovery.Device{
		Interface: "eth0", Addr: netip.MustParseAddr(addr), MAC: discovery.MAC{0xb8, 0x27, 0xeb, 0, 0, last}, Sources: discovery.ARP | discovery.MDNS,
		First: time.Now(), Last: time.Now(), Expires: time.Now().Add(time.Hour), Info: info,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) discoveries(t *testing.T, query string) []maasapi.Discovery {
	t.Helper()
	code, body := s.do("GET", base+"discovery/"+query, nil)
	var out []maasapi.Discovery
	if err := json.Unmarshal([]byte(body), &out); code != 200 || err != nil {
		t.Fatalf("%d %s", code, body)
	}
	return out
}

func TestDiscoveriesAreShownAndCleared(t *testing.T) {
	s, _ := newDiscoverySite(t)
	all := s.discoveries(t, "")
	if len(all) != 1 || all[0].Hostname != "printer" || all[0].MACOrganization != "Raspberry Pi Foundation" || all[0].Observer.InterfaceName != "eth0" ||
		all[0].FabricName == "" || all[0].Subnet != "192.0.2.0/24" || all[0].VID != nil || len(all[0].Names) != 1 {
		t.Fatalf("got %+v", all)
	}
	code, body := s.do("GET", strings.TrimPrefix(all[0].ResourceURI, "http://maas"), nil)
	if code != 200 || !strings.Contains(body, `"discovery_id":"`+all[0].DiscoveryID+`"`) {
		t.Errorf("%d %s", code, body)
	}
	for _, op := range []string{"by_unknown_mac", "by_unknown_ip", "by_unknown_ip_and_mac"} {
		if got := s.discoveries(t, "?op="+op); len(got) != 1 {
			t.Errorf("%s: %+v", op, got)
		}
	}
	pair := url.Values{"ip": {"192.0.2.7"}, "mac": {"b8:27:eb:00:00:07"}}
	for _, c := range []struct {
		op   string
		form url.Values
		want int
	}{
		{"clear", url.Values{}, 400}, {"clear", url.Values{"all": {"perhaps"}}, 400}, {"clear_by_mac_and_ip", url.Values{"ip": {"x"}}, 400},
		{"clear_by_mac_and_ip", pair, 204}, {"clear_by_mac_and_ip", pair, 404}, {"clear", url.Values{"all": {"true"}}, 204},
		{"clear", url.Values{"mdns": {"True"}, "neighbours": {"yes"}}, 204}, {"dance", url.Values{}, 501},
	} {
		if code, body := s.do("POST", base+"discovery/?op="+c.op, c.form); code != c.want {
			t.Errorf("%s %v: %d %s", c.op, c.form, code, body)
		}
	}
	if code, _ := s.do("GET", base+"discovery/bm9uc2Vuc2U=/", nil); code != http.StatusNotFound {
		t.Errorf("got %d", code)
	}
}

func TestPromoteOverTheAPI(t *testing.T) {
	s, _ := newDiscoverySite(t)
	form := url.Values{"ip": {"192.0.2.7"}, "mac_address": {"b8:27:eb:00:00:07"}}
	for _, c := range []struct {
		field, value string
		want         int
	}{{"kind", "ship", 400}, {"domain", "nowhere", 400}, {"ip", "192.0.2.99", 404}, {"kind", "machine", 200}, {"kind", "machine", 400}} {
		f := url.Values{"ip": form["ip"], "mac_address": form["mac_address"]}
		f.Set(c.field, c.value)
		code, body := s.do("POST", "/api/v1/discovery/promote", f)
		if code != c.want || code == 200 && !strings.Contains(body, `"fqdn":"printer.maas"`) {
			t.Errorf("%s=%s: %d %s", c.field, c.value, code, body)
		}
	}
	if got := s.discoveries(t, "?op=by_unknown_mac"); len(got) != 0 {
		t.Errorf("still unknown: %+v", got)
	}
	// An address that DHCP gives out cannot be kept.
	_, err := s.inv.Ranges.Create(t.Context(), ipam.Range{
		SubnetID: 1, Type: ipam.RangeDynamic, Start: netip.MustParseAddr("192.0.2.100"), End: netip.MustParseAddr("192.0.2.199"),
	})
	if err != nil {
		t.Fatal(err)
	}
	see(t, s, "192.0.2.108", 8, discovery.Info{})
	if code, body := s.do("POST", "/api/v1/discovery/promote", url.Values{"ip": {"192.0.2.108"}, "mac": {"b8:27:eb:00:00:08"}}); code != 400 || !strings.Contains(body, "DHCP") {
		t.Errorf("%d %s", code, body)
	}
	// Nor one outside of all subnets.
	see(t, s, "203.0.113.9", 9, discovery.Info{})
	f := url.Values{"ip": {"203.0.113.9"}, "mac_address": {"b8:27:eb:00:00:09"}}
	if code, body := s.do("POST", "/api/v1/discovery/promote", f); code != 400 || !strings.Contains(body, "subnet") {
		t.Errorf("%d %s", code, body)
	}
	f.Set("no_address", "true")
	if code, body := s.do("POST", "/api/v1/discovery/promote", f); code != 200 {
		t.Errorf("%d %s", code, body)
	}
}

func TestScansStayInside(t *testing.T) {
	s, scanner := newDiscoverySite(t)
	scan := base + "discovery/?op=scan"
	for _, c := range []struct {
		form url.Values
		want int
	}{
		{url.Values{}, 400}, {url.Values{"cidr": {"everything"}}, 400}, {url.Values{"cidr": {"203.0.113.0/24"}}, 400}, {url.Values{"cidr": {"192.0.0.0/16"}}, 400},
		{url.Values{"cidr": {"192.0.2.0/28"}, "slow": {"true"}, "threads": {"4"}, "always_use_ping": {"true"}}, 200}, {url.Values{"force": {"true"}}, 200},
	} {
		if code, body := s.do("POST", scan, c.form); code != c.want {
			t.Errorf("%v: %d %s", c.form, code, body)
		}
	}
	if code, body := s.do("GET", "/api/v1/discovery/scans/scan1", nil); code != 200 || !strings.Contains(body, `"found":3`) {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := s.do("GET", "/api/v1/discovery/scans/scan2", nil); code != 404 {
		t.Errorf("got %d", code)
	}
	s.do("DELETE", "/api/v1/discovery/scans/scan1", nil)
	if got := strings.Join(scanner.asked, " "); got != "192.0.2.0/28 slowly cancelled scan1" {
		t.Errorf("asked %q", got)
	}
	for _, path := range []string{"dhcp-servers", "topology"} {
		if code, body := s.do("GET", "/api/v1/discovery/"+path, nil); code != 200 {
			t.Errorf("%d %s", code, body)
		}
	}
	if code, body := s.do("POST", "/api/v1/discovery/topology", nil); code != 200 || body != "[]" {
		t.Errorf("%d %s", code, body)
	}
}

func TestDiscoverySettings(t *testing.T) {
	s, _ := newDiscoverySite(t)
	const path = "/api/v1/discovery/settings"
	for _, c := range []struct {
		form url.Values
		want int
	}{
		{url.Values{"active_discovery_interval": {"600"}, "discovery_ignore": {"02:00:00 192.0.2.0/28"}, "active": {"192.0.2.0/24"}}, 200},
		{url.Values{"active_discovery_interval": {"601"}}, 400}, {url.Values{"network_discovery": {"perhaps"}}, 400},
		{url.Values{"discovery_vlans": {"delete"}}, 400}, {url.Values{"network_discovery": {"disabled"}, "discovery_ignore": {"everything"}}, 400},
		{url.Values{"passive": {"nowhere"}}, 400}, {url.Values{"active": {"203.0.113.0/24"}}, 404},
	} {
		if code, body := s.do("POST", path, c.form); code != c.want {
			t.Errorf("%v: %d %s", c.form, code, body)
		}
	}
	code, body := s.do("GET", path, nil)
	want := `{"network_discovery":"enabled","active_discovery_interval":600,"discovery_ignore":"02:00:00 192.0.2.0/28","discovery_vlans":"create",` +
		`"subnets":[{"cidr":"192.0.2.0/24","active_discovery":true,"last_scan":null}]}`
	if code != 200 || body != want {
		t.Errorf("%d %s", code, body)
	}
	// What is ignored is forgotten.
	if code, body := s.do("POST", path, url.Values{"discovery_ignore": {"b8:27:eb"}}); code != 200 || len(s.discoveries(t, "")) != 0 {
		t.Errorf("%d %s", code, body)
	}
	// The same by the names of MAAS.
	if code, body := s.do("POST", base+"maas/?op=set_config", url.Values{"name": {"network_discovery"}, "value": {"disabled"}}); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	for name, want := range map[string]string{"network_discovery": `"disabled"`, "active_discovery_interval": "600"} {
		if code, body := s.do("GET", base+"maas/?op=get_config&name="+name, nil); code != 200 || body != want {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
}
