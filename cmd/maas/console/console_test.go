package console_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/console"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// site is a page over a database in memory.
type site struct {
	inv  *inventory.Inventory
	page http.Handler
	api  *maasapi.API
	path string // of the database
}

// bmcs switches nothing and says that it did.
type bmcs struct{ kinds power.Registry }

func (b bmcs) Kinds() power.Registry { return b.kinds }

func (bmcs) Power(_ context.Context, _ inventory.Machine, _ power.Action, _ maasapi.PowerOptions) (power.Result, error) {
	return power.Result{State: power.On}, nil
}

func newSite(t testing.TB, change func(*console.Config)) *site {
	t.Helper()
	path := filepath.Join(t.TempDir(), "maas.db")
	db, err := store.Open(t.Context(), "sqlite://"+path, schema.FS)
	ok(t, err)
	t.Cleanup(func() { db.Close() })
	inv, err := inventory.Open(t.Context(), db, inventory.Config{PasswordCost: 1})
	ok(t, err)
	_, err = inv.Bootstrap(t.Context(), inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("192.0.2.1/24")})
	ok(t, err)
	kinds := power.NewRegistry(power.Manual())
	api, err := maasapi.New(maasapi.Config{Inventory: inv, Power: bmcs{kinds}, More: map[string]maasapi.Endpoint{
		"PUT /api/v1/images": func(*http.Request) (any, error) { return nil, nil }, // of the region
	}})
	ok(t, err)
	s := &site{inv: inv, api: api, path: path}
	s.users(t)
	cfg := console.For(inv)
	cfg.API, cfg.Kinds = api.Handler(), kinds
	cfg.Host = func(context.Context) []console.HostFinding {
		return []console.HostFinding{{Check: "ports", Level: "error", Text: "DNS: port 53/udp is taken by dnsmasq", Cure: "stop dnsmasq"}, {Check: "clock", Level: "fine", Text: "agrees"}}
	}
	if change != nil {
		change(&cfg)
	}
	s.page, err = console.New(cfg)
	ok(t, err)
	return s
}

// users adds a user of each role.
func (s *site) users(t testing.TB) {
	t.Helper()
	for name, role := range map[string]inventory.Role{"ada": inventory.RoleAdmin, "otto": inventory.RoleOperator, "rita": inventory.RoleReadOnly} {
		hash, err := s.inv.HashPassword(t.Context(), "secret-"+name)
		ok(t, err)
		_, err = s.inv.Users.Create(t.Context(), inventory.User{Name: name, Role: role, Password: hash})
		ok(t, err)
	}
}

// machine adds a machine.
func (s *site) machine(t testing.TB, name, mac string) inventory.Machine {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	ok(t, err)
	m, err := s.inv.Machines.Create(t.Context(), inventory.Machine{
		Hostname: name, Architecture: "amd64/generic", Power: inventory.Power{Type: "manual"},
		Interfaces: []inventory.Interface{{Interface: ipam.Interface{Name: "eth0", MAC: hw, Boot: true, Enabled: true}}},
	})
	ok(t, err)
	return m
}

// browser keeps the cookie and the token of a session.
type browser struct {
	t      testing.TB
	site   *site
	cookie *http.Cookie
	token  string
	origin string
}

func (b *browser) do(method, path string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		if b.token != "" && !form.Has("csrf") {
			form.Set("csrf", b.token)
		}
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, body)
	r.Host = "site.example"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	if b.origin != "" {
		r.Header.Set("Origin", b.origin)
	}
	w := httptest.NewRecorder()
	b.site.page.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookie = c
	}
	return w
}

