package console_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/console"
	"github.com/gomaas/maas/cmd/maas/internal/cli"
)

// sample are values for the fields of all actions.
var sample = map[string]string{
	"id": "1", "ip": "192.0.2.7", "network": "192.0.2.0/24", "mac": "02:00:00:00:00:01", "kind": "device", "action": "on", "mac_addresses": "02:00:00:00:00:01", "mac_address": "02:00:00:00:00:01",
	"reason": "noisy", "rule": "02:00:00", "start_ip": "192.0.2.10", "end_ip": "192.0.2.20", "type": "dynamic",
}

var (
	fieldName = regexp.MustCompile(`\{([a-z_]+)\}`)
	footer    = regexp.MustCompile(`(?s)<footer class="same">.*?</footer>`)
	codeText  = regexp.MustCompile(`<dt>(Command|API)</dt><dd><code>([^<]*)</code>`)
)

// parses reports a line that the command's parser does not take.
func parses(t *testing.T, where, line string) {
	t.Helper()
	for _, one := range strings.Split(line, " && ") {
		words := strings.Fields(strings.ReplaceAll(one, "'", ""))
		if len(words) < 2 || words[0] != "maas" {
			t.Errorf("%s: %q is no command", where, one)
		} else if err := cli.Parse(words[1:])[0]; err != nil {
			t.Errorf("%s: %q: %v", where, one, err)
		}
	}
}

// The command of each action is one that the program has.
func TestCommandsOfActions(t *testing.T) {
	for _, a := range console.Actions() {
		parses(t, a.Name, fieldName.ReplaceAllStringFunc(a.Command, func(field string) string {
			if v := sample[strings.Trim(field, "{}")]; v != "" {
				return v
			}
			return "x"
		}))
	}
}

// footOf checks the foot of a page: it has a command that the program has, and a call to the API.
func footOf(t *testing.T, where, page string) {
	t.Helper()
	found := map[string]string{}
	for _, m := range codeText.FindAllStringSubmatch(footer.FindString(page), -1) {
		found[m[1]] = html.UnescapeString(m[2])
	}
	if found["Command"] == "" || found["API"] == "" && !strings.HasPrefix(where, "/docs") && where != "/doctor/host" { // files and host of the program
		t.Errorf("%s: the foot has %q", where, found)
		return
	}
	parses(t, where, found["Command"])
}

// Each page, also one that asks, refuses, shows two versions or a result, names the command and the
// call that do the same.
func TestEveryPageNamesCommandAndCall(t *testing.T) {
	s := newSite(t, nil)
	m := s.machine(t, "web", "02:00:00:00:00:01")
	ada := s.as(t, "ada")
	for _, path := range pagesOf(s, t) {
		if !strings.HasSuffix(path, "/power") { // a part of a page
			footOf(t, path, ada.get(path))
		}
	}
	for where, x := range map[string]struct {
		path string
		form url.Values
		code int
	}{
		"refused": {"/do/reserve", url.Values{"ip": {"203.0.113.1"}}, http.StatusNotFound},
		"stale":   {"/do/machine-update", url.Values{"id": {m.SystemID}, "version": {"99"}, "hostname": {"web"}, "description": {"x"}, "zone": {"default"}, "pool": {"default"}}, http.StatusPreconditionFailed},
		"asks":    {"/machines/bulk", url.Values{"action": {"power-on"}, "id": {m.SystemID}}, http.StatusOK},
		"result":  {"/machines/bulk", url.Values{"action": {"lock"}, "id": {m.SystemID}, "sure": {"yes"}}, http.StatusOK},
	} {
		w := ada.do("POST", x.path, x.form)
		if w.Code != x.code && where != "refused" || w.Code < 400 && where == "refused" {
			t.Errorf("%s: %d %s", where, w.Code, w.Body)
		}
		footOf(t, where, w.Body.String())
	}
}

// A token is made on the host alone, for the networks that were chosen, and shows once.
func TestTokenShowsOnce(t *testing.T) {
	var sent url.Values
	s := newSite(t, func(cfg *console.Config) {
		cfg.Trusted = true
		cfg.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				_ = r.ParseForm()
				sent = r.PostForm
				_, _ = w.Write([]byte(`{"id": 1, "token": "the-token", "zone": "default"}`))
				return
			}
			_, _ = w.Write([]byte(`[{"id": 1, "zone": "default"}]`))
		})
	})
	do := func(method, path string, form url.Values) string {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.page.ServeHTTP(w, r)
		return w.Body.String()
	}
	page := do("GET", "/racks", nil)
	if !strings.Contains(page, `name="network" value="192.0.2.0/24"`) {
		t.Errorf("the form offers no network: %s", page)
	}
	token := html.UnescapeString(tokenField.FindStringSubmatch(page)[1])
	made := do("POST", "/racks/tokens", url.Values{"csrf": {token}, "network": {"192.0.2.0/24"}, "networks": {"198.51.100.0/24, 203.0.113.0/24"}, "ttl": {"24h"}})
	footOf(t, "token", made)
	if !strings.Contains(made, "the-token") || len(sent["network"]) != 3 || sent.Get("ttl") != "24h" {
		t.Errorf("sent %v, shown: %s", sent, made)
	}
	if strings.Contains(do("GET", "/racks", nil), "the-token") {
		t.Error("the token shows again")
	}
}
