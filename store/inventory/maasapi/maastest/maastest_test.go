package maastest_test

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/maasapi/maastest"
)

// ask sends a request of the administrator and returns its answer.
func ask(t *testing.T, m *maastest.MAAS, method, path string, form url.Values) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, m.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := m.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOneLineIsAMAAS(t *testing.T) {
	address, key := maastest.New(t)
	if u, err := url.Parse(address); err != nil || !netip.MustParseAddr(u.Hostname()).IsLoopback() || u.Path != "/MAAS" {
		t.Errorf("URL %s", address)
	}
	if strings.Count(key, ":") != 2 {
		t.Errorf("%q is not consumer:token:secret", key)
	}
	resp, err := http.Get(address + "/api/2.0/subnets/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %s", resp.Status)
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]maastest.Config{
		"zero": {}, "TLS": {TLS: true}, "base": {Base: "/maas/site1"}, "base with a slash": {Base: "/maas/"}, "network": {Network: netip.MustParsePrefix("192.0.2.1/24")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := maastest.Start(t, cfg)
			if strings.HasPrefix(m.URL, "https:") != cfg.TLS {
				t.Errorf("URL %s", m.URL)
			}
			code, body := ask(t, m, http.MethodGet, "/api/2.0/subnets/", nil)
			if code != http.StatusOK || strings.Contains(body, "192.0.2.0/24") != cfg.Network.IsValid() {
				t.Errorf("%d %s", code, body)
			}
		})
	}
}

// A machine is switched in memory, whatever its power type.
func TestMachinesAreSwitched(t *testing.T) {
	m := maastest.Start(t, maastest.Config{})
	form := url.Values{"hostname": {"node1"}, "architecture": {"amd64/generic"}, "mac_addresses": {"02:00:00:00:00:01"}, "power_type": {"ipmi"},
		"power_parameters_power_address": {"192.0.2.9"}, "power_parameters_power_user": {"u"}, "power_parameters_power_pass": {"p"}}
	code, body := ask(t, m, http.MethodPost, "/api/2.0/machines/", form)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	machines, err := m.Inventory.Machines.List(t.Context())
	if err != nil || len(machines) != 1 {
		t.Fatalf("%v %v", machines, err)
	}
	at := "/api/2.0/machines/" + machines[0].SystemID + "/?op="
	for _, step := range []struct{ op, want string }{{"power_on", "on"}, {"power_cycle", "on"}, {"power_off", "off"}} {
		code, body := ask(t, m, http.MethodPost, at+step.op, nil)
		if code != http.StatusOK || !strings.Contains(body, `"power_state":"`+step.want+`"`) {
			t.Errorf("%s: %d %s", step.op, code, body)
		}
	}
}

func TestUsersHaveRoles(t *testing.T) {
	m := maastest.Start(t, maastest.Config{})
	for _, role := range []string{"operator", "read-only", "admin"} {
		if key := m.CreateUser(t, "user-"+role, role); strings.Count(key, ":") != 2 {
			t.Errorf("%s: key %q", role, key)
		}
	}
	u, err := m.Inventory.Users.Find(t.Context(), "user-operator")
	if err != nil || u.Name != "user-operator" {
		t.Errorf("%+v, %v", u, err)
	}
}

// Direct switches a machine through its BMC from this process.
func TestDirect(t *testing.T) {
	var boots atomic.Value
	chassis := &powersim.Chassis{OnPower: func(_ bool, from power.BootDevice) { boots.Store(from) }}
	bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind(), power.Manual()), Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var direct maasapi.Power
	m := maastest.Start(t, maastest.Config{Power: func(inv *inventory.Inventory) maasapi.Power {
		direct = maasapi.Direct(inv, c)
		return direct
	}})
	settings, err := inventory.NewPower(ipmi.Kind(), bmc.Target().Params)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	machine, err := m.Inventory.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Status: inventory.StatusReady, Power: settings})
	if err != nil {
		t.Fatal(err)
	}
	at := "/api/2.0/machines/" + machine.SystemID + "/?op="
	if code, body := ask(t, m, http.MethodPost, at+"power_on", nil); code != http.StatusOK || !chassis.On() {
		t.Errorf("on: %v, %d %s", chassis.On(), code, body)
	}
	if boots.Load() != power.Network {
		t.Errorf("boots from %q", boots.Load())
	}
	result, err := direct.Power(ctx, machine, power.ActionQuery, maasapi.PowerOptions{Transcript: true})
	if err != nil || result.State != power.On || result.Transcript == "" || strings.Contains(result.Transcript, "secret") {
		t.Errorf("%+v, %v", result, err)
	}
	bare, err := m.Inventory.Machines.Create(ctx, inventory.Machine{Hostname: "node2", Status: inventory.StatusReady})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Power(ctx, bare, power.ActionOn, maasapi.PowerOptions{}); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "set power_type") {
		t.Errorf("without a power type: %v", err)
	}
}

// A base that cannot be ends the test with what to write.
func TestWrongConfigsEndTheTest(t *testing.T) {
	f := &fatal{TB: t}
	func() {
		defer func() { _ = recover() }()
		maastest.Start(f, maastest.Config{Base: "maas"})
	}()
	if !strings.Contains(f.text.String(), `Config.Base is "maas"; write a path`) {
		t.Errorf("%q", f.text.String())
	}
}

// fatal notes what would end a test.
type fatal struct {
	testing.TB
	text bytes.Buffer
}

func (f *fatal) Fatalf(format string, args ...any) {
	for _, a := range args {
		io.WriteString(&f.text, a.(error).Error())
	}
	panic(format)
}