func (b *browser) get(path string) string {
	b.t.Helper()
	w := b.do("GET", path, nil)
	if w.Code != http.StatusOK {
		b.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// logIn logs a user in by the form.
func (s *site) logIn(t testing.TB, name string) *browser {
	t.Helper()
	b := &browser{t: t, site: s}
	w := b.do("POST", "/login", url.Values{"username": {name}, "password": {"secret-" + name}})
	if w.Code != http.StatusSeeOther || b.cookie == nil {
		t.Fatalf("log-in of %s: %d %s", name, w.Code, w.Body)
	}
	return b
}

// as returns the session of a user without a log-in, of which the API takes a few a minute.
func (s *site) as(t testing.TB, name string) *browser {
	t.Helper()
	b := &browser{t: t, site: s}
	all, err := s.inv.Users.List(t.Context())
	ok(t, err)
	for _, u := range all {
		if u.Name == name {
			_, key, err := s.inv.APIKeys.Create(t.Context(), u.ID, console.KeyName, time.Now().Add(time.Hour))
			ok(t, err)
			b.cookie = &http.Cookie{Name: "maas_session", Value: key}
		}
	}
	found := tokenField.FindStringSubmatch(b.get("/"))
	if found == nil {
		t.Fatal("no form with a token on the overview")
	}
	b.token = html.UnescapeString(found[1])
	return b
}

func TestLogIn(t *testing.T) {
	s := newSite(t, nil)
	stranger := &browser{t: t, site: s}
	if w := stranger.do("GET", "/machines?q=x", nil); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?next=%2Fmachines%3Fq%3Dx" {
		t.Errorf("a stranger got %d, %s", w.Code, w.Header().Get("Location"))
	}
	if w := stranger.do("POST", "/login", url.Values{"username": {"ada"}, "password": {"wrong"}}); w.Code != http.StatusUnauthorized || stranger.cookie != nil {
		t.Errorf("a wrong password got %d", w.Code)
	}
	for next, want := range map[string]string{"/boots": "/boots", "//evil.example/": "/", "https://evil.example/": "/", `/\evil.example`: "/", "": "/"} {
		w := (&browser{t: t, site: s}).do("POST", "/login", url.Values{"username": {"ada"}, "password": {"secret-ada"}, "next": {next}})
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("next=%q leads to %q, want %q", next, got, want)
		}
	}
	c := s.logIn(t, "ada").cookie
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge <= 0 {
		t.Errorf("cookie %+v", c)
	}
}

func TestLogOutEverywhereEndsAllSessions(t *testing.T) {
	s := newSite(t, nil)
	one, two, other := s.as(t, "ada"), s.as(t, "ada"), s.as(t, "otto")
	if w := one.do("POST", "/logout/everywhere", url.Values{}); w.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := two.do("GET", "/", nil); w.Code != http.StatusSeeOther {
		t.Errorf("the other session is still open: %d", w.Code)
	}
	other.get("/")
	if w := other.do("POST", "/logout", url.Values{}); w.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	keys, err := s.inv.APIKeys.List(t.Context(), 1)
	ok(t, err)
	if len(keys) != 0 {
		t.Errorf("keys are left: %v", keys)
	}
}

// A form of another site, without its token or with the token of another session is refused.
func TestForeignFormsAreRefused(t *testing.T) {
	s := newSite(t, nil)
	m := s.machine(t, "web", "02:00:00:00:00:01")
	ada := s.as(t, "ada")
	form := func() url.Values { return url.Values{"id": {m.SystemID}} }
	foreign := *ada
	foreign.origin = "https://evil.example"
	if w := foreign.do("POST", "/do/lock", form()); w.Code != http.StatusForbidden {
		t.Errorf("a foreign origin got %d", w.Code)
	}
	for _, token := range []string{"", "x", s.as(t, "otto").token} {
		bad := form()
		bad.Set("csrf", token)
		if w := ada.do("POST", "/do/lock", bad); w.Code != http.StatusForbidden {
			t.Errorf("token %q got %d", token, w.Code)
		}
	}
	if got, err := s.inv.Machines.Get(t.Context(), m.ID); err != nil || got.Locked {
		t.Errorf("locked: %v, %v", got.Locked, err)
	}
	if w := ada.do("POST", "/do/lock", form()); w.Code != http.StatusSeeOther {
		t.Errorf("the right form got %d %s", w.Code, w.Body)
	}
	audit, err := s.inv.Audit.Find(t.Context(), inventory.EventFilter{User: "ada", Limit: 5})
	ok(t, err)
	if len(audit) == 0 || !strings.Contains(audit[len(audit)-1].Description, "lock") {
		t.Errorf("audit: %v", audit)
	}
}

// Without a log-in the page answers this host alone, by its own name: another name may be of a site
// that made it lead here.
func TestTrustedPageIsForThisHost(t *testing.T) {
	s := newSite(t, nil)
	cfg := console.For(s.inv)
	cfg.API, cfg.Trusted = s.api.Local(), true
	page, err := console.New(cfg)
	ok(t, err)
	for host, want := range map[string]int{"127.0.0.1:5240": 200, "localhost": 200, "[::1]:5240": 200, "evil.example": 421, "192.0.2.1:5240": 421} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
}

// pages are the addresses of all pages, with what they need.
func pagesOf(s *site, t testing.TB) []string {
	m, err := s.inv.Machines.List(t.Context())
	ok(t, err)
	out := []string{
		"/", "/boots", "/machines", "/machines/new", "/machines/new?type=manual", "/networks", "/networks/subnets/1", "/networks/subnets/1?type=dynamic&from=192.0.2.1&to=192.0.2.9",
		"/addresses/192.0.2.7", "/leases", "/leases/history?q=192.0.2.7", "/devices", "/names", "/racks", "/racks/rack", "/images", "/doctor", "/doctor/host", "/events", "/audit",
		"/docs", "/docs?q=subnet", "/docs/networks",
	}
	return append(out, "/machines/"+m[0].SystemID, "/machines/"+m[0].SystemID+"/power")
}

