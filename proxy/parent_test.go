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

// Some hosts have parents of their own, for plain requests and tunnels, beside a parent for all or none.
func TestParentsForSomeHosts(t *testing.T) {
	web, tls := origin(t, httptest.NewServer), origin(t, httptest.NewTLSServer)
	inner := open
	inner.TunnelPorts = portsOf(t, tls.URL)
	_, parent := serve(t, inner)
	for name, c := range map[string]struct {
		hosts     string // with the parent that works
		other     string // with one that is away
		general   bool   // all others have one that is away
		direct    string
		reachable bool
	}{
		"none":                        {reachable: true},
		"this host":                   {hosts: "127.0.0.1", general: true, reachable: true},
		"its network":                 {hosts: "127.0.0.0/8", general: true, reachable: true},
		"another host":                {hosts: "127.0.0.2", general: true},
		"another host, else directly": {hosts: ".example", other: ".example", reachable: true},
		"this host is away":           {other: "127.0.0.1"},
		"the host beats its network":  {hosts: "127.0.0.1", other: "127.0.0.0/8", reachable: true},
		"the longer network":          {hosts: "127.0.0.0/24", other: "127.0.0.0/8", reachable: true},
		"the shorter network":         {hosts: "127.0.0.0/8", other: "127.0.0.0/24"},
		"a network beats all":         {hosts: "127.0.0.0/8", other: "*", reachable: true},
		"all beat the general one":    {hosts: "*", general: true, reachable: true},
		"directly all the same":       {other: "127.0.0.1", direct: "127.0.0.0/8", reachable: true},
	} {
		t.Run(name, func(t *testing.T) {
			policy := inner
			if c.direct != "" {
				policy.Direct = []string{c.direct}
			}
			if c.general {
				policy.Parent = away(t)
			}
			if c.other != "" {
				policy.HostParents = append(policy.HostParents, proxy.HostParents{Hosts: []string{"a.example", c.other}, Parents: []string{away(t)}})
			}
			if c.hosts != "" { // its first parent is away, so that the second is tried
				policy.HostParents = append(policy.HostParents, proxy.HostParents{Hosts: []string{c.hosts}, Parents: []string{away(t), parent}})
			}
			client, _ := serve(t, policy)
			client.Transport.(*http.Transport).TLSClientConfig = tls.Client().Transport.(*http.Transport).TLSClientConfig
			resp, err := client.Get(web.URL + "/a")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			via := strings.Join(resp.Header.Values("Via"), ",") // the parent's and the proxy's own
			if through := strings.Count(via, ",") == 1; (resp.StatusCode == 200) != c.reachable || through != (c.reachable && c.hosts != "" && c.hosts != ".example") {
				t.Errorf("%s by %q", resp.Status, via)
			}
			resp, err = client.Get(tls.URL + "/a")
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != c.reachable {
				t.Errorf("tunnel: %v", err)
			}
		})
	}
}

func TestPoliciesWithBadHostParents(t *testing.T) {
	const parent = "http://proxy.example:3128"
	for want, h := range map[string]proxy.HostParents{
		"need both hosts and a parent": {Parents: []string{parent}},
		"both hosts and a parent":      {Hosts: []string{".example"}},
		"is not a URL like":            {Hosts: []string{".example"}, Parents: []string{"proxy.example:3128"}},
		"write .lab.example":           {Hosts: []string{"*.lab.example"}, Parents: []string{parent}},
		"is not a host, a domain":      {Hosts: []string{"http://lab.example"}, Parents: []string{parent}},
	} {
		err := proxy.New(proxy.Config{}).Update(proxy.Policy{HostParents: []proxy.HostParents{h}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", h, err, want)
		}
	}
	for _, p := range []proxy.Policy{{Ports: []proxy.Ports{proxy.Port(80), {}}}, {TunnelPorts: []proxy.Ports{{First: 0, Last: 80}}}} {
		if err := proxy.New(proxy.Config{}).Update(p); err == nil || !strings.Contains(err.Error(), "is not a port") {
			t.Errorf("%v %v: %v", p.Ports, p.TunnelPorts, err)
		}
	}
}
