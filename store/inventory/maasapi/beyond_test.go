package maasapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// call sends a request with headers over the local side.
func (s *site) call(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.api.Local().ServeHTTP(w, r)
	return w
}

func TestApplyAndExport(t *testing.T) {
	s := newSite(t)
	const doc = "fabrics: [{name: leaf}]\nsubnets: [{cidr: 192.0.2.0/24, vlan: leaf/0}]\n"
	for _, c := range []struct {
		query, kind, body string
		code              int
		want              string
	}{
		{"?dry_run=true", "application/yaml", doc, 200, `"op":"create","kind":"fabric","name":"leaf"`},
		{"", "application/yaml", doc, 200, `"kind":"subnet","name":"192.0.2.0/24"`},
		{"", "application/yaml", doc, 200, `"changes":[]`},
		{"", "application/json", `{"subnets":[{"cidr":"192.0.2.0/24","vlan":"leaf/0","name":"lab"}]}`, 200, `"op":"update"`},
		{"", "application/json", `{"subnets":[],"sub":1}`, 400, "unknown field"},
		{"", "application/yaml", "subnets: [{cidr: 10.0.0.0/24, vlan: x/0}]", 400, "subnet 10.0.0.0/24: vlan"},
		{"", "application/yaml", "a: &a [x]\nb: *a", 400, "anchors"},
		{"", "application/yaml", strings.Repeat("[", 5000), 400, "nested"},
		{"?prune=maybe", "application/yaml", doc, 400, "prune"},
	} {
		if w := s.call("POST", "/api/v1/apply"+c.query, c.body, "Content-Type", c.kind); w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d with %s", c.body, w.Code, w.Body, c.code, c.want)
		}
	}
	for i, text := range []string{"yes", "1e3", "a: b # c", "cr\rx", "two\nlines", " lead", "\u2028"} {
		s.call("POST", base+"zones/", url.Values{"name": {fmt.Sprint("odd", i)}, "description": {text}}.Encode())
	}
	exported := s.call("GET", "/api/v1/export", "")
	if w := s.call("POST", "/api/v1/apply?prune=true", exported.Body.String(), "Content-Type", exported.Header().Get("Content-Type")); !strings.Contains(w.Body.String(), `"changes":[]`) {
		t.Errorf("applying the export: %d %s", w.Code, w.Body)
	}
}

func TestIdempotency(t *testing.T) {
	s := newSite(t)
	first := s.call("POST", base+"spaces/", "name=dmz", "Idempotency-Key", "k1")
	again := s.call("POST", base+"spaces/", "name=dmz", "Idempotency-Key", "k1")
	if first.Code != 200 || again.Code != 200 || first.Body.String() != again.Body.String() || again.Header().Get("Idempotent-Replayed") == "" {
		t.Errorf("%d %s, then %d %s", first.Code, first.Body, again.Code, again.Body)
	}
	if w := s.call("POST", base+"spaces/", "name=other", "Idempotency-Key", "k1"); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("the key for another request: %d %s", w.Code, w.Body)
	}
	for range 2 { // refusals are kept, too
		if w := s.call("POST", base+"spaces/", "name=dmz", "Idempotency-Key", "k2"); w.Code != 400 {
			t.Errorf("twice: %d %s", w.Code, w.Body)
		}
	}
	if w := s.call("POST", base+"account/?op=create_authorisation_token", "name=x", "Idempotency-Key", "k3"); w.Code != 400 {
		t.Errorf("a key for a secret: %d %s", w.Code, w.Body)
	}
}

