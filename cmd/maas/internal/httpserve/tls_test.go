package httpserve_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
)

func TestSelfSigned(t *testing.T) {
	dir := t.TempDir()
	cfg, err := httpserve.SelfSigned(dir, []string{"127.0.0.1", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- httpserve.Serve(t.Context(), tls.NewListener(ln, cfg), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	}()
	text, err := os.ReadFile(filepath.Join(dir, httpserve.CertFile))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	get := func(version uint16) error {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MaxVersion: version, MinVersion: tls.VersionTLS10}}}
		resp, err := client.Get("https://" + ln.Addr().String())
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := get(tls.VersionTLS13); err != nil {
		t.Error(err)
	}
	if err := get(tls.VersionTLS12); err != nil {
		t.Error(err)
	}
	if err := get(tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if _, err := httpserve.SelfSigned(dir, nil); err != nil {
		t.Error(err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, httpserve.CertFile)); string(again) != string(text) {
		t.Error("the certificate was made twice")
	}
	if _, err := httpserve.Files(filepath.Join(dir, "none"), filepath.Join(dir, "none")); err == nil {
		t.Error("files that are not there were taken")
	}
}
