package maasapi_test

import (
	"context"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// noScan and noProxy stand for racks.
type noScan struct{}

func (noScan) Scan(context.Context, []netip.Prefix, bool) (maasapi.Scan, error) {
	return maasapi.Scan{}, nil
}
func (noScan) ScanStatus(context.Context, string) (maasapi.Scan, error) { return maasapi.Scan{}, nil }
func (noScan) CancelScan(context.Context, string) (maasapi.Scan, error) { return maasapi.Scan{}, nil }

// examples is a request of each endpoint that reads a form, which succeeds in this order on a new
// site. The keys are those of API.FormRoutes.
var examples = []struct{ route, path, form string }{
	{"POST users/", "", "username=olga&password=correct+horse&is_superuser=1"},
	{"PUT users/{id}/", "users/olga/", "email=o@example.org"},
	{"POST /accounts/authenticate/", "/MAAS/accounts/authenticate/", "username=olga&password=correct+horse&consumer=c"},
	{"POST account/?op=create_authorisation_token", "", "name=k"},
	{"POST /api/v1/keys", "/api/v1/keys", "username=olga"},
	{"POST account/prefs/sshkeys/", "", "key=ssh-ed25519+AAAAC3NzaC1lZDI1NTE5AAAAIFY0v1RVJ5VUXUZuRHqFPsvQxsLmSbcjMDnNVbdAb4v2"},
	{"POST zones/", "", "name=east&description=d"}, {"PUT zones/{id}/", "zones/east/", "description=e"},
	{"POST resourcepools/", "", "name=lab"}, {"PUT resourcepool/{id}/", "resourcepool/2/", "description=e"},
	{"POST spaces/", "", "name=dmz"}, {"PUT spaces/{id}/", "spaces/1/", "description=e"},
	{"POST fabrics/", "", "name=leaf"}, {"PUT fabrics/{id}/", "fabrics/2/", "description=e"},
	{"POST fabrics/{id}/vlans/", "fabrics/2/vlans/", "vid=30&name=v"}, {"PUT fabrics/{id}/vlans/{vid}/", "fabrics/2/vlans/30/", "mtu=9000"},
	{"PUT vlans/{id}/", "vlans/1/", "description=e"},
	{"POST subnets/", "", "cidr=192.0.2.0/24&gateway_ip=192.0.2.1&name=a&vlan=1"}, {"PUT subnets/{id}/", "subnets/a/", "description=e&vlan=1&fabric=1&vid=0"},
	{"POST ipranges/", "", "type=dynamic&start_ip=192.0.2.100&end_ip=192.0.2.120"}, {"PUT ipranges/{id}/", "ipranges/1/", "comment=e"},
	{"POST static-routes/", "", "source=a&destination=b&gateway_ip=192.0.2.2"}, {"PUT static-routes/{id}/", "static-routes/1/", "metric=3"},
	{"POST reservedips/", "", "ip=192.0.2.50&mac_address=02:00:00:00:00:50"}, {"PUT reservedips/{id}/", "reservedips/1/", "comment=e"},
	{"POST domains/", "", "name=example.org"}, {"PUT domains/{id}/", "domains/2/", "ttl=30&racks=rack"},
	{"POST dnsresources/", "", "name=www&domain=maas&ip_addresses=192.0.2.9"}, {"PUT dnsresources/{id}/", "dnsresources/1/", "address_ttl=30"},
	{"POST dnsresourcerecords/", "", "name=x&domain=maas&rrtype=TXT&rrdata=t"}, {"PUT dnsresourcerecords/{id}/", "dnsresourcerecords/2/", "rrdata=u"},
	{"POST tsigkeys/", "", "name=k"},
	{"POST machines/", "", "hostname=node1&architecture=amd64/generic&mac_addresses=02:00:00:00:00:01&power_type=ipmi&power_parameters_power_address=192.0.2.9"},
	{"PUT machines/{id}/", "machines/node1/", "description=e&power_parameters_power_user=u"},
	{"POST machines/?op=allocate", "", "arch=amd64&comment=c&agent_name=j"}, {"POST machines/?op=release", "", "machines=node1&comment=c"},
	{"POST machines/{id}/?op=power_on", "machines/node1/", "comment=c"}, {"POST machines/{id}/?op=power_off", "machines/node1/", "stop_mode=hard"},
	{"POST machines/{id}/?op=power_cycle", "machines/node1/", ""}, {"POST machines/{id}/?op=release", "machines/node1/", "comment=c"},
	{"POST machines/{id}/?op=lock", "machines/node1/", "comment=c"}, {"POST machines/{id}/?op=unlock", "machines/node1/", ""},
	{"POST machines/{id}/?op=reinstall", "machines/node1/", ""},
	{"POST machines/{id}/?op=clear_default_gateways", "machines/node1/", ""},
	{"POST /api/v1/machines/{id}/power", "/api/v1/machines/node1/power", "action=query"},
	{"POST /api/v1/machines/{id}/boot", "/api/v1/machines/node1/boot", "via=pxe"},
	{"POST devices/", "", "hostname=d&mac_addresses=02:00:00:00:00:42"}, {"PUT devices/{id}/", "devices/DEVICE/", "description=e"},
	{"POST nodes/{node}/interfaces/?op=create_physical", "nodes/node1/interfaces/", "mac_address=02:00:00:00:00:02&name=eth1&tags=a,b"},
	{"POST nodes/{node}/interfaces/?op=create_bond", "nodes/node1/interfaces/", "name=bond0&parents=eth1&bond_mode=802.3ad&mac_address=02:00:00:00:00:02"},
	{"POST nodes/{node}/interfaces/?op=create_bridge", "nodes/node1/interfaces/", "name=br0&parent=bond0&mtu=1500"},
	{"POST nodes/{node}/interfaces/?op=create_vlan", "nodes/node1/interfaces/", "vlan=3&parent=eth0&tags=x"},
	{"PUT nodes/{node}/interfaces/{id}/", "nodes/node1/interfaces/eth0/", "tags=uplink"},
	{"POST nodes/{node}/interfaces/{id}/?op=add_tag", "nodes/node1/interfaces/eth0/", "tag=leaf"},
	{"POST nodes/{node}/interfaces/{id}/?op=remove_tag", "nodes/node1/interfaces/eth0/", "tag=leaf"},
	{"POST nodes/{node}/interfaces/{id}/?op=link_subnet", "nodes/node1/interfaces/eth0/", "mode=STATIC&subnet=a&ip_address=192.0.2.5&default_gateway=true"},
	{"POST nodes/{node}/interfaces/{id}/?op=set_default_gateway", "nodes/node1/interfaces/eth0/", ""},
	{"POST nodes/{node}/interfaces/{id}/?op=unlink_subnet", "nodes/node1/interfaces/eth0/", "id=LINK"},
	{"POST nodes/{node}/interfaces/{id}/?op=disconnect", "nodes/node1/interfaces/eth0/", ""},
	{"POST tags/", "", "name=gpu&comment=c&kernel_opts=quiet"}, {"PUT tags/{id}/", "tags/gpu/", "comment=d"}, {"POST tags/{id}/?op=update_nodes", "tags/gpu/", "add=node1"},
	{"POST dhcp-classes/", "", "name=c&description=d&sequence=3&vendor_class=v&user_class=u&arch=7&mac_prefix=02:00&circuit_id=x&ignore=true&options=option+66+%22x%22%3B"},
	{"PUT dhcp-classes/{id}/", "dhcp-classes/1/", "description=e"},
	{"POST dhcp-snippets/", "", "name=s&value=option+ntp-servers+192.0.2.1%3B"}, {"PUT dhcp-snippets/{id}/", "dhcp-snippets/1/", "description=e"},
	{"POST ipaddresses/?op=reserve", "", "subnet=a&ip=192.0.2.60&hostname=h&comment=c"}, {"POST ipaddresses/?op=release", "", "ip=192.0.2.60"},
	{"PUT rackcontrollers/{id}/", "rackcontrollers/rack/", "zone=east&networks=10.0.0.0/8&bmc_networks=10.9.0.0/16"},
	{"POST rackcontrollers/{id}/?op=ignore", "rackcontrollers/rack/", "network=203.0.113.0/24"},
	{"POST rackcontrollers/{id}/?op=accept", "rackcontrollers/rack/", "network=203.0.113.0/24"},
	{"POST maas/?op=set_config", "", "name=ntp_servers&value=192.0.2.1"},
	{"POST discovery/?op=clear", "", "mdns=true&neighbours=true"}, {"POST discovery/?op=scan", "", "force=true&threads=4"},
	{"POST /api/v1/discovery/settings", "/api/v1/discovery/settings", "active=192.0.2.0/24&discovery_ignore=b8:27:eb"}, {"POST discovery/?op=unignore", "", "rule=b8:27:eb"},
	{"POST account/?op=update_token_name", "", "token=TOKEN&name=l"}, {"POST account/?op=delete_authorisation_token", "", "token_key=TOKEN"},
	{"POST account/?op=delete_all_authorisation_tokens", "", ""}, {"POST users/{id}/?op=delete_all_authorisation_tokens", "users/admin/", ""},
}

// notWalked are the endpoints that need more than a form of their own; each is tested elsewhere.
var notWalked = map[string]string{
	"POST discovery/?op=clear_by_mac_and_ip": "a discovery", "POST discovery/?op=ignore": "a discovery", "POST /api/v1/discovery/promote": "a discovery", "POST /api/v1/discovery/topology": "beacons",
	"POST /api/v1/proxy/purge": "a rack with a proxy", "POST /api/v1/machines/{id}/console": "a console, whose body is what is typed",
}

// No endpoint accepts a field and forgets it: each refuses one that it does not keep, and does
// nothing then; the same request without the field succeeds.
func TestNoFieldIsForgotten(t *testing.T) {
	s := newSite(t)
	s.serve(t, maasapi.Config{Scanner: noScan{}})
	link := inventory.RackLink{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}}
	reg := inventory.Registration{Rack: "rack", Serve: []string{"eth0"}, Links: []inventory.RackLink{link}}
	if _, err := s.inv.RegisterLinks(t.Context(), reg); err != nil { // the first, so that it is given this
		t.Fatal(err)
	}
	reg.Links[0].Addrs = append(reg.Links[0].Addrs, netip.MustParsePrefix("203.0.113.1/24"))
	if _, err := s.inv.RegisterLinks(t.Context(), reg); err != nil {
		t.Fatal(err)
	}
	if code, body := s.do("POST", base+"subnets/", url.Values{"cidr": {"198.51.100.0/24"}, "name": {"b"}}); code != 200 {
		t.Fatal(body)
	}
	left := make(map[string]bool)
	for _, route := range s.api.FormRoutes() {
		left[route] = notWalked[route] == ""
	}
	token := ""
	for _, e := range examples {
		if !left[e.route] {
			t.Errorf("%s is no endpoint, or is there twice", e.route)
		}
		delete(left, e.route)
		method, path, _ := strings.Cut(e.route, " ")
		path, op, _ := strings.Cut(path, "?")
		if e.path != "" {
			path = e.path
		}
		if !strings.HasPrefix(path, "/") {
			path = base + path
		}
		if op != "" {
			path += "?" + op
		}
		if strings.Contains(path, "DEVICE") {
			all, err := s.inv.Devices.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			path = strings.Replace(path, "DEVICE", all[0].SystemID, 1)
		}
		form, err := url.ParseQuery(strings.NewReplacer("TOKEN", token, "LINK", s.linkOf(t)).Replace(e.form))
		if err != nil {
			t.Fatal(err)
		}
		form.Set("swap_size", "8G")
		if code, body := s.do(method, path, form); code != 400 || !strings.Contains(body, `"swap_size":["is not supported here`) {
			t.Errorf("%s %s with a field that is not kept: %d %s", method, path, code, body)
		}
		form.Set("swap_size", "0") // clients send all fields they know
		code, body := s.do(method, path, form)
		if code/100 != 2 {
			t.Errorf("%s %s %v: %d %s", method, path, form, code, body)
		}
		if strings.HasSuffix(op, "create_authorisation_token") {
			_, token, _ = strings.Cut(body, `"token_key":"`)
			token, _, _ = strings.Cut(token, `"`)
		}
	}
	for route, missing := range left {
		if missing {
			t.Errorf("%s has no example", route)
		}
	}
}

