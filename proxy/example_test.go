package proxy_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"

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
