package redfish_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/redfish"
)

type object = map[string]any

const (
	sessionsAt = "/redfish/v1/SessionService/Sessions"
	systemAt   = "/redfish/v1/Systems/1"
	resetAt    = systemAt + "/Actions/ComputerSystem.Reset"
)

// service is a Redfish service over plain HTTP whose answers a test replaces. The zero service is a
// plain one.
type service struct {
	basicOnly bool                        // takes no token
	max       int                         // sessions; 0 = any number
	system    object                      // properties of the system that differ
	replaces  map[string]http.HandlerFunc // by METHOD PATH, without a slash at the end
	prefix    string                      // of all paths, as behind a proxy

	mu       sync.Mutex // guards following
	on       bool
	boot     object
	sessions map[string]bool
	asked    []string // METHOD PATH
	matches  []string // If-Match of each change
}

// start serves until the test ends.
func (s *service) start(t *testing.T) power.Target {
	t.Helper()
	s.sessions, s.boot = map[string]bool{}, object{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return power.Target{Kind: redfish.Name, Name: "m1", Params: power.Params{
		"power_address": srv.URL + s.prefix, "power_user": "admin", "power_pass": "secret",
	}}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, s.prefix), "/")
	key := r.Method + " " + path
	s.mu.Lock()
	s.asked = append(s.asked, key)
	if r.Method != http.MethodGet && path != sessionsAt {
		s.matches = append(s.matches, r.Header.Get("If-Match"))
	}
	user, password, basic := r.BasicAuth()
	allowed := basic && user == "admin" && password == "secret" || !s.basicOnly && s.sessions[r.Header.Get("X-Auth-Token")]
	s.mu.Unlock()
	switch handle := s.replaces[key]; {
	case path != "/redfish/v1" && key != "POST "+sessionsAt && !allowed:
		fail(w, http.StatusUnauthorized)
	case handle != nil:
		handle(w, r)
	case key == "GET /redfish/v1":
		send(w, object{"Systems": link("/redfish/v1/Systems"), "Links": object{"Sessions": link(sessionsAt)}})
	case key == "POST "+sessionsAt:
		s.login(w, r)
	case strings.HasPrefix(key, "DELETE "+sessionsAt+"/"):
		s.logout(w, strings.TrimPrefix(path, sessionsAt+"/"))
	case key == "GET /redfish/v1/Systems":
		send(w, object{"Members": []object{link(systemAt)}})
	case key == "GET "+systemAt:
		send(w, s.state())
	case key == "PATCH "+systemAt:
		s.patch(w, r)
	case key == "POST "+resetAt:
		s.reset(w, r)
	default:
		fail(w, http.StatusNotFound)
	}
}

// login puts the session's URI where the standard wants it, and the body's.
func (s *service) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ UserName, Password string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := "s" + string(rune('a'+len(s.asked)%26))
	switch {
	case s.basicOnly, in.UserName != "admin", in.Password != "secret":
		fail(w, http.StatusUnauthorized)
	case s.max > 0 && len(s.sessions) >= s.max:
		fail(w, http.StatusServiceUnavailable)
	default:
		s.sessions[id] = true
		w.Header().Set("X-Auth-Token", id)
		w.Header().Set("Location", sessionsAt+"/"+id)
		w.WriteHeader(http.StatusCreated)
		send(w, object{"@odata.id": sessionsAt + "/" + id, "Id": id})
	}
}

func (s *service) logout(w http.ResponseWriter, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sessions[id] {
		fail(w, http.StatusNotFound)
		return
	}
	delete(s.sessions, id)
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) state() object {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := object{"Id": "1", "PowerState": map[bool]string{true: "On", false: "Off"}[s.on], "Boot": maps.Clone(s.boot),
		"Actions": object{"#ComputerSystem.Reset": object{"target": resetAt}}}
	maps.Copy(out, s.system)
	return out
}

func (s *service) patch(w http.ResponseWriter, r *http.Request) {
	var in struct{ Boot object }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.boot, in.Boot)
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) reset(w http.ResponseWriter, r *http.Request) {
	var in struct{ ResetType string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = in.ResetType != "ForceOff"
	w.WriteHeader(http.StatusNoContent)
}

// requests counts the requests whose METHOD PATH begins so.
func (s *service) requests(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.asked {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	return n
}

func (s *service) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

func link(uri string) object { return object{"@odata.id": uri} }

func send(w http.ResponseWriter, v any) {
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code int) {
	w.WriteHeader(code)
	send(w, object{"error": object{"message": "no", "@Message.ExtendedInfo": []object{{"Message": "the service's own words"}}}})
}

func failing(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fail(w, code) }
}

func controller(t *testing.T) *power.Controller {
	t.Helper()
	c, err := power.NewController(power.Config{
		Registry: power.NewRegistry(redfish.Kind()), Poll: time.Millisecond, Spacing: -1, Timeout: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
