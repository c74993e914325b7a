package proxy_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// named serves a proxy of that name.
func named(t *testing.T, cfg proxy.Config, policy proxy.Policy) (p *proxy.Proxy, client *http.Client, address string) {
	t.Helper()
	p = proxy.New(cfg)
	if err := p.Update(policy); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	tr := &http.Transport{Proxy: http.ProxyURL(u)}
	t.Cleanup(tr.CloseIdleConnections)
	return p, &http.Client{Transport: tr}, srv.URL
}

func TestViaAndForwarded(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["Via"], r.Header["Forwarded"], r.Header["X-Forwarded-For"])
	}))
	defer web.Close()
	for _, c := range []struct {
		policy    proxy.Policy
		want, via string
	}{
		{open, "[1.0 before 1.1 here] [] []", "1.1 here"},
		{proxy.Policy{HideVia: true}, "[1.0 before] [] []", ""},
		{proxy.Policy{Forwarded: true}, "[1.0 before 1.1 here] [for=127.0.0.1;by=_here;proto=http] []", "1.1 here"},
	} {
		c.policy.Allow, c.policy.AllowLocal = loopback, loopback
		for _, cached := range []bool{true, false} {
			cfg := proxy.Config{Name: "here"}
			if cached {
				var err error
				if cfg.Cache, err = proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), Limit: 1 << 20}); err != nil {
					t.Fatal(err)
				}
				defer cfg.Cache.Close()
			}
			_, client, _ := named(t, cfg, c.policy)
			r, _ := http.NewRequest("GET", web.URL, nil)
			r.Header["Via"], r.Header["X-Forwarded-For"], r.Header["Forwarded"] = []string{"1.0 before"}, []string{"192.0.2.9"}, []string{"for=192.0.2.9"}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(body) != c.want || resp.Header.Get("Via") != c.via {
				t.Errorf("%+v: origin saw %s, client %q", c.policy, body, resp.Header["Via"])
			}
		}
	}
}

// Two proxies that are each other's parent answer instead of asking each other for ever, through tunnels too.
func TestLoopsEnd(t *testing.T) {
	a, b := proxy.New(proxy.Config{Name: "a"}), proxy.New(proxy.Config{Name: "b"})
	first, second := httptest.NewServer(a), httptest.NewServer(b)
	defer first.Close()
	defer second.Close()
	for p, parent := range map[*proxy.Proxy]string{a: second.URL, b: first.URL} {
		policy := open
		policy.Parent = parent
		if err := p.Update(policy); err != nil {
			t.Fatal(err)
		}
	}
	through, _ := url.Parse(first.URL)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
	defer client.CloseIdleConnections()
	if code, body := get(t, client, "http://origin.example/"); code != http.StatusLoopDetected {
		t.Errorf("%d %s", code, body)
	}
	if code, why := get(t, client, "https://origin.example/"); code != 0 {
		t.Errorf("%d %s", code, why)
	}
	counted(t, b, 2)
}

func TestMaxForwards(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header["Max-Forwards"]) }))
	defer web.Close()
	_, client, _ := named(t, proxy.Config{}, open)
	for _, c := range []struct {
		method, max string
		code        int
		body        string
	}{{"OPTIONS", "0", 204, ""}, {"OPTIONS", "3", 200, "[2]"}, {"OPTIONS", "", 200, "[]"}, {"GET", "0", 200, "[0]"}, {"TRACE", "9", 405, "TRACE is not forwarded\n"}} {
		r, _ := http.NewRequest(c.method, web.URL, nil)
		if c.max != "" {
			r.Header.Set("Max-Forwards", c.max)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.code || string(body) != c.body {
			t.Errorf("%+v: %d %s", c, resp.StatusCode, body)
		}
	}
}

// A body is sent when its origin wants it, and an origin that does not is not sent it.
func TestExpectContinue(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		io.Copy(w, r.Body)
	}))
	defer web.Close()
	_, _, address := named(t, proxy.Config{}, open)
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	fmt.Fprintf(conn, "PUT %s/yes HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", web.URL)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 100 {
		t.Fatal(resp, err)
	}
	io.WriteString(conn, "body")
	if resp, err = http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "body" {
		t.Errorf("%q", body)
	}
	fmt.Fprintf(conn, "PUT %s/no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", web.URL)
	if resp, err = http.ReadResponse(br, nil); err != nil || resp.StatusCode != 417 {
		t.Fatal(resp, err)
	}
}