// What a role may not do the API refuses, and no form offers.
func TestRoles(t *testing.T) {
	s := newSite(t, nil)
	m := s.machine(t, "web", "02:00:00:00:00:01")
	sessions := map[string]*browser{"ada": s.as(t, "ada"), "otto": s.as(t, "otto"), "rita": s.as(t, "rita")}
	rank := map[inventory.Role]int{inventory.RoleAdmin: 3, inventory.RoleOperator: 2, inventory.RoleReadOnly: 1}
	roles := map[string]inventory.Role{"ada": inventory.RoleAdmin, "otto": inventory.RoleOperator, "rita": inventory.RoleReadOnly}
	for _, a := range console.Actions() {
		if a.Name == "token-delete" || a.Name == "rack-revoke" {
			continue // the API of these clients has none
		}
		for name, b := range sessions {
			// An object that does not exist: what is allowed is then not found or refused, and
			// nothing depends on the order.
			w := b.do("POST", "/do/"+a.Name, url.Values{"id": {"none"}, "ip": {"192.0.2.250"}, "version": {"1"}})
			allowed := w.Code != http.StatusForbidden
			if want := rank[roles[name]] >= rank[a.Role]; allowed != want {
				t.Errorf("%s by %s: allowed %v, want %v (%d)", a.Name, name, allowed, want, w.Code)
			}
		}
	}
	if page := sessions["rita"].get("/machines/" + m.SystemID); strings.Contains(page, "/do/") {
		t.Error("a read-only user is shown a form that the API refuses")
	}
}

// A form that was made before another change is answered with both versions.
func TestStaleFormShowsBothVersions(t *testing.T) {
	s := newSite(t, nil)
	m := s.machine(t, "web", "02:00:00:00:00:01")
	ada := s.as(t, "ada")
	form := func(version string) url.Values {
		return url.Values{"id": {m.SystemID}, "version": {version}, "hostname": {"web"}, "description": {"mine"}, "next": {"/machines"}}
	}
	theirs := m
	theirs.Description = "theirs"
	_, err := s.inv.Machines.Update(t.Context(), theirs)
	ok(t, err)
	w := ada.do("POST", "/do/machine-update", form(fmt.Sprint(m.Version)))
	page := w.Body.String()
	if w.Code != http.StatusPreconditionFailed || !strings.Contains(page, "theirs") || !strings.Contains(page, "mine") {
		t.Fatalf("%d %s", w.Code, page)
	}
	version := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(page)
	if version == nil {
		t.Fatal("the answer has no form with the new version")
	}
	if w := ada.do("POST", "/do/machine-update", form(version[1])); w.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got, err := s.inv.Machines.Get(t.Context(), m.ID); err != nil || got.Description != "mine" {
		t.Errorf("%q, %v", got.Description, err)
	}
}

func TestBulkShowsProgress(t *testing.T) {
	s := newSite(t, nil)
	var ids []string
	for i := range 20 {
		ids = append(ids, s.machine(t, fmt.Sprintf("node-%d", i), fmt.Sprintf("02:00:00:00:01:%02x", i)).SystemID)
	}
	ada := s.as(t, "ada")
	form := url.Values{"action": {"lock"}, "id": ids, "next": {"/machines"}}
	if page := ada.do("POST", "/machines/bulk", form).Body.String(); !strings.Contains(page, "20 machines?") {
		t.Fatalf("no question: %s", page)
	}
	form.Set("sure", "yes")
	page := ada.do("POST", "/machines/bulk", form).Body.String()
	if !strings.Contains(page, "20 of 20") || !strings.Contains(page, "20 machines done, 0 refused") || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
		t.Fatalf("%s", page)
	}
	all, err := s.inv.Machines.List(t.Context())
	ok(t, err)
	for _, m := range all {
		if !m.Locked {
			t.Errorf("%s is not locked", m.Hostname)
		}
	}
}

// The files of others are as they were published.
func TestVendoredFiles(t *testing.T) {
	var all []struct{ File, Package, Version, License, SHA256 string }
	data, err := os.ReadFile("static/vendored.json")
	ok(t, err)
	ok(t, json.Unmarshal(data, &all))
	listed := map[string]bool{}
	for _, v := range all {
		data, err := os.ReadFile(filepath.Join("static", v.File))
		ok(t, err)
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != v.SHA256 || v.Package == "" || v.Version == "" || v.License == "" {
			t.Errorf("%s: %x of %s %s, %s", v.File, sum, v.Package, v.Version, v.License)
		}
		listed[v.File] = true
	}
	scripts, err := filepath.Glob("static/*.js")
	ok(t, err)
	for _, name := range scripts {
		if !listed[filepath.Base(name)] {
			t.Errorf("%s is not in vendored.json", name)
		}
	}
}