func TestVersions(t *testing.T) {
	s := newSite(t)
	s.call("POST", base+"spaces/", "name=dmz")
	s.create(t, node1)
	for _, path := range []string{"spaces/1/", "machines/node1/"} {
		got := s.call("GET", base+path, "")
		tag := got.Header().Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no version: %v", path, got.Header())
		}
		if w := s.call("GET", base+path, "", "If-None-Match", tag); w.Code != http.StatusNotModified {
			t.Errorf("%s again: %d", path, w.Code)
		}
		if w := s.call("PUT", base+path, "description=x", "If-Match", `"999"`); w.Code != http.StatusPreconditionFailed {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		w := s.call("PUT", base+path, "description=x", "If-Match", tag)
		if w.Code != 200 || w.Header().Get("ETag") == tag {
			t.Errorf("%s: %d %s %s", path, w.Code, w.Header(), w.Body)
		}
		if w := s.call("DELETE", base+path, "", "If-Match", tag); w.Code != http.StatusPreconditionFailed {
			t.Errorf("delete %s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestPages(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		s.call("POST", base+"spaces/", fmt.Sprint("name=s", i))
	}
	var all []maasapi.Account
	next := base + "spaces/?limit=2"
	for range 4 {
		w := s.call("GET", next, "")
		var page []maasapi.Account
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page) > 2 || w.Header().Get("X-Total-Count") != "5" {
			t.Fatal(w.Code, w.Body, w.Header())
		}
		all = append(all, page...)
		link := regexp.MustCompile(`<([^>]*)>; rel="next"`).FindStringSubmatch(strings.Join(w.Header().Values("Link"), ", "))
		if link == nil {
			break
		}
		next = link[1]
	}
	if len(all) != 5 {
		t.Errorf("%d in all pages", len(all))
	}
	if w := s.call("GET", base+"spaces/?limit=0", ""); w.Code != 400 {
		t.Errorf("limit=0: %d", w.Code)
	}
	if w := s.call("GET", base+"spaces/?offset=9&limit=9223372036854775807", ""); w.Code != 200 || w.Body.String() != "[]" {
		t.Errorf("beyond the end: %d %s", w.Code, w.Body)
	}
}

func TestStream(t *testing.T) {
	s := newSite(t)
	srv := httptest.NewServer(s.api.Local())
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	follow := func(from string) *bufio.Scanner {
		r, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/v1/stream", nil)
		r.Header.Set("Last-Event-ID", from)
		resp, err := srv.Client().Do(r)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return bufio.NewScanner(resp.Body)
	}
	// await reads to a line that holds a text and returns the last ID before it.
	await := func(lines *bufio.Scanner, text string) (id string) {
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = rest
			}
			if strings.Contains(lines.Text(), text) {
				return id
			}
		}
		t.Fatalf("%q did not come: %v", text, lines.Err())
		return ""
	}
	lines := follow("")
	await(lines, ": from ")
	s.call("POST", base+"spaces/", "name=dmz")
	place := await(lines, `"kind":"space"`)
	if err := s.inv.Events.Add(t.Context(), inventory.Event{Kind: "boot", Description: "kernel loaded"}); err != nil {
		t.Fatal(err)
	}
	await(lines, "kernel loaded")
	resumed := follow(place)
	await(resumed, "POST spaces/") // the audit event was after that place
	await(resumed, "kernel loaded")
	mac, _ := net.ParseMAC("02:00:00:00:00:77")
	for _, e := range []pxe.Event{{Stage: pxe.StageLoader, Path: "first.efi"}, {Stage: pxe.StageKernel, Path: "vmlinuz"}} {
		e.MAC, e.Time = mac, time.Now()
		if err := s.inv.Boots.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	place = await(lines, "vmlinuz")
	await(follow(strings.Replace(place, "-2-", "-0-", 1)), `"path":"first.efi"`)
	await(follow(strings.Join(strings.Split(place, "-")[:2], "-")), ": from "+place) // the form of an older release
	for _, bad := range []string{"x", "1", "1-x", "1-2-x", "-1-2-3", "1-2-3-x", "1-2-3-4-5"} {
		if w := s.call("GET", "/api/v1/stream", "", "Last-Event-ID", bad); w.Code != 400 {
			t.Errorf("%q: %d", bad, w.Code)
		}
	}
}

func TestOpenAPIIsWhatIsServed(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	w := s.call("GET", "/api/v1/openapi.json", "")
	var doc struct {
		OpenAPI    string                    `json:"openapi"`
		Paths      map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.0.3" || len(doc.Paths) < 60 {
		t.Fatal(w.Code, err, len(doc.Paths))
	}
	for _, ref := range regexp.MustCompile(`#/components/schemas/([A-Za-z0-9]+)`).FindAllStringSubmatch(w.Body.String(), -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			id := op.(map[string]any)["operationId"].(string)
			if ids[id] {
				t.Errorf("operation %s is there twice", id)
			}
			ids[id] = true
			real := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(path, "1")
			if strings.HasSuffix(path, "/stream") || strings.ToUpper(method) != "GET" {
				continue
			}
			w := s.call("GET", real, "")
			if w.Code == 405 || w.Code == 501 && strings.Contains(w.Body.String(), "GET "+real) {
				t.Errorf("%s %s is described and answers %d %s", method, path, w.Code, w.Body)
			}
		}
	}
	// A machine has the fields that are described.
	machine := s.call("GET", base+"machines/node1/", "")
	var fields map[string]any
	if err := json.Unmarshal(machine.Body.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	described := doc.Components.Schemas["Machine"].(map[string]any)["properties"].(map[string]any)
	for name := range fields {
		if described[name] == nil {
			t.Errorf("the field %s of machines is not described", name)
		}
	}
}

// No document makes the region fail, and one that is refused changes nothing.
func FuzzApply(f *testing.F) {
	f.Add("fabrics: [{name: leaf}]\nvlans: [{fabric: leaf, vid: 5}]\nsubnets: [{cidr: 192.0.2.0/24, vlan: leaf/5}]", true)
	f.Add("machines: [{hostname: n1, interfaces: [{name: eth0, mac_address: '02:00:00:00:00:01', links: [{mode: auto, subnet: 192.0.2.0/24}]}]}]", false)
	f.Add("zones: []\nrecords: [{domain: maas, name: www, type: A, data: 192.0.2.1}]", true)
	f.Add("machines: [{hostname: n1, power: {type: ipmi, parameters: {power_address: 192.0.2.9, power_pass: 0123, power_driver: LAN}}}]", false)
	s := newSite(f)
	f.Fuzz(func(t *testing.T, text string, prune bool) {
		if len(text) > 4096 {
			return
		}
		before, err := s.inv.Revision(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		w := s.call("POST", fmt.Sprint("/api/v1/apply?prune=", prune), text, "Content-Type", "application/yaml")
		after, err := s.inv.Revision(context.Background())
		if w.Code == http.StatusInternalServerError || err != nil || w.Code >= 400 && after != before {
			t.Errorf("%q: %d %s, revision %d to %d, %v", text, w.Code, w.Body, before, after, err)
		}
	})
}
