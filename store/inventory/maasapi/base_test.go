package maasapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

func TestNewNamesWhatIsMissing(t *testing.T) {
	s := newSite(t)
	whole := maasapi.Config{Inventory: s.inv, Power: s.power}
	for want, change := range map[string]func(*maasapi.Config){
		"Config.Inventory":                 func(c *maasapi.Config) { c.Inventory = nil },
		"Config.Power":                     func(c *maasapi.Config) { c.Power = nil },
		`Config.Base is "maas"`:            func(c *maasapi.Config) { c.Base = "maas" },
		`Config.Base is "/a/../b"`:         func(c *maasapi.Config) { c.Base = "/a/../b" },
		`Config.Base is "/{x}"`:            func(c *maasapi.Config) { c.Base = "/{x}" },
		`Config.More has the key "/api/v1`: func(c *maasapi.Config) { c.More = map[string]maasapi.Endpoint{"/api/v1/x": nil} },
	} {
		cfg := whole
		change(&cfg)
		if api, err := maasapi.New(cfg); api != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Below any base path everything that the API says of itself has that path: the URIs of resources, links between pages, and
// the description.
func TestBase(t *testing.T) {
	for _, given := range []string{"/maas/site1", "/maas/site1/"} {
		s := newSite(t)
		s.serve(t, maasapi.Config{Base: given, More: map[string]maasapi.Endpoint{
			"GET /api/v1/extra": func(*http.Request) (any, error) { return "more", nil },
		}})
		const at = "/maas/site1/api/2.0/"
		for _, write := range []struct {
			path string
			form url.Values
		}{
			{"subnets/", url.Values{"cidr": {"192.0.2.0/24"}}}, {"machines/", node1}, {"spaces/", url.Values{"name": {"dmz"}}},
			{"devices/", url.Values{"hostname": {"d"}, "mac_addresses": {"02:00:00:00:00:42"}}}, {"tags/", url.Values{"name": {"x"}}},
			{"ipranges/", url.Values{"type": {"dynamic"}, "start_ip": {"192.0.2.10"}, "end_ip": {"192.0.2.20"}}},
			{"dnsresources/", url.Values{"name": {"www"}, "domain": {"maas"}, "ip_addresses": {"192.0.2.1"}}},
			{"tsigkeys/", url.Values{"name": {"k"}}}, {"zones/", url.Values{"name": {"z"}}},
			{"dhcp-classes/", url.Values{"name": {"c"}, "vendor_class": {"x"}}},
			{"dhcp-snippets/", url.Values{"name": {"s"}, "value": {"option ntp-servers 192.0.2.1;"}}},
		} {
			code, body := s.do("POST", at+write.path, write.form)
			if code != 200 || strings.Contains(body, "/MAAS/") {
				t.Errorf("POST %s: %d %s", write.path, code, body)
			}
			var made struct {
				URI string `json:"resource_uri"`
			}
			if err := json.Unmarshal([]byte(body), &made); err != nil || !strings.HasPrefix(made.URI, at) {
				t.Errorf("POST %s: %v %s", write.path, err, body)
				continue
			}
			if code, body := s.do("GET", made.URI, nil); code != 200 {
				t.Errorf("GET %s: %d %s", made.URI, code, body)
			}
		}
		w := s.call("GET", at+"fabrics/?limit=1&offset=1", "")
		if link := w.Header().Get("Link"); !strings.Contains(link, "<"+at+"fabrics/?") {
			t.Errorf("Link: %s", link)
		}
		if code, body := s.do("GET", "/maas/site1/api/v1/extra", nil); code != 200 || body != `"more"` {
			t.Errorf("more: %d %s", code, body)
		}
		for path, want := range map[string]int{base + "version/": 404, "/api/v1/export": 404, at + "pods/": 501} {
			if code, body := s.do("GET", path, nil); code != want {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
		checkBaseDescription(t, s)
		checkBaseLogin(t, s, at)
	}
}

func checkBaseDescription(t *testing.T, s *site) {
	t.Helper()
	_, body := s.do("GET", "/maas/site1/api/v1/openapi.json", nil)
	var doc struct {
		Servers []struct{ URL string }
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || len(doc.Servers) != 1 {
		t.Fatal(err, body)
	}
	for path, methods := range doc.Paths {
		if methods["get"] == nil || strings.HasSuffix(path, "/stream") {
			continue
		}
		path = doc.Servers[0].URL + regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(path, "1")
		if code, body := s.do("GET", path, nil); code == 501 && strings.Contains(body, "GET ") {
			t.Errorf("%s is described: %d %s", path, code, body)
		}
	}
}

// checkBaseLogin logs in below the base, without a key, and sees that other paths need one.
func checkBaseLogin(t *testing.T, s *site, at string) {
	t.Helper()
	if code, body := s.do("POST", at+"users/", url.Values{"username": {"olga"}, "password": {"correct horse"}, "role": {"operator"}}); code != 200 {
		t.Fatal(code, body)
	}
	form := url.Values{"username": {"olga"}, "password": {"correct horse"}}
	for path, want := range map[string]int{"/maas/site1/accounts/authenticate/": 200, "/MAAS/accounts/authenticate/": 401, at + "users/": 401} {
		r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if code, body := s.send(r); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
