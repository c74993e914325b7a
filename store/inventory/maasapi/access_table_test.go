package maasapi_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// accessFile has a line for each method, path and operation, with what a stranger and each role gets: 401 or 403, or ok for all
// other answers, such as 404 for an object that does not exist.
const accessFile = "testdata/access.txt"

// answered ends its request when the answer is flushed: the stream of changes goes on until its client leaves.
type answered struct {
	*httptest.ResponseRecorder
	leave func()
}

func (a *answered) Flush() { a.leave() }

// Each role may do what the file says, for every route and operation and each method that the route does not have. The file is
// reviewed like code: a new route that lets a role write shows in it.
func TestWhoMayDoWhat(t *testing.T) {
	s := newSite(t)
	roles := []string{"nobody", "read-only", "operator", "admin"}
	keys := map[string]string{}
	for _, role := range roles[1:] {
		s.user(t, "a-"+role, role)
	}
	nonce := 0
	outcome := func(role, method, path string) string {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(""))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if role != "nobody" {
			key := keys[role]
			if key == "" {
				var err error
				if key, err = s.api.CreateKey(t.Context(), "a-"+role); err != nil {
					t.Fatal(err)
				}
				keys[role] = key
			}
			if strings.Contains(path, "authorisation_token") {
				delete(keys, role) // which this request may end
			}
			nonce++
			r.Header.Set("Authorization", oauth(key, fmt.Sprint("n", nonce), time.Now()))
		}
		w := &answered{httptest.NewRecorder(), cancel}
		s.api.Handler().ServeHTTP(w, r)
		code, body := w.Code, w.Body.String()
		switch {
		case code == 401 || code == 403:
			return fmt.Sprint(code)
		case code >= 500 && code != 501 && code != 503:
			t.Errorf("%s %s by %s: %d %s", method, path, role, code, body)
		}
		return "ok"
	}
	table := s.api.Operations()
	var lines []string
	has := map[string]bool{}
	for _, x := range table {
		has[x.Method+" "+x.Path] = true
		var got []string
		for _, role := range roles {
			got = append(got, outcome(role, x.Method, strings.NewReplacer("{", "", "}", "").Replace(x.Path)+x.Op))
		}
		lines = append(lines, fmt.Sprintf("%-6s %s%s: %s", x.Method, x.Path, x.Op, strings.Join(got, " ")))
	}
	slices.Sort(lines)
	got := "# method, path and operation: " + strings.Join(roles, ", ") + "\n" + strings.Join(slices.Compact(lines), "\n") + "\n"
	if *update {
		if err := os.WriteFile(accessFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(accessFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run go test -run TestWhoMayDoWhat -update, and read the difference (-want +got)\n%s", diff)
	}
	// Strangers get 401 everywhere but where clients begin, whatever the method.
	public := []string{"/MAAS/accounts/authenticate/", "/MAAS/api/2.0/version/"}
	for _, x := range table {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			path := strings.NewReplacer("{", "", "}", "").Replace(x.Path)
			if got := outcome("nobody", method, path+x.Op); got != "401" && !slices.Contains(public, x.Path) && !strings.Contains(x.Path, "openapi") {
				t.Errorf("%s %s by a stranger: %s", method, path+x.Op, got)
			}
			// A method that the route does not have lets no role through to anything.
			if !has[method+" "+x.Path] && method != "HEAD" && method != "OPTIONS" {
				for _, role := range roles[1:] {
					_ = outcome(role, method, path)
				}
			}
		}
	}
}
