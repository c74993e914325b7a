package httpserve_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
)

// secured serves TLS and plain HTTP on one port until the test ends.
func secured(t *testing.T, h http.HandlerFunc) (address string, cfg *tls.Config) {
	t.Helper()
	cfg, err := httpserve.SelfSigned(t.TempDir(), []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- httpserve.Secure(ctx, ln, cfg, h) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), cfg
}

// One port answers TLS and plain HTTP, on connections that stay and with bodies of any size, and handlers know which it was.
func TestBothOnOnePort(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	address, cfg := secured(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%v %d", r.TLS != nil, n)
	})
	fingerprint, err := httpserve.Fingerprint(cfg)
	if err != nil || len(fingerprint) != 64 {
		t.Fatalf("%q, %v", fingerprint, err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for range 3 {
		for scheme, want := range map[string]string{"http": "false", "https": "true"} {
			for _, size := range []int{0, 1, 5000, 1 << 20} {
				resp, err := client.Post(scheme+"://"+address, "text/plain", strings.NewReader(strings.Repeat("x", size)))
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(body) != fmt.Sprint(want, " ", size) {
					t.Errorf("%s, %d bytes: %q, %v", scheme, size, body, err)
				}
			}
		}
	}
}

// Clients that are silent, speak neither language, or break off in the middle keep no other client waiting, and end with the server.
func TestOddClients(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	address, _ := secured(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	for _, first := range []string{"", "\x16", "\x16\x03\x01\x00\x05hello", "\x15\x03\x01", "\x00\x00", "G", "GET / HTTP/1.1\r\n", "\xff\xff\xff\xff", "\x80\x2e\x01\x03\x01"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, first); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// An answer whose end is the end of the connection, as old clients want it.
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
		t.Errorf("%q, %v", body, err)
	}
	over, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	fmt.Fprint(over, "GET / HTTP/1.0\r\n\r\n")
	if text, err := io.ReadAll(over); err != nil || !strings.HasSuffix(string(text), "ok") {
		t.Errorf("over TLS: %q, %v", text, err)
	}
}

func TestLocal(t *testing.T) {
	for _, c := range []struct {
		from, at string
		want     bool
	}{
		{"127.0.0.1:1", "127.0.0.1:5240", true}, {"127.9.9.9:1", "127.0.0.1:5240", true}, {"[::1]:1", "[::1]:5240", true},
		{"[::ffff:127.0.0.1]:1", "127.0.0.1:5240", true}, {"192.0.2.1:1", "192.0.2.1:5240", true}, {"[::ffff:192.0.2.1]:1", "192.0.2.1:5240", true},
		{"[fe80::1%eth0]:1", "[fe80::1%eth0]:5240", true}, {"[fe80::1%eth1]:1", "[fe80::1%eth0]:5240", false},
		{"192.0.2.2:1", "192.0.2.1:5240", false}, {"[2001:db8::2]:1", "[2001:db8::1]:5240", false}, {"", "192.0.2.1:5240", false}, {"pipe", "pipe", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.from
		if at, err := net.ResolveTCPAddr("tcp", c.at); err == nil && c.at != "pipe" {
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(at)))
		}
		if got := httpserve.Local(r); got != c.want {
			t.Errorf("from %q at %q: %v", c.from, c.at, got)
		}
	}
}

// A new certificate has the key of the one before, which clients have pinned; a key that others can read is refused.
func TestSuccessorsKeepTheKey(t *testing.T) {
	dir := t.TempDir()
	made := func() *x509.Certificate {
		t.Helper()
		if _, err := httpserve.SelfSigned(dir, []string{"localhost"}); err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, httpserve.CertFile), filepath.Join(dir, httpserve.KeyFile))
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}
	first := made()
	if err := os.Remove(filepath.Join(dir, httpserve.CertFile)); err != nil {
		t.Fatal(err)
	}
	second := made()
	if first.SerialNumber.Cmp(second.SerialNumber) == 0 || !bytes.Equal(first.RawSubjectPublicKeyInfo, second.RawSubjectPublicKeyInfo) {
		t.Errorf("serials %v and %v; the keys are to be the same", first.SerialNumber, second.SerialNumber)
	}
	key := filepath.Join(dir, httpserve.KeyFile)
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := httpserve.SelfSigned(dir, nil); err == nil || !strings.Contains(err.Error(), "chmod 600 "+key) {
		t.Errorf("a key that the group can read: %v", err)
	}
	for _, text := range []string{"", "no PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(key, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, httpserve.CertFile))
		if _, err := httpserve.SelfSigned(dir, nil); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("key %q: %v", text, err)
		}
	}
}
