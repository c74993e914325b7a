package client

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoginsAreForTheUserAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "maas", "logins.json")
	want := Logins{Current: "lab", Sites: map[string]Login{"lab": {URL: "https://192.0.2.1:5240", Key: "a:b:c", Pin: Pin{"ab", "cd"}}, "old": {URL: "http://192.0.2.1:5240", Key: "a:b:c"}}}
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	got, err := LoadLogins(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadLogins(path); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
		t.Errorf("a file that others can read: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".logins-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestBase(t *testing.T) {
	for in, want := range map[string]string{
		"maas.example": "https://maas.example:5240", "maas.example/MAAS/": "https://maas.example", "192.0.2.1:81": "https://192.0.2.1:81",
		"http://maas.example": "http://maas.example:5240", "http://192.0.2.1:5240/MAAS/": "http://192.0.2.1:5240", "https://maas.example": "https://maas.example",
		"https://maas.example/MAAS/api/2.0/": "https://maas.example", "http://[2001:db8::1]:80": "http://[2001:db8::1]:80",
		"2001:db8::1": "https://[2001:db8::1]:5240", "[2001:db8::1]:81": "https://[2001:db8::1]:81",
		"fe80::1%eth0": "https://[fe80::1%25eth0]:5240", "https://[fe80::1%25eth0]:81": "https://[fe80::1%25eth0]:81",
		"ftp://x": "", "http://": "", "http://user@x": "", "http://x/path": "",
	} {
		if got, err := Base(in); got != want || (err == nil) != (want != "") {
			t.Errorf("Base(%q) = %q, %v; want %q", in, got, err, want)
		}
		if _, err := url.Parse(want); err != nil {
			t.Error(err)
		}
	}
}

// Another web server is told from a site, whatever it answers, and its pages are not shown.
func TestForeignServers(t *testing.T) {
	for _, c := range []struct {
		status     int
		kind, body string
		foreign    bool
	}{
		{404, "text/plain", "404 page not found", true}, {405, "text/plain", "no", true}, {501, "", "", true},
		{200, "text/html", "<!DOCTYPE html><p>Welcome", true}, {200, "application/json", `{"hello":"world"}`, true}, {200, "application/json", "", true},
		{401, "text/html; charset=utf-8", "Welcome", true}, {500, "", "\n<html>Welcome", true},
		{401, "text/plain", "user and password do not match", false}, {400, "application/json", `{"username":["and password are needed"]}`, false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.status)
			w.Write([]byte(c.body))
		}))
		_, err := Client{URL: srv.URL}.Authenticate(t.Context(), "ada", "secret", "test")
		if err == nil || err.Error() == "" || strings.Contains(err.Error(), "Welcome") || Foreign(err) != c.foreign {
			t.Errorf("%d %s: Foreign(%v) is not %v", c.status, c.kind, err, c.foreign)
		}
		srv.Close()
	}
}

func TestFollowGoesOnWhereItWas(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		w.Write([]byte(": hello\n\nid: 7-1\nevent: change\ndata: {\"kind\":\"vlan\"}\n\n")) // and the connection ends
	}))
	defer srv.Close()
	enough := errors.New("enough")
	changes := 0
	err := Client{URL: srv.URL}.Follow(t.Context(), func(u Update) error {
		if u.Kind == "change" {
			if changes++; changes == 2 {
				return enough
			}
		}
		return nil
	})
	if err != enough || cmp.Diff([]string{"", "7-1"}, asked) != "" {
		t.Errorf("Follow = %v, asked from %q", err, asked)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	get := func(c Client) error { return c.Get(context.Background(), "/", nil) }
	if err := get(Client{URL: srv.URL}); err == nil || !strings.Contains(err.Error(), "maas login "+srv.URL) {
		t.Errorf("unknown certificate: %v", err)
	}
	if err := get(Client{URL: strings.Replace(srv.URL, "https", "http", 1)}); err == nil || !strings.Contains(err.Error(), "https in the place of http") {
		t.Errorf("TLS without TLS: %v", err)
	}
	if err := get(Client{Socket: filepath.Join(t.TempDir(), "none")}); err == nil || !strings.Contains(err.Error(), "maas login URL") {
		t.Errorf("no daemon: %v", err)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	if err := get(Client{URL: plain.URL}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("404: %v", err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add("id: 1-2\nevent: change\ndata: {}\n\n")
	f.Add("event: event\ndata: a\ndata: b\n\n: beat\n\nid\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		last, total := "", 0
		_ = readStream(strings.NewReader(text), &last, func(u Update) error { total += len(u.Data); return nil })
		if total > len(text) || strings.Contains(last, "\n") {
			t.Errorf("%d bytes of data and id %q from %q", total, last, text)
		}
	})
}
