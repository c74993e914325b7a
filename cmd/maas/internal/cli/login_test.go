package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Logging in to another web server says so in one line, with a password as with a key, and keeps nothing.
func TestLoginElsewhere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("a:b:c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []http.HandlerFunc{
		http.NotFound,
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
		func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<!DOCTYPE html>\n<p>Welcome</p>", http.StatusMethodNotAllowed)
		},
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>\n<p>Welcome</p>")) },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
	} {
		srv := httptest.NewServer(answer)
		for _, c := range []loginCmd{{Username: "ada", PasswordFile: secret}, {KeyFile: secret}} {
			c.Profile, c.URL = "default", srv.URL
			var out, errs bytes.Buffer
			err := c.Run(t.Context(), stdio{&out, &errs})
			if err == nil || !strings.HasPrefix(err.Error(), srv.URL+" answers, but is not the API of a site;") || out.Len() > 0 {
				t.Errorf("%+v: %v, wrote %q", c, err, out.String())
			}
		}
		srv.Close()
	}
	if _, err := os.Stat(filepath.Join(dir, "maas")); err == nil {
		t.Error("a log-in was kept")
	}
}

// atSite is a site with TLS of its own that knows one key, and where a password is never sent in vain.
func atSite(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("op") == "whoami" {
			_, _ = w.Write([]byte(`{"username": "ada", "role": "admin"}`))
			return
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(srv.Close)
	return srv
}

// The first log-in pins the certificate; with a fingerprint, it must be that one; a site that has another one later is refused
// until its user names that.
func TestLoginPinsTheCertificate(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte("a:b:c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := atSite(t)
	sum := sha256.Sum256(srv.Certificate().Raw)
	fingerprint := hex.EncodeToString(sum[:])
	login := func(fingerprint string) (string, error) {
		var out, errs bytes.Buffer
		err := loginCmd{Profile: "lab", URL: srv.URL, KeyFile: key, Fingerprint: fingerprint}.Run(t.Context(), stdio{&out, &errs})
		return errs.String(), err
	}
	if _, err := login(strings.Repeat("00", 32)); err == nil || !strings.Contains(err.Error(), "nothing was sent") {
		t.Errorf("another fingerprint: %v", err)
	}
	if _, err := login("not one"); err == nil {
		t.Error("a fingerprint that is none was taken")
	}
	if shown, err := login(""); err != nil || !strings.Contains(shown, fingerprint) {
		t.Errorf("the first log-in: %v, shows %q", err, shown)
	}
	logins, path, err := loadLogins()
	if err != nil || logins.Sites["lab"].Pin.Fingerprint != fingerprint {
		t.Fatalf("%+v, %v", logins, err)
	}
	if err := logins.Sites["lab"].Client().Get(t.Context(), "/", nil); err != nil {
		t.Errorf("with its pin: %v", err)
	}
	changed := logins.Sites["lab"]
	changed.Pin.Fingerprint, changed.Pin.Key = strings.Repeat("11", 32), strings.Repeat("22", 32)
	logins.Sites["lab"] = changed
	if err := logins.Save(path); err != nil {
		t.Fatal(err)
	}
	cure := "maas login --fingerprint " + fingerprint
	if _, err := login(""); err == nil || !strings.Contains(err.Error(), cure) {
		t.Errorf("logging in to a site with another certificate: %v", err)
	}
	if err := changed.Client().Get(t.Context(), "/", nil); err == nil || !strings.Contains(err.Error(), cure) {
		t.Errorf("a command at a site with another certificate: %v", err)
	}
	if shown, err := login("SHA256:" + strings.ToUpper(fingerprint)); err != nil || shown != "" {
		t.Errorf("with the new fingerprint: %v, shows %q", err, shown)
	}
}
