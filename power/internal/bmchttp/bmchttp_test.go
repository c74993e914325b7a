package bmchttp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

func TestStatus(t *testing.T) {
	for code, want := range map[int]power.Class{
		200: "", 204: "", 302: power.ActionFailed, 400: power.ActionFailed, 401: power.Auth, 403: power.Auth, 404: power.Settings,
		405: power.Unsupported, 500: power.ActionFailed, 501: power.Unsupported, 502: power.Connection, 503: power.Connection, 504: power.Connection,
	} {
		err := bmchttp.Status("op", code, "detail")
		if power.ClassOf(err) != want {
			t.Errorf("%d: %v of class %q, want %q", code, err, power.ClassOf(err), want)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "power: op: HTTP ") || !strings.HasSuffix(err.Error(), "detail")) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// service runs an HTTPS server and returns the fingerprint of its certificate.
func service(t *testing.T, handle http.HandlerFunc) (url, pin string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(handle)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what the tests are about
	srv.StartTLS()
	t.Cleanup(srv.Close)
	sum := sha256.Sum256(srv.Certificate().Raw)
	return srv.URL, hex.EncodeToString(sum[:])
}

func get(t *testing.T, ctx context.Context, p power.Params, url string) (string, error) {
	t.Helper()
	c, err := bmchttp.New(ctx, p)
	if err != nil {
		return "", err
	}
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", bmchttp.Transport(ctx, "get", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// A certificate is trusted by its fingerprint, by a known authority, or not looked at when a parameter says so.
func TestTrust(t *testing.T) {
	url, pin := service(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	other := strings.Repeat("ab", sha256.Size)
	for name, tt := range map[string]struct {
		params power.Params
		class  power.Class
		text   string
	}{
		"pinned":               {power.Params{"tls_fingerprint": pin}, "", ""},
		"pinned, with colons":  {power.Params{"tls_fingerprint": pin[:2] + ":" + strings.ToUpper(pin[2:])}, "", ""},
		"another pin":          {power.Params{"tls_fingerprint": other}, power.Settings, "pinned fingerprint"},
		"a pin goes before no": {power.Params{"tls_fingerprint": other, "tls_verify": "no"}, power.Settings, "pinned fingerprint"},
		"unknown authority":    {power.Params{}, power.Settings, "set tls_fingerprint to the fingerprint"},
		"not verified":         {power.Params{"tls_verify": "no"}, "", ""},
		"malformed pin":        {power.Params{"tls_fingerprint": "abc"}, power.Settings, "want 64 hexadecimal digits"},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := get(t, t.Context(), tt.params, url)
			if power.ClassOf(err) != tt.class || tt.class == "" && body != "hello" || err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q, %v of class %q", body, err, power.ClassOf(err))
			}
		})
	}
}

func TestTransportErrors(t *testing.T) {
	if _, err := get(t, t.Context(), nil, "https://127.0.0.1:1/"); power.ClassOf(err) != power.Connection {
		t.Errorf("a closed port: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := get(t, ended, nil, "https://127.0.0.1:1/"); power.ClassOf(err) != power.Connection || !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

// An old BMC is reached by a parameter, and without it the error names the parameter.
func TestLegacyTLS(t *testing.T) {
	for name, config := range map[string]*tls.Config{
		"RSA key exchange":        {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
		"RSA key exchange, 3DES":  {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}},
		"TLS 1.1":                 {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"TLS 1.0, RSA, with CBC":  {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA}},
		"TLS 1.2 with RC4 (2011)": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "old") }))
			srv.TLS, srv.Config.ErrorLog = config, log.New(io.Discard, "", 0)
			srv.StartTLS()
			defer srv.Close()
			_, err := get(t, t.Context(), power.Params{"tls_verify": "no", "tls_legacy": "no"}, srv.URL)
			if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "tls_legacy=yes") {
				t.Errorf("without the parameter: class %q, %v", power.ClassOf(err), err)
			}
			if body, err := get(t, t.Context(), power.Params{"tls_verify": "no", "tls_legacy": "yes"}, srv.URL); err != nil || body != "old" {
				t.Errorf("with it: %q, %v", body, err)
			}
			// A certificate that is not checked protects nothing; a pinned one does.
			if body, err := get(t, t.Context(), power.Params{"tls_verify": "no"}, srv.URL); err != nil || body != "old" {
				t.Errorf("without verification: %q, %v", body, err)
			}
			if _, err := get(t, t.Context(), power.Params{"tls_verify": "no", "tls_fingerprint": strings.Repeat("00", 32)}, srv.URL); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "tls_legacy=yes") {
				t.Errorf("pinned, without the parameter: class %q, %v", power.ClassOf(err), err)
			}
		})
	}
	url, pin := service(t, func(http.ResponseWriter, *http.Request) {})
	if _, err := get(t, t.Context(), power.Params{"tls_fingerprint": pin, "tls_legacy": "yes"}, url); err != nil {
		t.Errorf("a BMC of today with the parameter: %v", err)
	}
}

// A plain-text service behind an https address is a mistake in the settings.
func TestPlainService(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	_, err := get(t, t.Context(), nil, strings.Replace(srv.URL, "http", "https", 1))
	if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "write http://") {
		t.Errorf("class %q, %v", power.ClassOf(err), err)
	}
}

// Redirects to other hosts and schemes are not followed: the request holds a password or token.
func TestRedirects(t *testing.T) {
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/here" {
			_, _ = io.WriteString(w, "here")
			return
		}
		http.Redirect(w, r, map[string]string{"/a": "/here", "/b": other.URL, "/c": "/c"}[r.URL.Path], http.StatusFound)
	}))
	defer srv.Close()
	if body, err := get(t, t.Context(), nil, srv.URL+"/a"); body != "here" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	for _, path := range []string{"/b", "/c"} {
		if body, err := get(t, t.Context(), nil, srv.URL+path); body == "here" || err != nil || asked != 0 {
			t.Errorf("%s: %q, %v; the other host was asked %d times", path, body, err, asked)
		}
	}
}

// A transcript has the dialog without keys in queries and tokens, and plays it back without the service.
func TestTranscript(t *testing.T) {
	url, pin := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Auth-Token", "token-secret")
		w.Header().Set("ETag", `"7"`)
		w.Header().Set("Set-Cookie", "cookie-secret")
		_, _ = io.WriteString(w, "state of "+r.URL.Query().Get("machine"))
	})
	var recorded power.Transcript
	p := power.Params{"tls_fingerprint": pin}
	path := url + "/state?machine=m1&key=query-secret"
	if body, err := get(t, power.WithTranscript(t.Context(), &recorded), p, path); err != nil || body != "state of m1" {
		t.Fatalf("%q, %v", body, err)
	}
	var file bytes.Buffer
	if _, err := recorded.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	if text := file.String(); strings.Contains(text, "-secret") || !strings.Contains(text, `GET /state?key=***\u0026machine=***`) && !strings.Contains(text, "GET /state?key=***&machine=***") {
		t.Errorf("the transcript is %s", text)
	}
	played, err := power.ReadTranscript(&file)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := get(t, power.WithTranscript(t.Context(), played), p, "https://127.0.0.1:1/state?machine=m1&key=x"); err != nil || body != "state of m1" {
		t.Errorf("played back: %q, %v", body, err)
	}
	if _, err := get(t, power.WithTranscript(t.Context(), played), p, "https://127.0.0.1:1/other"); err == nil {
		t.Error("a request that was never recorded was answered")
	}
}
