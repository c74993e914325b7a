package cli

import (
	"bytes"
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
