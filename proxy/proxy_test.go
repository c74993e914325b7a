package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/gomaas/maas/proxy"
)

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	open     = proxy.Policy{Allow: loopback, AllowLocal: loopback}
)

// serve starts a proxy with the policy and returns a client that uses it.
func serve(t *testing.T, policy proxy.Policy) (client *http.Client, address string) {
	t.Helper()
	p := proxy.New(proxy.Config{})
	if err := p.Update(policy); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	tr := &http.Transport{Proxy: http.ProxyURL(u)}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, srv.URL
}

func origin(t *testing.T, start func(http.Handler) *httptest.Server) *httptest.Server {
	t.Helper()
	srv := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Method+" "+r.Host+" "+r.URL.Path+" "+r.Header.Get("Proxy-Authorization")+string(body))
	}))
	t.Cleanup(srv.Close)
	return srv
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func portsOf(t *testing.T, rawURL string) []proxy.Ports {
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.ParseUint(u.Port(), 10, 16)
	return []proxy.Ports{proxy.Port(uint16(port))}
}

func TestForwardsPlainRequests(t *testing.T) {
	web := origin(t, httptest.NewServer)
	client, _ := serve(t, open)
	code, body := get(t, client, web.URL+"/a")
	if code != 200 || body != "GET "+web.Listener.Addr().String()+" /a " {
		t.Errorf("%d %s", code, body)
	}
}

func TestTunnels(t *testing.T) {
	web := origin(t, httptest.NewTLSServer)
	policy := open
	policy.TunnelPorts = portsOf(t, web.URL)
	client, _ := serve(t, policy)
	client.Transport.(*http.Transport).TLSClientConfig = web.Client().Transport.(*http.Transport).TLSClientConfig
	if code, body := get(t, client, web.URL+"/a"); code != 200 || !strings.HasPrefix(body, "GET ") {
		t.Errorf("%d %s", code, body)
	}
}

func TestTunnelsAndForwardsThroughAParent(t *testing.T) {
	web, tls := origin(t, httptest.NewServer), origin(t, httptest.NewTLSServer)
	policy := open
	policy.TunnelPorts = portsOf(t, tls.URL)
	_, parent := serve(t, policy)
	policy.Parent = parent
	client, _ := serve(t, policy)
	client.Transport.(*http.Transport).TLSClientConfig = tls.Client().Transport.(*http.Transport).TLSClientConfig
	for _, u := range []string{web.URL, tls.URL} {
		if code, body := get(t, client, u+"/a"); code != 200 || !strings.HasPrefix(body, "GET ") {
			t.Errorf("%s: %d %s", u, code, body)
		}
	}
}

func TestRefuses(t *testing.T) {
	web := origin(t, httptest.NewServer)
	for name, c := range map[string]struct {
		policy proxy.Policy
		url    string
		code   int
	}{
		"anybody by default": {proxy.Policy{}, web.URL, 403},
		"other networks":     {proxy.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, web.URL, 403},
		"its own host":       {proxy.Policy{Allow: loopback}, web.URL, 403},
		"its host by name":   {proxy.Policy{Allow: loopback}, strings.Replace(web.URL, "127.0.0.1", "localhost", 1), 403},
		"denied networks":    {proxy.Policy{Allow: loopback, AllowLocal: loopback, Deny: loopback}, web.URL, 403},
		"privileged ports":   {open, "http://127.0.0.1:25/", 403},
	} {
		client, _ := serve(t, c.policy)
		if code, body := get(t, client, c.url); code != c.code {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	client, address := serve(t, open)
	client.Transport.(*http.Transport).Proxy = nil
	if code, body := get(t, client, address+"/not-absolute"); code != 400 {
		t.Errorf("origin form: %d %s", code, body)
	}
}

func TestTunnelToAnotherPortIsRefused(t *testing.T) {
	tls := origin(t, httptest.NewTLSServer)
	client, _ := serve(t, open)
	if code, why := get(t, client, tls.URL); code != 0 || !strings.Contains(why, "Forbidden") {
		t.Errorf("%d %s", code, why)
	}
}

func TestBadPolicyKeepsTheOld(t *testing.T) {
	p := proxy.New(proxy.Config{})
	for _, bad := range []proxy.Policy{{Parent: "squid:3128"}, {Allow: []netip.Prefix{{}}}} {
		if err := p.Update(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
