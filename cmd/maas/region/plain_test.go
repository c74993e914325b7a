package region

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
)

// Plain HTTP of other hosts gets the URL and the fingerprint to use, and nothing else but the pages for monitors.
func TestPlainHTTPOfOtherHosts(t *testing.T) {
	r, _ := opened(t)
	var err error
	if r.tls, err = httpserve.SelfSigned(t.TempDir(), nil); err != nil {
		t.Fatal(err)
	}
	fingerprint, err := httpserve.Fingerprint(r.tls)
	if err != nil {
		t.Fatal(err)
	}
	h := r.refusePlain(r.Handler())
	ask := func(method, path, from string, state *tls.ConnectionState, body string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, "http://192.0.2.1:5240"+path, strings.NewReader(body))
		req.RemoteAddr, req.TLS = from, state
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w
	}
	const version, authenticate = "/MAAS/api/2.0/version/", "/MAAS/accounts/authenticate/"
	for _, c := range []struct {
		method, path, from string
		secure             bool
		body               string
		code               int
	}{
		{"GET", version, "192.0.2.9:1234", false, "", http.StatusMisdirectedRequest},
		{"GET", version, "192.0.2.9:1234", true, "", 200},
		{"GET", version, "127.0.0.1:1234", false, "", 200},
		{"GET", version, "[::1]:1234", false, "", 200},
		{"GET", version, "[fe80::9%eth0]:1234", false, "", http.StatusMisdirectedRequest},
		{"POST", authenticate, "192.0.2.9:1234", false, "username=ada&password=correct+horse", http.StatusMisdirectedRequest},
		{"GET", "/MAAS/../metrics", "192.0.2.9:1234", false, "", http.StatusMisdirectedRequest},
		{"GET", "/", "192.0.2.9:1234", false, "", http.StatusMisdirectedRequest},
		{"GET", "/metrics", "192.0.2.9:1234", false, "", 200},
		{"GET", "/healthz", "192.0.2.9:1234", false, "", 200},
		{"GET", "/readyz", "192.0.2.9:1234", false, "", 200},
	} {
		var state *tls.ConnectionState
		if c.secure {
			state = &tls.ConnectionState{}
		}
		w := ask(c.method, c.path, c.from, state, c.body)
		if w.Code != c.code {
			t.Errorf("%s %s from %s, TLS %v: %d %s", c.method, c.path, c.from, c.secure, w.Code, w.Body)
		}
		if text := w.Body.String(); w.Code == http.StatusMisdirectedRequest &&
			(!strings.Contains(text, "https://192.0.2.1:5240/") || !strings.Contains(text, fingerprint) || strings.Contains(text, "password") != (c.body != "")) {
			t.Errorf("%s %s: %s", c.method, c.path, text)
		}
	}
}

// A region with TLS answers it on the port of plain HTTP; without, it speaks plain HTTP alone.
func TestTheAPIListensForBoth(t *testing.T) {
	for _, secured := range []bool{false, true} {
		r, _ := opened(t)
		if secured {
			var err error
			if r.tls, err = httpserve.SelfSigned(t.TempDir(), nil); err != nil {
				t.Fatal(err)
			}
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		task := r.serveAPI(ln)
		done := make(chan error, 1)
		go func() { done <- task.Run(t.Context()) }()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		for scheme, want := range map[string]bool{"http": true, "https": secured} {
			resp, err := client.Get(scheme + "://" + ln.Addr().String() + "/MAAS/api/2.0/version/")
			if err == nil {
				resp.Body.Close()
			}
			if got := err == nil && resp.StatusCode == 200; got != want {
				t.Errorf("TLS %v: %s answered %v (%v)", secured, scheme, got, err)
			}
		}
		ln.Close()
		<-done
	}
}
