package maasapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// twoRacks are proxies of two racks, one of which is away.
type twoRacks struct{ purged []string }

func (f *twoRacks) ProxyStats(context.Context) ([]maasapi.RackProxy, error) {
	return []maasapi.RackProxy{{Rack: "a", Stats: &proxy.Stats{Requests: 7}}, {Rack: "b", Error: "not connected"}}, nil
}

func (f *twoRacks) PurgeProxy(_ context.Context, url string, prefix bool) ([]maasapi.RackProxy, error) {
	f.purged = append(f.purged, fmt.Sprint(url, prefix))
	return []maasapi.RackProxy{{Rack: "a", Purged: 3}, {Rack: "b", Error: "not connected"}}, nil
}

func TestProxyStatsAndPurge(t *testing.T) {
	s, racks := newSite(t), &twoRacks{}
	if code, _ := s.do("GET", "/api/v1/proxy", nil); code != http.StatusNotImplemented {
		t.Errorf("without racks: %d", code)
	}
	s.serve(t, maasapi.Config{Proxy: racks})
	var got []maasapi.RackProxy
	code, body := s.do("GET", "/api/v1/proxy", nil)
	if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 || got[0].Stats.Requests != 7 || got[1].Error == "" {
		t.Errorf("%d %s %v", code, body, err)
	}
	for _, c := range []struct {
		form url.Values
		code int
	}{
		{url.Values{"url": {"http://a/x"}}, 200}, {url.Values{"prefix": {"http://a/"}}, 200},
		{url.Values{}, 400}, {url.Values{"url": {"http://a/x"}, "prefix": {"http://a/"}}, 400},
	} {
		if code, body := s.do("POST", "/api/v1/proxy/purge", c.form); code != c.code || code == 200 && !strings.Contains(body, `"purged":3`) {
			t.Errorf("%v: %d %s", c.form, code, body)
		}
	}
	if len(racks.purged) != 2 || racks.purged[0] != "http://a/xfalse" || racks.purged[1] != "http://a/true" {
		t.Error(racks.purged)
	}
}

func TestProxySettings(t *testing.T) {
	s := newSite(t)
	get := func(name string) string {
		_, body := s.do("GET", base+"maas/?op=get_config&name="+name, nil)
		return strings.TrimSpace(body)
	}
	set := func(name, value string) int {
		code, _ := s.do("POST", base+"maas/?op=set_config", url.Values{"name": {name}, "value": {value}})
		return code
	}
	for _, c := range []struct{ name, first, value, then string }{
		{"enable_http_proxy", "true", "false", "false"}, {"maas_proxy_port", "8000", "3128", "3128"}, {"use_peer_proxy", "false", "True", "true"},
		{"http_proxy", `""`, "http://proxy.example:3128", `"http://proxy.example:3128"`}, {"proxy_uplink", "0", "1000000", "1000000"},
		{"proxy_tunnel_ports", `""`, "443 8443", `"443 8443"`}, {"proxy_ports", `""`, "80", `"80"`}, {"proxy_parents", `""`, ".a.example=http://p.example", `".a.example=http://p.example"`},
	} {
		if got := get(c.name); got != c.first {
			t.Errorf("%s begins as %s", c.name, got)
		}
		if code := set(c.name, c.value); code != 200 || get(c.name) != c.then {
			t.Errorf("%s: %d, then %s", c.name, code, get(c.name))
		}
		if code := set(c.name, ""); code != 200 || get(c.name) != c.first {
			t.Errorf("%s is not taken back: %d %s", c.name, code, get(c.name))
		}
	}
	if code := set("maas_proxy_port", "5240"); code != 400 {
		t.Errorf("a port of MAAS: %d", code)
	}
	if code := set("api_keys", "x"); code != http.StatusNotImplemented {
		t.Errorf("a setting that is none of the proxy's: %d", code)
	}
}
