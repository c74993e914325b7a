package maasapi_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// step is a request and what its answer holds.
type step struct {
	do   string
	form url.Values
	code int
	want string
}

func (s *site) steps(t *testing.T, steps []step) {
	t.Helper()
	for _, c := range steps {
		method, path, _ := strings.Cut(c.do, " ")
		code, body := s.do(method, base+path, c.form)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s\nwant %d with %s", c.do, code, body, c.code, c.want)
		}
	}
}

func TestTags(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	s.steps(t, []step{
		{"POST tags/", url.Values{"name": {"gpu"}, "comment": {"has one"}, "kernel_opts": {"iommu=on"}}, 200, `"kernel_opts":"iommu=on"`},
		{"POST tags/", url.Values{"name": {"auto"}, "definition": {"//node"}}, 501, "definition"},
		{"POST tags/", url.Values{"name": {"a b"}}, 400, "letters"},
		{"POST tags/gpu/?op=update_nodes", url.Values{"add": {"node1"}}, 200, `{"added":1,"removed":0}`},
		{"POST tags/gpu/?op=update_nodes", url.Values{"add": {"node1"}}, 200, `{"added":0,"removed":0}`},
		{"POST tags/gpu/?op=update_nodes", url.Values{"add": {"node9"}}, 400, "node9"},
		{"GET tags/gpu/?op=machines", nil, 200, `"hostname":"node1"`},
		{"GET tags/gpu/?op=devices", nil, 200, `[]`},
		{"GET machines/?tags=gpu", nil, 200, `"tag_names":["gpu"]`},
		{"GET machines/?tags=cpu", nil, 200, `[]`},
		{"POST machines/?op=allocate", url.Values{"not_tags": {"gpu"}}, 409, "no machine"},
		{"POST machines/?op=allocate", url.Values{"tags": {"cpu"}}, 400, "cpu"},
		{"POST machines/?op=allocate", url.Values{"tags": {"gpu"}}, 200, "Allocated"},
		{"POST machines/node1/?op=lock", nil, 200, `"locked":true`},
		{"POST machines/node1/?op=release", nil, 409, "is locked; unlock it first"},
		{"POST machines/node1/?op=power_off", nil, 409, "is locked"},
		{"DELETE machines/node1/", nil, 409, "is locked"},
		{"POST machines/node1/?op=unlock", nil, 200, `"locked":false`},
		{"POST tags/gpu/?op=update_nodes", url.Values{"remove": {"node1"}}, 200, `{"added":0,"removed":1}`},
		{"PUT tags/gpu/", url.Values{"name": {"gpus"}}, 200, `"name":"gpus"`},
		{"DELETE tags/gpus/", nil, 204, ""},
		{"GET machines/node1/?op=details", nil, 200, "lshw"},
	})
}

func TestGatewaysSnippetsAndSettings(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	s.steps(t, []step{
		{"POST subnets/", url.Values{"cidr": {"192.0.2.0/24"}, "gateway_ip": {"192.0.2.1"}}, 200, ""},
		{"POST nodes/node1/interfaces/1/?op=set_default_gateway", nil, 400, "link_id"},
		{"POST nodes/node1/interfaces/1/?op=link_subnet", url.Values{"mode": {"STATIC"}, "subnet": {"1"}}, 200, ""},
		{"POST nodes/node1/interfaces/1/?op=set_default_gateway", nil, 200, ""},
		{"GET machines/node1/", nil, 200, `"default_gateways":{"ipv4":{"gateway_ip":"192.0.2.1","link_id":`},
		{"POST machines/node1/?op=clear_default_gateways", nil, 200, `"default_gateways":{"ipv4":{"gateway_ip":null`},

		{"POST dhcp-snippets/", url.Values{"name": {"ntp"}, "value": {"option ntp-servers 192.0.2.1;"}}, 200, `"global_snippet":true`},
		{"POST dhcp-snippets/", url.Values{"name": {"x"}, "value": {"next-server 192.0.2.1;"}}, 400, "not understood"},
		{"POST dhcp-snippets/", url.Values{"name": {"x"}, "value": {"option 42 192.0.2.1"}, "subnet": {"9"}}, 400, "subnet"},
		{"PUT dhcp-snippets/1/", url.Values{"subnet": {"1"}}, 200, `"cidr":"192.0.2.0/24"`},
		{"PUT dhcp-snippets/1/", url.Values{"node": {"node1"}}, 200, `"subnet":null`},
		{"PUT dhcp-snippets/1/", url.Values{"global_snippet": {"true"}, "enabled": {"false"}}, 200, `"enabled":false`},
		{"DELETE dhcp-snippets/1/", nil, 204, ""},

		{"GET maas/?op=get_config&name=default_dns_ttl", nil, 200, `30`},
		{"POST maas/?op=set_config", url.Values{"name": {"default_dns_ttl"}, "value": {"60"}}, 200, `OK`},
		{"GET maas/?op=get_config&name=default_dns_ttl", nil, 200, `60`},
		{"POST maas/?op=set_config", url.Values{"name": {"ntp_servers"}, "value": {"a_b"}}, 400, `neither an address`},
		{"POST maas/?op=set_config", url.Values{"name": {"kernel_opts"}, "value": {"a\nb"}}, 400, `kernel_opts`},
		{"POST maas/?op=set_config", url.Values{"name": {"windows_kms_host"}, "value": {"x"}}, 501, `windows_kms_host`},
		{"GET rackcontrollers/", nil, 200, `[]`},
		{"GET rackcontrollers/?op=is_registered&mac_address=02:00:00:00:00:01", nil, 200, `false`},
		{"GET rackcontrollers/r1/", nil, 404, ``},
		{"GET rackcontrollers/r1/?op=list_boot_images", nil, 501, `list_boot_images`},
		{"GET regioncontrollers/", nil, 200, `[]`},
	})
}

