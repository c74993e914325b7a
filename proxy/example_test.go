package proxy_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/gomaas/maas/proxy"
)

// Machines of one network may use the proxy. The origin here is on loopback, which a policy has to allow by name.
func Example() {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "from the origin")
	}))
	defer origin.Close()

	p := proxy.New(proxy.Config{})
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if err := p.Update(proxy.Policy{Allow: loopback, AllowLocal: loopback}); err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(p)
	defer server.Close()

	through, err := url.Parse(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(origin.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(body))
	// Output: from the origin
}

// With a cache the origin is asked once, and a rule says how long that is enough.
func ExampleOpenCache() {
	asked := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Etag", `"1"`)
		fmt.Fprint(w, "package")
	}))
	defer origin.Close()

	dir, err := os.MkdirTemp("", "cache")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cache, err := proxy.OpenCache(proxy.CacheConfig{
		Dir: dir, Limit: 1 << 20,
		Rules: []proxy.Rule{{URL: `.*\.deb`, Fresh: 24 * time.Hour}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	p := proxy.New(proxy.Config{Cache: cache})
	err = p.Update(proxy.Policy{
		Allow:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Routes: []proxy.Route{{Prefix: "/mirror/", Origin: origin.URL + "/"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(p)
	defer server.Close()
	for range 3 {
		resp, err := http.Get(server.URL + "/mirror/bash.deb")
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Println(string(body), resp.Header.Get("Cache-Status"))
	}
	fmt.Println("asked", asked, "saved", cache.Stats().SavedBytes())
	// Output:
	// package maas; fwd=miss; stored
	// package maas; hit
	// package maas; hit
	// asked 1 saved 14
}
