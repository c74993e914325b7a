package webhook_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a web service in front of a chassis, with URIs that end in a slash.
func service(t *testing.T, chassis *powersim.Chassis) power.Params {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /7/on/{$}", func(http.ResponseWriter, *http.Request) { chassis.SetPower(true) })
	mux.HandleFunc("POST /7/off/{$}", func(http.ResponseWriter, *http.Request) { chassis.SetPower(false) })
	mux.HandleFunc("GET /7/state", func(w http.ResponseWriter, r *http.Request) {
		state := "stopped"
		if chassis.On() {
			state = "running"
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"status": state, "machine": r.Header.Get("system_id")})
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return power.Params{
		"power_on_uri": srv.URL + "/7/on", "power_off_uri": srv.URL + "/7/off", "power_query_uri": srv.URL + "/7/state",
		"power_token": "token", "system_id": "abc123",
	}
}

func TestWebhook(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		return powertest.Harness{
			Kind: webhook.Kind(), Chassis: chassis, Target: power.Target{Kind: webhook.Name, Params: service(t, chassis)},
			PasswordParam: "power_token", AddressParams: []string{"power_on_uri", "power_off_uri", "power_query_uri"}, Unreachable: "http://127.0.0.1:1/",
		}
	})
}

func query(t *testing.T, p power.Params) (power.State, error) {
	t.Helper()
	c := powertest.Controller(t, webhook.Kind())
	return c.Query(t.Context(), power.Target{Kind: webhook.Name, Params: p})
}

func TestAnswerOfNeitherKindIsUnknown(t *testing.T) {
	p := service(t, &powersim.Chassis{})
	p["power_off_regex"] = "^nothing$"
	if state, err := query(t, p); err != nil || state != power.Unknown {
		t.Errorf("%s, %v; want unknown", state, err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for name, change := range map[string]string{"power_on_uri": "lab.example/on", "power_off_regex": "(", "power_query_uri": "ftp://lab.example/"} {
		p := service(t, &powersim.Chassis{})
		p[name] = change
		if _, err := query(t, p); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Neither a redirection to another host nor an error shows the token.
func TestTokenStaysHome(t *testing.T) {
	var got http.Header
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer thief.Close()
	srv := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	p := service(t, &powersim.Chassis{})
	p["power_query_uri"] = srv.URL + "/?key=hunter2"
	if _, err := query(t, p); err == nil || got != nil {
		t.Errorf("err %v, the other host saw %v", err, got)
	}
	p["power_query_uri"] = "http://127.0.0.1:1/?key=hunter2"
	if _, err := query(t, p); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "token") {
		t.Errorf("the error shows a secret: %v", err)
	}
}