func TestBootProfilesOfMachinesTagsAndSubnets(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	s.steps(t, []step{
		{"POST subnets/", url.Values{"cidr": {"192.0.2.0/24"}, "name": {"office"}}, 200, `"tag_names":[]`},
		{"POST tags/", url.Values{"name": {"lab"}}, 200, ""},
		{"POST tags/lab/?op=update_nodes", url.Values{"add": {"node1,192.0.2.0/24"}}, 200, `{"added":2,"removed":0}`},
		{"GET subnets/office/", nil, 200, `"tag_names":["lab"]`},
		{"POST tags/lab/?op=update_nodes", url.Values{"remove": {"office"}}, 200, `{"added":0,"removed":1}`},
		{"POST tags/lab/?op=update_nodes", url.Values{"add": {"198.51.100.0/24"}}, 400, "198.51.100.0"},
	})
	for _, c := range []struct {
		do, body string
		code     int
		want     string
	}{
		{"PUT ?machine=node1", `{"kind":"local"}`, 200, ""},
		{"PUT ?tag=lab", `{"name":"inspect","kernel":"vmlinuz"}`, 200, `"inspect"`},
		{"PUT ?subnet=office", `{"kind":"poweroff"}`, 200, ""},
		{"PUT ?subnet=office&tag=lab", `{"kind":"poweroff"}`, 400, "for one of machine, tag and subnet"},
		{"PUT ?subnet=office", `{"kernel":"../x"}`, 400, "cannot be booted: pxe: profile"},
		{"PUT ?tag=none", `{"kind":"local"}`, 404, "tag none does not exist"},
		{"GET ?tag=lab", "", 200, `"inspect"`},
		{"GET s", "", 200, `{"tag":"lab","profile":{"name":"inspect","kernel":"vmlinuz"}},{"subnet":"192.0.2.0/24","profile":{"kind":"poweroff"}},{"machine":"node1.maas"`},
		{"DELETE ?tag=lab", "", 204, ""},
		{"GET ?tag=lab", "", 404, "tag lab has no boot profile"},
		{"GET ", "", 404, "the site has no boot profile"},
	} {
		method, query, _ := strings.Cut(c.do, " ")
		w := httptest.NewRecorder()
		s.api.Local().ServeHTTP(w, httptest.NewRequest(method, "/api/v1/boot-profile"+query, strings.NewReader(c.body)))
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: %d %s\nwant %d with %s", c.do, c.body, w.Code, w.Body, c.code, c.want)
		}
	}
}

// A target that is misspelt or empty does not mean the site.
func TestBootProfileNeedsItsTarget(t *testing.T) {
	s := newSite(t)
	const path = "/api/v1/boot-profile"
	if w := s.call("PUT", path, `{"kind":"local"}`, "Content-Type", "application/json"); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	for _, bad := range []string{"?machine=", "?machines=node1", "?tag=a&tag=b"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			if w := s.call(method, path+bad, `{"kind":"poweroff"}`, "Content-Type", "application/json"); w.Code != 400 {
				t.Errorf("%s %s: %d %s", method, bad, w.Code, w.Body)
			}
		}
	}
	if w := s.call("GET", path, ""); !strings.Contains(w.Body.String(), "local") {
		t.Errorf("the site's profile is %s", w.Body)
	}
}
