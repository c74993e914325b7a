package maasapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/redfish"
	"github.com/gomaas/maas/power/webhook"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// fakePower remembers what it was asked.
type fakePower struct {
	asked []string
	state power.State
	err   error
}

func (f *fakePower) Power(_ context.Context, m inventory.Machine, action power.Action, _ maasapi.PowerOptions) (power.Result, error) {
	f.asked = append(f.asked, m.Hostname+" "+string(action))
	return power.Result{State: f.state}, f.err
}

func (f *fakePower) Kinds() power.Registry {
	return power.NewRegistry(ipmi.Kind(), redfish.Kind(), webhook.Kind(), power.Manual())
}

type site struct {
	inv   *inventory.Inventory
	api   *maasapi.API
	power *fakePower
}

func newSite(t testing.TB) *site {
	t.Helper()
	db, err := store.Open(t.Context(), "memory:", schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	inv, err := inventory.Open(t.Context(), db, inventory.Config{PasswordCost: 10})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{inv: inv, power: &fakePower{state: power.On}}
	s.serve(t, maasapi.Config{})
	return s
}

// serve makes the site's API anew with a configuration.
func (s *site) serve(t testing.TB, cfg maasapi.Config) {
	t.Helper()
	cfg.Inventory, cfg.Power = s.inv, s.power
	api, err := maasapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.api = api
}

const base = "/MAAS/api/2.0/"

// do sends a request over the local side and returns status and body.
func (s *site) do(method, path string, form url.Values) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	s.api.Local().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (s *site) create(t *testing.T, form url.Values) maasapi.Machine {
	t.Helper()
	code, body := s.do("POST", base+"machines/", form)
	if code != http.StatusOK {
		t.Fatalf("create: %d %s", code, body)
	}
	var m maasapi.Machine
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

var node1 = url.Values{
	"hostname": {"node1"}, "mac_addresses": {"02:00:00:00:00:01"}, "architecture": {"amd64/generic"}, "power_type": {"ipmi"},
	"power_parameters_power_address": {"192.0.2.9"}, "power_parameters_power_user": {"admin"}, "power_parameters_power_pass": {"hunter2"},
}

func TestMachineLife(t *testing.T) {
	s := newSite(t)
	m := s.create(t, node1)
	if m.FQDN != "node1.maas" || m.BootInterface == nil || m.BootInterface.MACAddress != "02:00:00:00:00:01" || m.Zone.Name != "default" {
		t.Errorf("created %+v", m)
	}
	code, body := s.do("GET", base+"machines/?mac_address=02:00:00:00:00:01", nil)
	if code != 200 || !strings.Contains(body, m.SystemID) {
		t.Errorf("list: %d %s", code, body)
	}
	if _, body := s.do("GET", base+"machines/?hostname=other", nil); body != "[]" {
		t.Errorf("list of another name: %s", body)
	}
	for _, op := range []string{"power_on", "power_cycle", "power_off"} {
		if code, body := s.do("POST", m.ResourceURI+"?op="+op, url.Values{}); code != 200 {
			t.Errorf("%s: %d %s", op, code, body)
		}
	}
	if code, body := s.do("GET", m.ResourceURI+"?op=query_power_state", nil); code != 200 || body != `{"state":"on"}` {
		t.Errorf("query: %d %s", code, body)
	}
	if got := strings.Join(s.power.asked, ", "); got != "node1 on, node1 cycle, node1 off, node1 query" {
		t.Errorf("asked for %s", got)
	}
	params, err := s.inv.PowerParams(t.Context(), 1)
	if err != nil || params["power_pass"] != "hunter2" || params["power_driver"] != "LAN_2_0" {
		t.Errorf("stored %v, %v", params, err)
	}
	for _, path := range []string{"", "events/?op=query", "machines/", "machines/node1/"} {
		if _, body := s.do("GET", base+path, nil); strings.Contains(body, "hunter2") {
			t.Errorf("%s shows the password: %s", path, body)
		}
	}
	if code, _ := s.do("DELETE", m.ResourceURI, nil); code != 204 {
		t.Errorf("delete: %d", code)
	}
	if code, _ := s.do("GET", m.ResourceURI, nil); code != 404 {
		t.Errorf("read after delete: %d", code)
	}
}

func TestPowerTypesAndParameters(t *testing.T) {
	s := newSite(t)
	m := s.create(t, node1)
	code, body := s.do("GET", base+"rackcontrollers/?op=describe_power_types", nil)
	var kinds []maasapi.PowerType
	if err := json.Unmarshal([]byte(body), &kinds); err != nil || code != 200 || len(kinds) != 4 || kinds[0].Name != "ipmi" || kinds[1].Queryable {
		t.Fatalf("%d %v %s", code, err, body)
	}
	fields := map[string]maasapi.PowerField{}
	for _, f := range kinds[0].Fields {
		fields[f.Name] = f
	}
	if f := fields["power_pass"]; f.Type != "password" || !f.Secret || f.Scope != "bmc" {
		t.Errorf("power_pass: %+v", f)
	}
	if f := fields["power_driver"]; f.Type != "choice" || f.Default != "LAN_2_0" || len(f.Choices) != 2 {
		t.Errorf("power_driver: %+v", f)
	}
	if code, body := s.do("GET", m.ResourceURI+"?op=power_parameters", nil); code != 200 || !strings.Contains(body, "192.0.2.9") || strings.Contains(body, "hunter2") {
		t.Errorf("parameters: %d %s", code, body)
	}
	s.power.err = power.Errorf(power.Auth, "open a session", "refused")
	for form, want := range map[string]struct {
		code int
		body string
	}{
		"action=sensors": {200, `"class":"auth"`}, "action=dance": {400, "is not an action"}, "": {400, "is not an action"},
	} {
		values, _ := url.ParseQuery(form)
		if code, body := s.do("POST", "/api/v1/machines/node1/power", values); code != want.code || !strings.Contains(body, want.body) {
			t.Errorf("%q: %d %s", form, code, body)
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	with := func(key, value string) url.Values {
		form := url.Values{}
		for k, v := range node1 {
			form[k] = v
		}
		form.Set("mac_addresses", "02:00:00:00:00:02")
		form.Set("hostname", "node2")
		form.Set(key, value)
		return form
	}
	for _, c := range []struct {
		form url.Values
		code int
		want string
	}{
		{with("mac_addresses", "nonsense"), 400, `"mac_addresses":["\"nonsense\" is not a MAC address`},
		{with("mac_addresses", "02:00:00:00:00:01"), 400, "02:00:00:00:00:01"},
		{with("hostname", "node1"), 400, "node1"},
		{with("hostname", "not a name"), 400, "hostname"},
		{with("power_type", "telepathy"), 400, `there is no power type \"telepathy\"`},
		{url.Values{"mac_addresses": {"02:00:00:00:00:02"}, "power_type": {"redfish"}}, 400, "needs the parameter power_address"},
		{with("power_parameters_password", "x"), 400, "has no parameter"},
		{with("power_parameters", "[]"), 400, "not a JSON object"},
		{url.Values{"hostname": {"x"}}, 400, "mac_addresses"},
	} {
		if code, body := s.do("POST", base+"machines/", c.form); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("got %d %s\nwant %d %s", code, body, c.code, c.want)
		}
	}
	if machines, _ := s.inv.Machines.List(t.Context()); len(machines) != 1 {
		t.Errorf("refused requests left %d machines", len(machines))
	}
	for path, want := range map[string]int{
		"machines/nobody/": 404, "machines/node1/?op=deploy": 501, "pods/": 501, "fabrics/x/": 400, "fabrics/99/": 404,
		"machines/?op=allocate": 501, "events/?op=query&limit=x": 400,
	} {
		if code, body := s.do("GET", base+path, nil); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestPowerFailuresKeepTheirMeaning(t *testing.T) {
	s := newSite(t)
	m := s.create(t, node1)
	for class, want := range map[power.Class]int{power.Connection: 503, power.Auth: 503, power.Settings: 400} {
		s.power.err = power.Errorf(class, "set power", "it did not work")
		if code, body := s.do("POST", m.ResourceURI+"?op=power_on", url.Values{}); code != want || !strings.Contains(body, "did not work") {
			t.Errorf("%s: %d %s", class, code, body)
		}
	}
}

func TestBootProfile(t *testing.T) {
	s := newSite(t)
	put := func(body string) (int, string) {
		w := httptest.NewRecorder()
		s.api.Local().ServeHTTP(w, httptest.NewRequest("PUT", "/api/v1/boot-profile", strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	if code, _ := s.do("GET", "/api/v1/boot-profile", nil); code != 404 {
		t.Errorf("before it is set: %d", code)
	}
	if code, body := put(`{"kernel":"vmlinuz","initrd":["initrd.img"],"cmdline":"quiet"}`); code != 200 {
		t.Errorf("set: %d %s", code, body)
	}
	if code, body := put(`{"kernle":"vmlinuz"}`); code != 400 || !strings.Contains(body, "kernle") {
		t.Errorf("mistake: %d %s", code, body)
	}
	if code, body := s.do("GET", "/api/v1/boot-profile", nil); code != 200 || !strings.Contains(body, "quiet") {
		t.Errorf("read: %d %s", code, body)
	}
}

// oauth builds the header that clients of MAAS send.
func oauth(apiKey, nonce string, at time.Time) string {
	parts := strings.Split(apiKey, ":")
	return fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", `+
		`oauth_signature="%%26%s", oauth_nonce="%s", oauth_timestamp="%d"`, parts[0], parts[1], parts[2], nonce, at.Unix())
}

func TestKeys(t *testing.T) {
	s := newSite(t)
	srv := httptest.NewServer(s.api.Handler())
	defer srv.Close()
	get := func(path, authorization string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	defer http.DefaultClient.CloseIdleConnections()
	apiKey, err := s.api.CreateKey(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	good := oauth(apiKey, "n1", time.Now())
	if code, body := get("users/?op=whoami", good); code != 200 || !strings.Contains(body, `"username":"admin"`) {
		t.Errorf("good key: %d %s", code, body)
	}
	for name, header := range map[string]string{
		"replay":       good,
		"no key":       "",
		"old":          oauth(apiKey, "n2", time.Now().Add(-time.Hour)),
		"wrong secret": oauth(apiKey+"x", "n3", time.Now()),
		"unknown":      oauth("a:b:c", "n4", time.Now()),
		"empty secret": oauth("a:b:", "n5", time.Now()),
	} {
		if code, body := get("machines/", header); code != 401 {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	if code, _ := get("version/", ""); code != 200 {
		t.Errorf("version without a key: %d", code)
	}
	secret := strings.Split(apiKey, ":")[2]
	settings, err := s.inv.Settings.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprint(settings), secret) {
		t.Error("the key can be read from the database")
	}
}

func FuzzCreateMachine(f *testing.F) {
	f.Add("hostname=a&mac_addresses=02:00:00:00:00:01&power_type=ipmi&power_parameters_power_address=192.0.2.1")
	f.Add("mac_addresses=02-00-00-00-00-01&power_parameters={}")
	s := newSite(f)
	f.Fuzz(func(t *testing.T, form string) {
		r := httptest.NewRequest("POST", base+"machines/", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.api.Local().ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