// linkOf returns the number of the link of eth0 of node1.
func (s *site) linkOf(t *testing.T) string {
	t.Helper()
	_, body := s.do("GET", base+"nodes/node1/interfaces/eth0/", nil)
	_, body, _ = strings.Cut(body, `"links":[{"id":`)
	id, _, _ := strings.Cut(body, ",")
	return id
}

// An empty form is accepted in every encoding, by a request that needs no field.
func TestEmptyForms(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	for kind, body := range map[string]string{
		"": "", "application/x-www-form-urlencoded": "", "application/json": "", "application/json; charset=utf-8": "null", "text/plain": "",
		"multipart/form-data": "", "multipart/form-data; boundary=b": "--b--\r\n", "multipart/form-data; boundary=c": "", "application/octet-stream": "",
		"multipart/form-data; boundary=d": "\r\n--d--", "multipart/mixed": "",
	} {
		r := httptest.NewRequest("POST", base+"machines/node1/?op=lock", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		s.api.Local().ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("%q %q: %d %s", kind, body, w.Code, w.Body)
		}
	}
	for kind, body := range map[string]string{"multipart/form-data; boundary=b": "--c--\r\n", "multipart/form-data": "--b--", "text/plain": "x"} {
		r := httptest.NewRequest("POST", base+"machines/node1/?op=lock", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		s.api.Local().ServeHTTP(w, r)
		if w.Code/100 != 4 || strings.Contains(w.Body.String(), "EOF") {
			t.Errorf("%q %q: %d %s", kind, body, w.Code, w.Body)
		}
	}
}
