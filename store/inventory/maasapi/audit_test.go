package maasapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

func (s *site) events(t *testing.T, query string) []maasapi.Event {
	t.Helper()
	code, body := s.do("GET", base+"events/?op=query&"+query, nil)
	var out maasapi.Events
	if err := json.Unmarshal([]byte(body), &out); err != nil || code != http.StatusOK {
		t.Fatal(code, body)
	}
	return out.Events
}

func TestAudit(t *testing.T) {
	s := newSite(t)
	anna := s.user(t, "anna", "admin")
	for _, step := range []struct {
		do   string
		form url.Values
		want string // "" = nothing changes, so nothing is told
	}{
		{"POST machines/", node1, "POST machines/ (architecture, hostname, mac_addresses, power_parameters_power_address, power_parameters_power_pass, power_parameters_power_user, power_type): create machine 1 node1"},
		{"POST subnets/", url.Values{"cidr": {"192.0.2.0/24"}}, "POST subnets/ (cidr): create subnet 1 192.0.2.0/24"},
		{"PUT subnets/1/", url.Values{"gateway_ip": {"198.51.100.1"}}, ""},
		{"PUT subnets/1/", url.Values{"name": {"lab"}}, "PUT subnets/1/ (name): update subnet 1 192.0.2.0/24"},
		{"POST machines/node1/?op=power_on", nil, "power on node1.maas"},
		{"PUT users/anna/", url.Values{"password": {"another horse"}, "keep_keys": {"true"}}, "PUT users/anna/ (keep_keys, password): update user 2 anna"},
		{"DELETE machines/node1/", nil, "DELETE machines/node1/: delete machine 1"},
	} {
		before := len(s.events(t, "level=AUDIT"))
		method, path, _ := strings.Cut(step.do, " ")
		code, body := anna(method, base+path, step.form)
		told := s.events(t, "level=AUDIT")[before:]
		switch {
		case step.want == "" && len(told) > 0:
			t.Errorf("%s: %d %s: told %+v", step.do, code, body, told)
		case step.want != "" && (len(told) == 0 || !strings.HasPrefix(told[0].Description, step.want) || told[0].Username != "anna" || told[0].Level != "AUDIT"):
			t.Errorf("%s: %d %s: told %+v", step.do, code, body, told)
		}
	}
	all, err := json.Marshal(s.events(t, "level=AUDIT&limit=1000"))
	if err != nil || strings.Contains(string(all), "hunter2") || strings.Contains(string(all), "horse") {
		t.Errorf("secrets were told: %s %v", all, err)
	}
	if len(s.events(t, "")) != 0 {
		t.Error("audit events are in the plain log")
	}
	if n := len(s.events(t, "level=AUDIT&owner=nobody")); n != 0 {
		t.Errorf("%d events of nobody", n)
	}
	first := s.events(t, "level=AUDIT&limit=2&after=1")
	if len(first) != 2 || first[0].ID != 2 {
		t.Errorf("after the first: %+v", first)
	}
	for _, query := range []string{"level=LOUD", "limit=0", "before=x", "mac_address=x"} {
		if code, body := s.do("GET", base+"events/?op=query&"+query, nil); code != 400 {
			t.Errorf("%s: %d %s", query, code, body)
		}
	}
}