// Trailers come through, for responses that are kept the fields are not.
func TestTrailers(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "4")
	}))
	defer web.Close()
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	for _, cfg := range []proxy.Config{{}, {Cache: cache}} {
		_, client, _ := named(t, cfg, open)
		resp, err := client.Get(web.URL)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.Trailer.Get("X-Sum") != "4" {
			t.Errorf("%v", resp.Trailer)
		}
	}
}

// Origins behind routes are spoken to in HTTP/2 where they can.
func TestHTTP2ToOrigins(t *testing.T) {
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	policy := open
	policy.Routes = []proxy.Route{{Prefix: "/mirror/", Origin: web.URL + "/"}}
	_, client, address := named(t, proxy.Config{TLS: &tls.Config{RootCAs: roots}}, policy)
	client.Transport.(*http.Transport).Proxy = nil
	if code, body := get(t, client, address+"/mirror/x"); code != 200 || body != "HTTP/2.0" {
		t.Errorf("%d %s", code, body)
	}
}

// Credentials of parents reach the parents, and neither errors, logs nor statistics.
func TestCredentialsDoNotShow(t *testing.T) {
	var log strings.Builder
	seen := make(chan string, 9)
	parent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Proxy-Authorization")
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer parent.Close()
	policy := open
	policy.Parents = []string{"http://user:hunter2@" + parent.Listener.Addr().String(), strings.Replace(away(t), "http://", "http://user:hunter2@", 1)}
	cfg := proxy.Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	p, client, _ := named(t, cfg, policy)
	get(t, client, "http://hunter2:hunter2@origin.example/")
	_, why := get(t, client, "https://origin.example/")
	for range 2 {
		if got := <-seen; got != "Basic dXNlcjpodW50ZXIy" {
			t.Errorf("the parent saw %q", got)
		}
	}
	client.CloseIdleConnections()
	counted(t, p, 2)
	err := p.Update(proxy.Policy{Parent: "ftp://user:hunter2@x"})
	err2 := p.Update(proxy.Policy{Parent: "user:hunter2@x\x00"})
	if text := fmt.Sprint(log.String(), why, err, err2, p.Stats()); strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}

// What a client may not reach it cannot have a parent reach for it, nor a name of this host.
func TestThisHostIsOutOfReach(t *testing.T) {
	var asked int
	parent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer parent.Close()
	policy := proxy.Policy{Allow: loopback, Parent: parent.URL, TunnelPorts: []proxy.Ports{proxy.Port(443)}}
	_, client, _ := named(t, proxy.Config{}, policy)
	hosts := []string{"127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "224.0.0.1"}
	if own, err := net.InterfaceAddrs(); err == nil {
		for _, a := range own {
			prefix := netip.MustParsePrefix(a.String())
			hosts = append(hosts, strings.TrimSuffix(netip.AddrPortFrom(prefix.Addr(), 1).String(), ":1"))
		}
	}
	for _, host := range hosts {
		if code, body := get(t, client, "http://"+host+":5240/MAAS/"); code != 403 {
			t.Errorf("%s: %d %s", host, code, body)
		}
		if code, why := get(t, client, "https://"+host+"/"); code != 0 || !strings.Contains(why, "Forbidden") {
			t.Errorf("%s: %d %s", host, code, why)
		}
	}
	if asked > 0 {
		t.Errorf("the parent was asked %d times", asked)
	}
}

// The budget holds for what is fetched for the cache, for what passes and for tunnels, and costs answers from the cache nothing.
func TestUplinkBudget(t *testing.T) {
	const size = 300 << 10 // three tenths of a second, less what the line may make up for
	body := strings.Repeat("x", size)
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", r.URL.Query().Get("cc"))
		io.WriteString(w, body)
	}
	web, secure := httptest.NewServer(http.HandlerFunc(handler)), httptest.NewTLSServer(http.HandlerFunc(handler))
	defer web.Close()
	defer secure.Close()
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: t.TempDir(), Limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	policy := open
	policy.Uplink, policy.TunnelPorts = 1<<20, portsOf(t, secure.URL)
	_, client, _ := named(t, proxy.Config{Cache: cache}, policy)
	client.Transport.(*http.Transport).TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	for _, u := range []string{web.URL + "/a?cc=max-age=60", web.URL + "/b?cc=no-store", secure.URL + "/c"} {
		began := time.Now()
		if code, got := get(t, client, u); code != 200 || got != body {
			t.Errorf("%s: %d, %d bytes", u, code, len(got))
		}
		if took := time.Since(began); took < 100*time.Millisecond {
			t.Errorf("%s took %v", u, took)
		}
	}
	for range 20 { // six seconds' worth
		get(t, client, web.URL+"/a?cc=max-age=60")
	}
	if s := cache.Stats(); s.Hits != 20 {
		t.Errorf("%+v", s)
	}
}
