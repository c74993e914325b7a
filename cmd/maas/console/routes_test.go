package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/console"
	"github.com/gomaas/maas/store/inventory"
)

// routed returns the pattern that serves a path.
func routed(t *testing.T, method, path string) string {
	t.Helper()
	mux := http.NewServeMux()
	for _, x := range console.Routes() {
		mux.Handle(x.Pattern, http.NotFoundHandler())
	}
	_, pattern := mux.Handler(httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return pattern
}

// A GET changes nothing in the database, for any page, any form's address and any user.
func TestGetChangesNothing(t *testing.T) {
	s := newSite(t, nil)
	m := s.machine(t, "web", "02:00:00:00:00:01")
	sessions := []*browser{s.as(t, "ada"), s.as(t, "otto"), s.as(t, "rita"), {t: t, site: s}}
	paths := append(pagesOf(s, t), "/login", "/addresses?ip=192.0.2.7", "/static/style.css", "/boots/live?from=x")
	var missing []string
	for _, x := range console.Routes() {
		if strings.HasPrefix(x.Pattern, "GET ") && !slices.ContainsFunc(paths, func(p string) bool { return routed(t, "GET", p) == x.Pattern }) {
			missing = append(missing, x.Pattern)
		}
	}
	if len(missing) > 0 {
		t.Fatalf("no path for %v", missing)
	}
	for _, a := range console.Actions() {
		paths = append(paths, "/do/"+a.Name+"?id="+m.SystemID+"&ip=192.0.2.7&version=1")
	}
	paths = append(paths, "/logout", "/logout/everywhere", "/machines/bulk?action=lock&sure=yes&id="+m.SystemID)
	before := dump(t, s.path)
	for _, b := range sessions {
		for _, path := range paths {
			for _, method := range []string{"GET", "HEAD"} {
				s.visit(b, method, path)
			}
		}
	}
	for table, rows := range dump(t, s.path) {
		if rows != before[table] {
			t.Errorf("table %s was\n%sand is\n%s", table, before[table], rows)
		}
	}
	if before["node"] == "" || before["api_key"] == "" {
		t.Error("the dump is empty")
	}
}

// visit makes a request that ends by itself, also on a stream.
func (s *site) visit(b *browser, method, path string) int {
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	if strings.HasPrefix(path, "/boots/live") {
		stop := time.AfterFunc(50*time.Millisecond, cancel)
		defer stop.Stop()
	}
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	r.Host = "site.example"
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	w := httptest.NewRecorder()
	s.page.ServeHTTP(w, r)
	return w.Code
}

// Each route is for the roles that this table says, and for no other: a new route is not served
// before it is here.
func TestRolesOfRoutes(t *testing.T) {
	s := newSite(t, nil)
	m := s.machine(t, "web", "02:00:00:00:00:01")
	const public, user, operator, admin, host = "public", "user", "operator", "admin", "host" // host: on the region's host alone
	table := map[string]struct{ path, least string }{
		"GET /static/{file}": {"/static/style.css", public}, "GET /login": {"/login", public}, "POST /login": {"/login", public},
		"POST /logout": {"/logout", user}, "POST /logout/everywhere": {"/logout/everywhere", user},
		"POST /do/{action}":   {"/do/lock", operator}, // each action: TestRoles
		"POST /machines/bulk": {"/machines/bulk", operator},
		"POST /racks/tokens":  {"/racks/tokens", host},
		"GET /{$}":            {"/", user}, "GET /boots": {"/boots", user}, "GET /boots/live": {"/boots/live", user}, "GET /networks": {"/networks", user},
		"GET /networks/subnets/{id}": {"/networks/subnets/1", user}, "GET /addresses": {"/addresses?ip=192.0.2.7", user}, "GET /addresses/{ip}": {"/addresses/192.0.2.7", user},
		"GET /leases": {"/leases", user}, "GET /leases/history": {"/leases/history", user}, "GET /devices": {"/devices", user}, "GET /names": {"/names", user},
		"GET /racks": {"/racks", user}, "GET /racks/{name}": {"/racks/rack", user}, "GET /images": {"/images", user}, "GET /doctor": {"/doctor", user}, "GET /doctor/host": {"/doctor/host", admin}, "GET /docs": {"/docs", user}, "GET /docs/{name}": {"/docs/networks", user},
		"GET /events": {"/events", user}, "GET /audit": {"/audit", user}, "GET /machines": {"/machines", user}, "GET /machines/new": {"/machines/new", user},
		"GET /machines/{system}": {"/machines/" + m.SystemID, user}, "GET /machines/{system}/power": {"/machines/" + m.SystemID + "/power", user},
	}
	rank := map[string]int{public: 0, user: 1, operator: 2, admin: 3, host: 4}
	for _, x := range console.Routes() {
		row, listed := table[x.Pattern]
		if !listed {
			t.Errorf("%s is not in the table", x.Pattern)
			continue
		}
		method, _, _ := strings.Cut(x.Pattern, " ")
		for n, name := range []string{"", "rita", "otto", "ada"} {
			b := &browser{t: t, site: s}
			if name != "" {
				b = s.as(t, name) // a log-out ends the session
			}
			code := 0
			if method == "GET" {
				code = s.visit(b, method, row.path)
			} else {
				code = b.do(method, row.path, url.Values{"id": {m.SystemID}, "action": {"lock"}, "username": {"x"}}).Code
			}
			refused := code == http.StatusForbidden || code == http.StatusUnauthorized && row.path != "/login" ||
				name == "" && code == http.StatusSeeOther
			if want := n < rank[row.least]; refused != want {
				t.Errorf("%s by %q: %d, refused %v, want %v", x.Pattern, name, code, refused, want)
			}
		}
	}
}

// A bulk action is offered to, and done for, the roles that may do it to one machine.
func TestRolesOfBulkActions(t *testing.T) {
	s := newSite(t, nil)
	roles := map[string]inventory.Role{}
	for _, a := range console.Actions() {
		roles[a.Name] = a.Role
	}
	rank := map[inventory.Role]int{inventory.RoleAdmin: 3, inventory.RoleOperator: 2, inventory.RoleReadOnly: 1}
	for n, name := range []string{"rita", "otto", "ada"} {
		b := s.as(t, name)
		for _, action := range []string{"power-on", "power-off", "power-cycle", "lock", "unlock", "release", "reinstall", "machine-delete", "range-delete"} {
			code := b.do("POST", "/machines/bulk", url.Values{"action": {action}, "id": {"none"}}).Code
			allowed := action != "range-delete" && n+1 >= rank[roles[action]]
			if (code == http.StatusOK) != allowed {
				t.Errorf("%s by %s: %d, want allowed %v", action, name, code, allowed)
			}
		}
	}
}
