package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/proxy"
)

// Entries of Direct that would match nothing are refused, with what to write where that is known.
func TestDirectIsChecked(t *testing.T) {
	for rule, want := range map[string]string{
		"mirror.example": "", ".lab.example": "", "192.0.2.0/24": "", "2001:db8::/32": "", "192.0.2.1": "", "2001:db8::1": "", "*": "", "host_1": "",
		"*.corp": "write .corp", "": "is not a host", "a b": "is not a host", "http://x": "is not a host", "10.0.0.0/99": "is not a host",
		"!.corp": "is not a host", ".": "is not a host", "a..b": "is not a host", "*corp": "is not a host", "**": "is not a host", "*.": "is not a host",
		"mirror.example:80": "is not a host",
	} {
		err := proxy.New(proxy.Config{}).Update(proxy.Policy{Direct: []string{rule}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", rule, err, want)
		}
	}
}

// Nil and zero fields have a default or are refused.
func TestZeroValuesDoNotPanic(t *testing.T) {
	p := proxy.New(proxy.Config{Access: proxy.LogAccess(nil)})
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "http://origin.example/", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("the zero policy answers %d", w.Code)
	}
	proxy.CommonLog(nil)(proxy.Access{Client: netip.MustParseAddr("192.0.2.1")})
	if _, err := proxy.OpenCache(proxy.CacheConfig{}); err == nil {
		t.Error("a cache without a directory was opened")
	}
	if _, err := proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), Limit: -1}); err == nil {
		t.Error("a cache with a negative limit was opened")
	}
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), MaxObject: -1, Idle: -1})
	if err != nil {
		t.Fatal(err)
	}
	if n := cache.Purge("://"); n != 0 {
		t.Errorf("%d purged of nothing", n)
	}
	if err := cache.Close(); err != nil {
		t.Error(err)
	}
	for name, policy := range map[string]proxy.Policy{
		"network": {Allow: make([]netip.Prefix, 1)}, "local": {AllowLocal: make([]netip.Prefix, 1)}, "denied": {Deny: make([]netip.Prefix, 1)},
		"parent": {Parents: []string{""}}, "route": {Routes: make([]proxy.Route, 1)}, "uplink": {Uplink: -1},
	} {
		if err := p.Update(policy); err == nil {
			t.Errorf("%s: a zero value was taken", name)
		}
	}
}
