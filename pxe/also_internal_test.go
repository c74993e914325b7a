package pxe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func TestAlso(t *testing.T) {
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text, r.PathValue("mac")) })
	}
	s, err := New(Config{
		Resolver: Static(Profile{Kernel: "f"}), Loaders: fstest.MapFS{"loader": {Data: []byte("a loader")}},
		Files: fstest.MapFS{"f": {Data: []byte("a file")}},
		Also: map[string]http.Handler{
			"/metrics": say("metrics"), "/tree/": say("tree"), "/metadata/{mac}/user-data": say("user-data of "), "/{$}": say("root"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/metrics", 200, "metrics"},
		{"GET", "/", 200, "root"},
		{"GET", "/tree/", 200, "tree"},
		{"GET", "/tree/a/b", 200, "tree"},
		{"HEAD", "/tree/a", 200, "tree"},
		{"GET", "/metadata/52-54-00-00-00-01/user-data", 200, "user-data of 52-54-00-00-00-01"},
		{"GET", "/metadata/52-54-00-00-00-01", 404, absentText},
		{"GET", "/tree", 404, absentText},     // no redirect: firmware cannot follow it
		{"GET", "//metrics", 404, absentText}, // a boot file of that name would be meant
		{"GET", "//loader", 200, "a loader"},  // as GRUB asks
		{"GET", "/images/f", 200, "a file"},
		{"POST", "/metrics", 200, "metrics"},
		{"POST", "/images/f", 405, "nothing can be written here"},
		{"DELETE", "/images/f", 405, "method not allowed"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(tt.method, "http://192.0.2.1"+tt.path, nil)
		s.Handler().ServeHTTP(w, r)
		if got := strings.TrimSpace(w.Body.String()); w.Code != tt.status || got != tt.body {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.path, w.Code, got, tt.status, tt.body)
		}
	}
}

func TestAlsoThatCannotBeServed(t *testing.T) {
	ok := http.NotFoundHandler()
	for want, also := range map[string]map[string]http.Handler{
		"begins with a slash":  {"metrics": ok},
		"without method":       {"GET /metrics": ok},
		"its handler is nil":   {"/metrics": nil},
		"bad wildcard segment": {"/a/{": ok},
		"conflicts with":       {"/{a}/x": ok, "/x/{b}": ok},
	} {
		_, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Also: also})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "pxe: Config.Also has") {
			t.Errorf("%v: %v, want %q", also, err, want)
		}
	}
}
