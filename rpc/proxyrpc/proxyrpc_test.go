package proxyrpc_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
)

func TestApplyPutsThePolicyInForce(t *testing.T) {
	p := proxy.New(proxy.Config{})
	port := -1
	apply := proxyrpc.Apply(proxyrpc.NewGuard(p, nil), func(n int) { port = n })
	status := func() int {
		r := httptest.NewRequest(http.MethodGet, "/origin-form", nil) // refused for its form only by whom it may be used
		r.RemoteAddr = "192.0.2.7:4000"
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code
	}
	objects, err := proxyrpc.Objects(proxyrpc.Content{Policy: proxy.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, Port: 3128})
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), objects); err != nil || status() != http.StatusBadRequest || port != 3128 {
		t.Errorf("allowed client: %d, port %d, %v", status(), port, err)
	}
	if err := apply(t.Context(), nil); err != nil || status() != http.StatusForbidden || port != 3128 {
		t.Errorf("no policy: %d, port %d, %v", status(), port, err)
	}
}

// A rack serves as its policy says: a tunnel port that it does not have is refused, and one that it
// has leads to the parent of its host.
func TestPortsAndParentsAreCarried(t *testing.T) {
	var asked []string
	parent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer parent.Close()
	p := proxy.New(proxy.Config{})
	objects, err := proxyrpc.Objects(proxyrpc.Content{Policy: proxy.Policy{
		Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Ports: []proxy.Ports{{First: 8000, Last: 8999}}, TunnelPorts: []proxy.Ports{proxy.Port(8443)},
		HostParents: []proxy.HostParents{{Hosts: []string{".corp.example"}, Parents: []string{parent.URL}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := proxyrpc.Apply(proxyrpc.NewGuard(p, nil), nil)(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, target string
		want           int
	}{
		{http.MethodGet, "http://a.corp.example:8080/", http.StatusTeapot}, {http.MethodGet, "http://a.corp.example/", http.StatusForbidden},
		{http.MethodConnect, "a.corp.example:8443", http.StatusBadGateway}, {http.MethodConnect, "a.corp.example:443", http.StatusForbidden},
	} {
		r := httptest.NewRequest(c.method, c.target, nil)
		r.RemoteAddr = "192.0.2.7:4000"
		w := httptest.NewRecorder()
		if p.ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, w.Code, c.want)
		}
	}
	if want := []string{"GET a.corp.example:8080", "CONNECT a.corp.example:8443"}; !slices.Equal(asked, want) {
		t.Errorf("the parent was asked %q, want %q", asked, want)
	}
}

func TestStatsAndPurge(t *testing.T) {
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }))
	defer origin.Close()
	p := proxy.New(proxy.Config{Cache: cache})
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if err := p.Update(proxy.Policy{Allow: here, AllowLocal: here}); err != nil {
		t.Fatal(err)
	}
	var methods, without rpc.Methods
	proxyrpc.Offer(&methods, p, cache)
	proxyrpc.Offer(&without, p, nil)
	for _, path := range []string{"/a/1", "/a/2", "/b"} {
		r := httptest.NewRequest(http.MethodGet, origin.URL+path, nil)
		r.RemoteAddr = "127.0.0.1:4000"
		p.ServeHTTP(httptest.NewRecorder(), r)
	}
	for !cache.Idle() {
		time.Sleep(time.Millisecond)
	}
	if s, err := proxyrpc.Stats(t.Context(), &methods); err != nil || s.Requests != 3 || s.Cache.Objects != 3 || s.Objects[0].Requests != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, c := range []struct {
		what proxyrpc.Purging
		want int
	}{{proxyrpc.Purging{URL: origin.URL + "/a/", Prefix: true}, 2}, {proxyrpc.Purging{URL: origin.URL + "/b"}, 1}, {proxyrpc.Purging{URL: origin.URL + "/b"}, 0}} {
		if n, err := proxyrpc.Purge(t.Context(), &methods, c.what); err != nil || n != c.want {
			t.Errorf("%+v: %d, %v", c.what, n, err)
		}
		if n, err := proxyrpc.Purge(t.Context(), &without, c.what); err != nil || n != 0 {
			t.Errorf("without a cache: %d, %v", n, err)
		}
	}
	if _, err := proxyrpc.Purge(t.Context(), &methods, proxyrpc.Purging{}); !errors.Is(err, rpc.ErrInvalid) {
		t.Error(err)
	}
}

func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"allow":["192.0.2.0/24"],"parent":"http://proxy.example:3128"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = proxyrpc.Apply(proxyrpc.NewGuard(proxy.New(proxy.Config{}), nil), nil)(t.Context(), map[string][]byte{"policy": data})
	})
}
