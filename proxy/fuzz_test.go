package proxy_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/proxy"
)

// Whatever a client asks and an origin answers, the proxy answers something, and what it keeps it can serve.
func FuzzExchange(f *testing.F) {
	f.Add("/a", "Range: bytes=1-2\r\nCache-Control: max-stale", "Cache-Control: max-age=9\r\nVary: Range", "body", uint16(200))
	f.Add("/pool/x.deb?q", "If-None-Match: \"a\"\r\nIf-Range: \"a\"", "Etag: \"a\"\r\nConnection: etag", "", uint16(304))
	f.Add("/dists/InRelease", "Authorization: x\r\nPragma: no-cache", "Content-Range: bytes 0-3/9\r\nExpires: 0", "body", uint16(206))
	f.Add("//%2e/..", "Connection: close, x", "Trailer: X\r\nAge: 9, 8", "b", uint16(404))
	var mu sync.Mutex
	var header http.Header
	var body string
	var status int
	b := setUp(f, proxy.CacheConfig{Limit: 1 << 20}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		for name, lines := range header {
			w.Header()[name] = lines
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	f.Fuzz(func(t *testing.T, path, requestLines, responseLines, text string, code uint16) {
		mu.Lock()
		header, body, status = fields(responseLines), text, 200+int(code)%400
		header.Del("Content-Length")
		header.Del("Transfer-Encoding")
		mu.Unlock()
		for range 2 {
			r, err := http.NewRequest("GET", b.origin.URL+"/"+strings.TrimPrefix(path, "/"), nil)
			if err != nil {
				return
			}
			r.Header = fields(requestLines)
			delete(r.Header, "Expect")
			delete(r.Header, "Upgrade")
			resp, err := b.client.Do(r)
			if err != nil {
				return
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && resp.StatusCode == 200 && status == 200 && string(got) != text {
				t.Fatalf("%q became %q", text, got)
			}
		}
	})
}

// fields reads header lines as a server would, and drops what cannot be sent.
func fields(lines string) http.Header {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n\r\n")))
	if err != nil {
		return http.Header{}
	}
	return r.Header
}

// A request line of any form gets an answer, not a panic.
func FuzzTarget(f *testing.F) {
	f.Add("GET", "http://a/")
	f.Add("CONNECT", "a:443")
	f.Add("OPTIONS", "*")
	f.Add("GET", "/mirror/x")
	f.Add("GET", "http://[::1%25eth0]:99999/")
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: f.TempDir(), Limit: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { cache.Close() })
	p := proxy.New(proxy.Config{Cache: cache})
	policy := proxy.Policy{Allow: loopback, Ports: []proxy.Ports{proxy.Port(1)}, TunnelPorts: []proxy.Ports{proxy.Port(1)}} // and nothing exists
	policy.Routes = []proxy.Route{{Prefix: "/mirror/", Origin: "http://127.0.0.1:1/"}}
	if err := p.Update(policy); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil || strings.Contains(target, "@") || !strings.Contains(r.URL.Hostname(), "127.") && r.URL.Host != "" && r.URL.Port() == "1" {
			return // a name would be looked up
		}
		r.RemoteAddr = "127.0.0.1:4000"
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code < 400 {
			t.Errorf("%s %s: %d", method, target, w.Code)
		}
	})
}
