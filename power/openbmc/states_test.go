package openbmc_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/openbmc"
)

// fixed is a service whose attributes are what a test sets, by the last element of their paths.
type fixed struct {
	mu     sync.Mutex
	values map[string]any
	puts   []string
	fail   http.HandlerFunc // in the place of all answers after the login
}

func (f *fixed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case name == "login" || name == "logout":
		fmt.Fprint(w, `{"data":"","message":"200 OK","status":"ok"}`)
	case f.fail != nil:
		f.fail(w, r)
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		f.puts = append(f.puts, name+" "+string(body))
		fmt.Fprint(w, `{"data":null,"status":"ok"}`)
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"data": f.values[name], "status": "ok"})
	}
}

// driver opens the kind's driver for the service.
func driver(t *testing.T, f *fixed) power.Driver {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	kind := openbmc.Kind()
	p, err := kind.Check(power.Params{"power_address": srv.URL, "power_user": "root", "power_pass": "0penBmc"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := kind.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.(power.Closer).Close(t.Context()); err != nil && f.fail == nil {
			t.Logf("close: %v", err)
		}
	})
	return d
}

const (
	host    = "xyz.openbmc_project.State.Host.HostState."
	chassis = "xyz.openbmc_project.State.Chassis.PowerState."
)

// The host's state decides, and the chassis' where that says neither on nor off.
func TestStates(t *testing.T) {
	for _, tt := range []struct {
		host, chassis string
		want          power.State
	}{
		{"Running", "", power.On}, {"DiagnosticMode", "", power.On}, {"Quiesced", "", power.On},
		{"Off", "On", power.Off},
		{"TransitioningToRunning", "On", power.Transitioning}, {"TransitioningToOff", "On", power.Transitioning},
		{"Standby", "On", power.On}, {"Standby", "Off", power.Off}, {"Standby", "TransitioningToOn", power.Transitioning},
		{"Standby", "TransitioningToOff", power.Transitioning}, {"Standby", "Confused", power.Unknown},
	} {
		d := driver(t, &fixed{values: map[string]any{"CurrentHostState": host + tt.host, "CurrentPowerState": chassis + tt.chassis}})
		if got, err := d.PowerState(t.Context()); got != tt.want || err != nil {
			t.Errorf("host %s, chassis %s: %s, %v; want %s", tt.host, tt.chassis, got, err, tt.want)
		}
	}
}

func TestBootDevices(t *testing.T) {
	const source, mode = "xyz.openbmc_project.Control.Boot.Source.Sources.", "xyz.openbmc_project.Control.Boot.Mode.Modes."
	for _, tt := range []struct {
		source, mode string
		enabled      bool
		want         power.BootDevice
	}{
		{"Network", "Regular", false, power.Default}, {"Network", "Regular", true, power.Network}, {"Disk", "Regular", true, power.Disk},
		{"Default", "Setup", true, power.Setup}, {"ExternalMedia", "Regular", true, power.CD}, {"RemovableMedia", "Regular", true, "RemovableMedia"},
	} {
		d := driver(t, &fixed{values: map[string]any{"Enabled": tt.enabled, "BootSource": source + tt.source, "BootMode": mode + tt.mode}})
		if got, err := d.(power.Booter).BootOnce(t.Context()); got != tt.want || err != nil {
			t.Errorf("%+v: %s, %v", tt, got, err)
		}
	}
	f := &fixed{}
	b := driver(t, f).(power.Booter)
	if err := b.SetBootOnce(t.Context(), power.Setup); err != nil {
		t.Fatal(err)
	}
	want := []string{`BootSource {"data":"` + source + `Default"}`, `BootMode {"data":"` + mode + `Setup"}`, `Enabled {"data":true}`}
	if strings.Join(f.puts, "\n") != strings.Join(want, "\n") {
		t.Errorf("put %q, want %q", f.puts, want)
	}
	if err := b.SetBootOnce(t.Context(), power.NetworkHTTP); power.ClassOf(err) != power.Unsupported {
		t.Errorf("HTTP boot: %v", err)
	}
}

func TestRequests(t *testing.T) {
	f := &fixed{}
	d := driver(t, f)
	for _, do := range []func() error{
		func() error { return d.SetPower(t.Context(), power.On) }, func() error { return d.SetPower(t.Context(), power.Off) },
		func() error { return d.(power.SoftOffer).SoftOff(t.Context()) }, func() error { return d.(power.Cycler).Cycle(t.Context()) },
	} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	want := []string{"RequestedHostTransition Host.Transition.On", "RequestedPowerTransition Chassis.Transition.Off",
		"RequestedHostTransition Host.Transition.Off", "RequestedPowerTransition Chassis.Transition.PowerCycle"}
	for i, put := range f.puts {
		name, value, _ := strings.Cut(want[i], " ")
		if put != name+` {"data":"xyz.openbmc_project.State.`+value+`"}` {
			t.Errorf("put %s, want %s", put, want[i])
		}
	}
}

// What a service answers wrongly is an error of a class, and never a state.
func TestWrongAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		code int
		body string
		want power.Class
		text string
	}{
		"refused":       {401, `{"message":"Unauthorized"}`, power.Auth, "Unauthorized"},
		"absent":        {404, `{"message":"no such object"}`, power.Settings, "no such object"},
		"busy":          {503, `<html>starting</html>`, power.Connection, "HTTP 503"},
		"broken":        {500, ``, power.ActionFailed, "HTTP 500"},
		"a page":        {200, `<html>login</html>`, power.ActionFailed, "not what OpenBMC sends"},
		"another type":  {200, `{"data":7}`, power.ActionFailed, "not what OpenBMC sends"},
		"not supported": {501, `{}`, power.Unsupported, "HTTP 501"},
	} {
		d := driver(t, &fixed{fail: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.code)
			_, _ = io.WriteString(w, tt.body)
		}})
		state, err := d.PowerState(t.Context())
		if state != power.Unknown || power.ClassOf(err) != tt.want || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %s, %v of class %s", name, state, err, power.ClassOf(err))
		}
	}
}
