package maasapi_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// newSealedSite is a site that seals secrets, with its file and what it logs.
func newSealedSite(t *testing.T) (s *site, dir string, log *bytes.Buffer) {
	t.Helper()
	dir, log = t.TempDir(), &bytes.Buffer{}
	db, err := store.Open(t.Context(), "sqlite://"+filepath.Join(dir, "maas.db"), schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	inv, err := inventory.Open(t.Context(), db, inventory.Config{PasswordCost: 10, Key: bytes.Repeat([]byte("k"), 32)})
	if err != nil {
		t.Fatal(err)
	}
	s = &site{inv: inv, power: &fakePower{state: power.On}}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.serve(t, maasapi.Config{Log: logger})
	return s, dir, log
}

// A secret in a document is stored sealed, and is nowhere else: not in answers, those kept for requests that are sent again,
// what was audited or logged, errors, exports, or anything else that is stored.
func TestApplyTellsNoSecrets(t *testing.T) {
	s, dir, log := newSealedSite(t)
	const doc = "machines: [{hostname: node1, power: {type: ipmi, parameters: {power_address: 192.0.2.9, power_pass: hunter2}}}]"
	s.user(t, "anna", "admin")
	key, err := s.api.CreateKey(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	sent := 0
	apply := func(query, kind, doc string, code int) {
		t.Helper()
		sent++
		for try := range 2 {
			r := httptest.NewRequest("POST", "/api/v1/apply?"+query, strings.NewReader(doc))
			r.Header.Set("Content-Type", kind)
			r.Header.Set("Idempotency-Key", fmt.Sprint(sent))
			r.Header.Set("Authorization", oauth(key, fmt.Sprint("nonce", sent, try), time.Now()))
			got, body := s.send(r)
			if got != code {
				t.Errorf("%s: %d %s", doc, got, body)
			}
			fmt.Fprintln(&told, body)
		}
	}
	apply("dry_run=true", "application/yaml", doc, 200)
	if !strings.Contains(told.String(), `"power_pass":"***"`) {
		t.Errorf("the name of the secret is not told: %s", told.String())
	}
	apply("", "application/x-www-form-urlencoded", doc, 200)
	apply("", "application/yaml", strings.Replace(doc, "ipmi", "impi", 1), 400)
	apply("", "application/yaml", strings.Replace(doc, "power_address", "adress", 1), 400)
	for _, value := range []string{"[hunter2]", "{hunter2: x}", "!hunter2", "*hunter2", "&a hunter2", "'hunter2", `"hunter2\q"`, "%hunter2", "!!int hunter2", `"x" hunter2: [`} {
		apply("", "application/yaml", strings.Replace(doc, "hunter2", value, 1), 400)
		apply("", "application/yaml", "machines:\n- hostname: node1\n  power:\n    parameters:\n      power_pass: "+value+"\n", 400)
	}
	apply("", "application/yaml", strings.Replace(doc, "hunter2", "|hunter2", 1), 400)
	apply("", "application/json", `{"machines":[{"hostname":"node1","power":{"type":"ipmi","parameters":{"power_pass":["hunter2"]}}}]}`, 400)
	apply("", "application/json", `{"machines":[{"hostname":"node1","power":{"type":"ipmi","parameters":{"power_pass":"hunter2"]`, 400)
	for _, path := range []string{
		"/api/v1/export", "/api/v1/export?format=json", base + "events/?op=query", base + "events/?op=query&level=AUDIT", base + "machines/",
		base + "machines/node1/?op=power_parameters", base + "machines/node1/?op=details",
	} {
		fmt.Fprintln(&told, s.call("GET", path, "").Body)
	}
	fmt.Fprintln(&told, log)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		told.Write(data)
	}
	if i := strings.Index(told.String(), "hunter2"); i >= 0 {
		t.Errorf("the secret is told: %q", told.String()[max(0, i-200):i+100])
	}
	if !strings.Contains(told.String(), "POST /api/v1/apply: create machine 1 node1") {
		t.Error("it is not audited")
	}
	if params, err := s.inv.PowerParams(t.Context(), 1); err != nil || params["power_pass"] != "hunter2" {
		t.Errorf("stored %v, %v", params, err)
	}
}

// A document that cannot be read is refused with what is wrong and where.
func TestApplyNamesTheLine(t *testing.T) {
	s := newSite(t)
	for doc, want := range map[string]string{
		"zones:\n- name: a\n  colour: red":              `line 3: unknown field \"colour\"`,
		"zones:\n- name: a\n  name: b":                  `mapping key \"name\" already defined`,
		"zones:\n- name: 'a":                            "line 2: could not find end character of single-quoted text",
		"vlans:\n- {fabric: a, vid: b}":                 "line 2: ",
		"zones:\n- {name: |a}":                          "line 2: invalid header option",
		"machines:\n- power:\n    parameters: {a: [b]}": "a has to be text",
		// What the site refuses is named by the line of the field, else by that of the object.
		"zones:\n- name: a\n\n# again\n-\n  name: a":                                                                                         "line 6: zone a: is in the document twice",
		"subnets:\n- cidr: 10.0.0.0/24\n  vlan: fabric-1/0\n- cidr: 10.0.1.0/24\n  vlan: fabric-1/7":                                         "line 4: subnet 10.0.1.0/24: ",
		"subnets:\n  - vlan: fabric-1/0\n    gateway_ip: 10.9.9.9\n    cidr: nonsense":                                                       "line 4: subnet nonsense: cidr: ",
		"subnets: [{cidr: 10.0.0.0/24, vlan: fabric-1/0},\n {cidr: 10.0.1.0/24, vlan: fabric-1/0,\n  relays: [x]}]":                          "line 3: subnet 10.0.1.0/24: relays: ",
		"machines:\n- hostname: a\n  interfaces:\n  - {name: eth0, mac_address: \"02:00:00:00:00:01\"}\n  - name: eth1\n    parents: [eth7]": "line 5: machine a.maas: interface eth1: ",
		"settings:\n  ntp_servers: 10.0.0.1\n  upstream_dns: '!'":                                                                            "line 3: setting upstream_dns: ",
		"domains:\n- name: maas\n- {name: a b, default: true}":                                                                               "line 3: domain a b: ",
		"{\n\"zones\": [\n{\"name\": \"a\"},\n\n\t{\"name\": \"a\"}]}":                                                                       "line 5: zone a: is in the document twice",
		"{\"subnets\": [\n{\"vlan\": \"fabric-1/0\",\n \"cidr\": \"x\"}]}":                                                                   "line 3: subnet x: cidr: ",
		"{\"zones\": [\n{\"name\": 7}]}":                                                                                                     "line 2: ",
		"{\"zones\": [\n{\"name\": \"a\"\n]}":                                                                                                "line 3: ",
	} {
		kind := "application/yaml"
		if doc[0] == '{' {
			kind = "application/json"
		}
		if w := s.call("POST", "/api/v1/apply", doc, "Content-Type", kind); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", doc, w.Code, w.Body, want)
		}
	}
}

