package proxy_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/proxy"
)

// away is the URL of a proxy that is not there.
func away(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

func TestAParentThatIsAwayIsPassedOver(t *testing.T) {
	web, tls := origin(t, httptest.NewServer), origin(t, httptest.NewTLSServer)
	policy := open
	policy.TunnelPorts = portsOf(t, tls.URL)
	_, parent := serve(t, policy)
	policy.Parents = []string{away(t), parent}
	client, _ := serve(t, policy)
	client.Transport.(*http.Transport).TLSClientConfig = tls.Client().Transport.(*http.Transport).TLSClientConfig
	for range 2 {
		for _, u := range []string{web.URL, tls.URL} {
			if code, body := get(t, client, u+"/a"); code != 200 {
				t.Errorf("%s: %d %s", u, code, body)
			}
		}
	}
}

// The origin is reached through a parent or by the rules, but not because the parents are away.
func TestDirectIsForWhatThePolicyNames(t *testing.T) {
	web := origin(t, httptest.NewServer)
	for rule, want := range map[string]int{"127.0.0.0/8": 200, "127.0.0.1": 200, "192.0.2.0/24": 502, ".0.0.1": 200, "0.0.1": 502} {
		policy := open
		policy.Parents, policy.Direct = []string{away(t)}, []string{rule}
		client, _ := serve(t, policy)
		if code, body := get(t, client, web.URL); code != want {
			t.Errorf("%q: %d %s", rule, code, body)
		}
	}
	local := proxy.Policy{Allow: loopback, Parents: []string{away(t)}, Direct: []string{"127.0.0.1"}}
	client, _ := serve(t, local)
	if code, body := get(t, client, web.URL); code != 403 || strings.Contains(body, "GET") {
		t.Errorf("the direct way led to the rack itself: %d %s", code, body)
	}
	if err := proxy.New(proxy.Config{}).Update(proxy.Policy{Allow: []netip.Prefix{}, Parents: []string{"squid"}}); err == nil {
		t.Error("a parent that is no URL was taken")
	}
}

// A host whose IPv6 address leads nowhere is reached by its other one, and one that has no other all the same.
func TestPreferIPv4(t *testing.T) {
	web := origin(t, httptest.NewServer)
	policy := open
	policy.PreferIPv4 = true
	client, _ := serve(t, policy)
	if code, body := get(t, client, strings.Replace(web.URL, "127.0.0.1", "localhost", 1)); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Log("this host has no IPv6:", err)
		return
	}
	six := &http.Server{Handler: http.NotFoundHandler()}
	defer six.Close()
	go six.Serve(ln)
	policy.AllowLocal = append([]netip.Prefix{netip.MustParsePrefix("::1/128")}, policy.AllowLocal...)
	client, _ = serve(t, policy)
	if code, body := get(t, client, "http://"+ln.Addr().String()+"/"); code != 404 {
		t.Errorf("%d %s", code, body)
	}
}
