package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// site is a server with a self-signed certificate for a key.
func site(t *testing.T, key *ecdsa.PrivateKey) *httptest.Server {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("{}")) }))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A pinned certificate is accepted without an authority, and so is its successor with the same key; any other is refused with the cure.
func TestPins(t *testing.T) {
	key := newKey(t)
	first, renewed, other := site(t, key), site(t, key), site(t, newKey(t))
	pin, distrust, err := Client{URL: first.URL}.Seen(t.Context())
	if err != nil || distrust == nil || pin == (Pin{}) {
		t.Fatalf("%+v, %v, %v", pin, distrust, err)
	}
	get := func(url string, pin Pin) error { return Client{URL: url, Pin: pin}.Get(t.Context(), "/", nil) }
	if err := get(first.URL, pin); err != nil {
		t.Error(err)
	}
	if err := get(renewed.URL, pin); err != nil {
		t.Errorf("the renewed certificate: %v", err)
	}
	changed := (*ChangedError)(nil)
	if err := get(renewed.URL, Pin{Fingerprint: pin.Fingerprint}); !errors.As(err, &changed) {
		t.Errorf("another certificate and no key: %v", err)
	}
	err = get(other.URL, pin)
	if !errors.As(err, &changed) || changed.Pinned != pin.Fingerprint || !strings.Contains(err.Error(), "maas login --fingerprint "+changed.Shown) {
		t.Errorf("another site: %v", err)
	}
	if err := get(first.URL, Pin{}); err == nil {
		t.Error("a certificate of an unknown authority was taken without a pin")
	}
}

// A client distinguishes servers with TLS that is trusted, with TLS that is not, and without TLS.
func TestSeen(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a key was sent to a server that is not known yet")
		}
		w.Write([]byte("{}"))
	})
	plain, secured := httptest.NewServer(answer), httptest.NewTLSServer(answer)
	defer plain.Close()
	defer secured.Close()
	missing := httptest.NewTLSServer(http.NotFoundHandler())
	defer missing.Close()
	ca := func(srv *httptest.Server) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	}
	for _, c := range []struct {
		name             string
		client           Client
		pinned, distrust bool
		fails            bool
	}{
		{"plain", Client{URL: plain.URL, Key: "a:b:c"}, false, false, false},
		{"unknown", Client{URL: secured.URL, Key: "a:b:c"}, true, true, false},
		{"by its authority", Client{URL: secured.URL, CA: ca(secured), Key: "a:b:c"}, true, false, false},
		{"https for http", Client{URL: strings.Replace(plain.URL, "http", "https", 1)}, false, false, true},
		{"http for https", Client{URL: strings.Replace(secured.URL, "https", "http", 1)}, false, false, true},
		{"another server", Client{URL: missing.URL, CA: ca(missing)}, false, false, true},
		{"none", Client{URL: "https://127.0.0.1:1"}, false, false, true},
	} {
		pin, distrust, err := c.client.Seen(t.Context())
		if (pin != Pin{}) != c.pinned || (distrust != nil) != c.distrust || (err != nil) != c.fails {
			t.Errorf("%s: %+v, %v, %v", c.name, pin, distrust, err)
		}
	}
}

func TestParseFingerprint(t *testing.T) {
	want := strings.Repeat("0a", 32)
	for _, text := range []string{want, strings.ToUpper(want), " " + want + "\n", "SHA256:" + want, "sha256 Fingerprint=" + strings.TrimSuffix(strings.Repeat("0A:", 32), ":")} {
		if got, err := ParseFingerprint(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0a", want + "0a", want[1:], strings.Repeat("zz", 32), "sha1:" + want[:40]} {
		if got, err := ParseFingerprint(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}