// The description of the API has what documents say of power.
func TestPowerIsDescribed(t *testing.T) {
	s := newSite(t)
	const want = `"SitedocPower":{"properties":{"parameters":{"additionalProperties":{"type":"string"},"type":"object"},"type":{"type":"string"}}`
	if w := s.call("GET", "/api/v1/openapi.json", ""); !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d: there is no %s", w.Code, want)
	}
}

// A document may be as large as a site; warnings are part of the answer.
func TestApplyLargeDocuments(t *testing.T) {
	s := newSite(t)
	apply := func(body string) (int, string) {
		r := httptest.NewRequest("POST", "/api/v1/apply", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.api.Local().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	vlan := `{"vlans": [{"fabric": "fabric-1", "vid": 0, "name": "untagged", "dhcp": true, "primary_rack": "far"}], "zones": [{"name": "z", "description": "`
	if code, body := apply(vlan + "x" + strings.Repeat(" ", 3<<20) + `"}]}`); code != 200 || !strings.Contains(body, `"warnings":["vlan fabric-1/0: rack far is not enrolled yet`) {
		t.Errorf("3 MiB: %d %.300s", code, body)
	}
	if code, _ := apply(vlan + strings.Repeat(" ", 65<<20) + `"}]}`); code != 413 {
		t.Errorf("65 MiB: %d", code)
	}
}
