package bmcserve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/bmcserve"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/redfish"
	"github.com/gomaas/maas/power/webhook"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// run runs a foreign program and returns what it printed.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// ipmitool drives all machines, with both cipher suites of IPMI 2.0 and with IPMI 1.5.
func TestIPMItool(t *testing.T) {
	netlab.Require(t, netlab.Program("ipmitool", "ipmitool"))
	s := serve(t)
	driveIPMItool(t, s)
	s.refuseIPMItool(t)
}

func driveIPMItool(t *testing.T, s *served) {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.ipmi)
	versions := map[string][]string{"suite 17": {"-I", "lanplus", "-C", "17"}, "suite 3": {"-I", "lanplus", "-C", "3"}, "1.5": {"-I", "lan"}}
	for name, version := range versions {
		for machine, chassis := range s.chassis {
			tool := func(args ...string) string {
				t.Helper()
				all := append(append([]string{"-H", host, "-p", port, "-U", "admin@" + machine, "-P", "secret"}, version...), args...)
				out, err := run(t, "ipmitool", all...)
				if err != nil {
					t.Fatalf("%s: %s: ipmitool %q: %v: %s", name, machine, args, err, out)
				}
				return out
			}
			tool("chassis", "power", "on")
			eventually(t, "on", chassis.On)
			if out := tool("chassis", "power", "status"); !contains(out, "is on") {
				t.Errorf("%s: %s: %q", name, machine, out)
			}
			tool("chassis", "power", "cycle")
			tool("chassis", "power", "status")
			tool("chassis", "power", "reset")
			eventually(t, "on after cycle and reset", chassis.On)
			for device, want := range map[string]string{"pxe": "PXE", "disk": "Hard-Drive", "bios": "BIOS Setup", "none": "No override"} {
				tool("chassis", "bootdev", device)
				if out := tool("chassis", "bootparam", "get", "5"); !contains(out, want) {
					t.Errorf("%s: %s: boot device %s: %q", name, machine, device, out)
				}
			}
			tool("chassis", "power", "soft")
			eventually(t, "off", func() bool { return !chassis.On() })
			tool("chassis", "power", "off")
		}
	}
}

// refuseIPMItool has ipmitool try what it may not do.
func (s *served) refuseIPMItool(t *testing.T) {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.ipmi)
	for _, wrong := range [][]string{{"-U", "admin@web-1", "-P", "other"}, {"-U", "nobody", "-P", "secret"}} {
		if out, err := run(t, "ipmitool", append([]string{"-I", "lanplus", "-C", "17", "-H", host, "-p", port, "-R", "1"}, append(wrong, "chassis", "power", "on")...)...); err == nil {
			t.Errorf("%q was let in: %s", wrong, out)
		}
	}
	// A reader may ask and change nothing.
	reader := []string{"-I", "lanplus", "-C", "17", "-L", "USER", "-H", host, "-p", port, "-U", "reader", "-P", "secret-2"}
	if out, err := run(t, "ipmitool", append(reader, "chassis", "power", "status")...); err != nil {
		t.Errorf("a reader: %v: %s", err, out)
	}
	for _, args := range [][]string{{"chassis", "power", "on"}, {"chassis", "bootdev", "pxe"}} {
		if out, _ := run(t, "ipmitool", append(reader, args...)...); !contains(out, "privilege") && !contains(out, "failed") && !contains(out, "Unable") {
			t.Errorf("a reader: %q: %s", args, out)
		}
	}
}

// FreeIPMI drives the listener of one machine.
func TestFreeIPMI(t *testing.T) {
	netlab.Require(t, netlab.Program("/usr/sbin/ipmipower", "freeipmi-tools"))
	driveFreeIPMI(t, serve(t))
}

func driveFreeIPMI(t *testing.T, s *served) {
	t.Helper()
	machine := s.chassis[s.first()]
	for name, driver := range map[string][]string{"2.0, suite 17": {"-D", "LAN_2_0", "-I", "17"}, "2.0, suite 3": {"-D", "LAN_2_0", "-I", "3"}, "1.5": {"-D", "LAN", "-a", "MD5"}} {
		tool := func(program string, args ...string) string {
			t.Helper()
			out, err := run(t, "/usr/sbin/"+program, append(append([]string{"-h", s.own, "-u", "admin", "-p", "secret", "--session-timeout=10000"}, driver...), args...)...)
			if err != nil {
				t.Fatalf("%s: %s %q: %v: %s", name, program, args, err, out)
			}
			return out
		}
		tool("ipmipower", "--on")
		eventually(t, "on", machine.On)
		if out := tool("ipmipower", "--stat"); !contains(out, ": on") {
			t.Errorf("%s: %q", name, out)
		}
		tool("ipmipower", "--cycle")
		eventually(t, "on after a cycle", machine.On)
		tool("ipmi-chassis", "--chassis-control=power-cycle")
		if out := tool("ipmi-chassis", "--get-chassis-status"); !contains(out, "System Power") {
			t.Errorf("%s: %q", name, out)
		}
		eventually(t, "on after a cycle", machine.On)
		tool("ipmi-config", "--category=chassis", "--commit", "--key-pair=Chassis_Boot_Flags:Boot_Device=PXE")
		if out := tool("ipmi-config", "--category=chassis", "--checkout", "--section=Chassis_Boot_Flags"); !contains(out, "PXE") {
			t.Errorf("%s: %q", name, out)
		}
		tool("ipmipower", "--off")
		eventually(t, "off", func() bool { return !machine.On() })
	}
}

// The capabilities, which any client may read, name no anonymous user.
func TestNoAnonymousUser(t *testing.T) {
	s := serve(t)
	conn, err := net.Dial("udp4", s.own)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Get Channel Authentication Capabilities of this channel for administrators (section 22.13).
	request := []byte{6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0x18, 0xc8, 0x81, 0x50, 0x38, 0x0e, 0x04, 0xe5}
	answer := make([]byte, 100)
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(answer)
	const status = 4 + 10 + 6 + 1 + 2 // RMCP, session and message headers, completion code, channel and types
	if err != nil || n <= status || answer[status]&0x3 != 0 || answer[status]&0x4 == 0 {
		t.Errorf("% x, %v", answer[:n], err)
	}
}

// first is the machine of the account with one machine, and of its listener.
func (s *served) first() string {
	for e := range s.chassis {
		req, _ := http.NewRequest(http.MethodGet, "https://"+s.web+"/redfish/v1/Systems/"+e, nil)
		req.SetBasicAuth("one", "secret-1")
		resp, err := insecure().Do(req)
		if err != nil {
			return ""
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return e
		}
	}
	return ""
}

func insecure() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
}

const sushyScript = `
import sys, time, sushy, urllib3
urllib3.disable_warnings()
address, machine, kind = sys.argv[1:]
auth = sushy.auth.BasicAuth("admin", "secret") if kind == "basic" else sushy.auth.SessionOrBasicAuth("admin", "secret")
service = sushy.Sushy("https://" + address + "/redfish/v1", verify=False, auth=auth)
system = service.get_system("/redfish/v1/Systems/" + machine)
def until(state):
    for _ in range(200):
        system.refresh()
        if system.power_state is not None and system.power_state.value == state:
            return
        time.sleep(0.05)
    raise SystemExit("never " + state)
def settled():
    for _ in range(200):
        try:
            return system.reset_system
        except Exception:
            time.sleep(0.05)
for target in ("PXE", "HDD", "BIOS_SETUP", "UEFI_HTTP", "NONE"):
    system.set_system_boot_options(target=getattr(sushy.BootSource, target), enabled=sushy.BootSourceOverrideEnabled.ONCE)
system.set_system_boot_options(target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE)
system.refresh()
print(system.boot.target.value, system.boot.enabled.value)
system.reset_system(sushy.ResetType.ON); until("On")
system.reset_system(sushy.ResetType.FORCE_RESTART); until("On")
system.reset_system(sushy.ResetType.GRACEFUL_RESTART); until("On")
system.reset_system(sushy.ResetType.GRACEFUL_SHUTDOWN); until("Off")
system.reset_system(sushy.ResetType.FORCE_ON); until("On")
system.reset_system(sushy.ResetType.FORCE_OFF); until("Off")
print(len(service.get_system_collection().members_identities))
`

// sushy, the library of Ironic and Metal3, drives all machines, with sessions and without.
func TestSushy(t *testing.T) {
	requireSushy(t)
	driveSushy(t, serve(t))
}

const python = "/usr/bin/python3" // Debian's modules are not in the path of another one

func requireSushy(t *testing.T) {
	t.Helper()
	netlab.Require(t, netlab.Program(python, "python3"), netlab.File("/usr/lib/python3/dist-packages/sushy/__init__.py", "python3-sushy"))
}

// sushyRun runs a script of Python.
func sushyRun(t *testing.T, script string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, append([]string{"-c", script}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func driveSushy(t *testing.T, s *served) {
	t.Helper()
	for machine := range s.chassis {
		for _, auth := range []string{"session", "basic"} {
			out, err := sushyRun(t, sushyScript, s.web, machine, auth)
			if got := strings.Join(strings.Fields(out), " "); err != nil || got != fmt.Sprint("Pxe Once ", len(s.chassis)) {
				t.Errorf("%s, %s: %v; %s", machine, auth, err, out)
			}
		}
	}
}

func TestGofish(t *testing.T) { driveGofish(t, serve(t)) }

func driveGofish(t *testing.T, s *served) {
	t.Helper()
	for machine, chassis := range s.chassis {
		client, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{Endpoint: "https://" + s.web, Username: "admin@" + machine, Password: "secret", Insecure: true})
		if err != nil {
			t.Fatal(err)
		}
		systems, err := client.Service.Systems()
		if err != nil || len(systems) != 1 || systems[0].ID != machine {
			t.Fatalf("%s: %d systems, %v", machine, len(systems), err)
		}
		if err := systems[0].SetBoot(&schemas.Boot{BootSourceOverrideTarget: schemas.PxeBootSource, BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled}); err != nil {
			t.Errorf("%s: boot: %v", machine, err)
		}
		for _, want := range []bool{true, false} {
			reset := map[bool]schemas.ResetType{true: schemas.OnResetType, false: schemas.ForceOffResetType}[want]
			if _, err := systems[0].Reset(reset); err != nil {
				t.Errorf("%s: %s: %v", machine, reset, err)
			}
			eventually(t, string(reset), func() bool { return chassis.On() == want })
		}
		client.Logout()
		client.HTTPClient.CloseIdleConnections()
	}
}

// The drivers of this module pass their suite against the server, too: a machine behind it is a
// machine.
func TestSuite(t *testing.T) {
	for name, target := range map[string]func(*served, string) (power.Kind, power.Target){
		"redfish": func(s *served, machine string) (power.Kind, power.Target) {
			return redfish.Kind(), power.Target{Kind: "redfish", Params: power.Params{
				"power_address": s.web, "power_user": "admin", "power_pass": "secret", "node_id": machine, "tls_verify": "no",
			}}
		},
		"ipmi": func(s *served, machine string) (power.Kind, power.Target) {
			return ipmi.Kind(), power.Target{Kind: "ipmi", Params: power.Params{"power_address": s.ipmi, "power_user": "admin@" + machine, "power_pass": "secret"}}
		},
		"webhook": func(s *served, machine string) (power.Kind, power.Target) {
			base := "https://" + s.web + "/machines/" + machine
			return webhook.Kind(), power.Target{Kind: "webhook", Params: power.Params{
				"power_on_uri": base + "/on", "power_off_uri": base + "/off", "power_query_uri": base + "/state", "power_user": "admin", "power_pass": "secret", "tls_verify": "no",
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			powertest.Run(t, func(t *testing.T) powertest.Harness {
				chassis := &powersim.Chassis{}
				b, err := powersim.ServeRedfish(chassis, "root", "hidden")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { b.Close() })
				behind := b.Target()
				behind.Name = "m"
				s := serveTargets(t, map[string]powered{"m": chassis}, behind)
				kind, to := target(s, "m")
				h := powertest.Harness{Kind: kind, Target: to, Chassis: chassis}
				if name == "webhook" {
					h.AddressParams, h.Unreachable = []string{"power_on_uri", "power_off_uri", "power_query_uri"}, "https://127.0.0.1:1/x"
				}
				return h
			})
		})
	}
}

// A client of MAAS' contract drives machines of each power type over a UNIX socket.
func TestContract(t *testing.T) {
	targets, chassis := machines(t)
	driveContract(t, chassis, targets...)
}

func driveContract(t *testing.T, chassis map[string]powered, targets ...power.Target) {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: kinds.All(), Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		handler, err := bmcserve.Contract(c, target.Kind, "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		post := func(path string, body any) (int, map[string]any) {
			t.Helper()
			text, _ := json.Marshal(body)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(text)))
			out := map[string]any{}
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
				t.Errorf("%s %s: %v in %s", target.Kind, path, err, w.Body)
			}
			return w.Code, out
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metadata", nil))
		var meta struct {
			Name, Version string
			Actions       []string
			Settings      []map[string]any
			Capabilities  map[string]bool
		}
		if err := json.Unmarshal(w.Body.Bytes(), &meta); err != nil || meta.Name != target.Kind || len(meta.Settings) == 0 || !meta.Capabilities["queryable"] {
			t.Errorf("%s: metadata %s, %v", target.Kind, w.Body, err)
		}
		body := map[string]any{"system_id": target.Name, "context": target.Params}
		for _, step := range []struct {
			path string
			on   bool
		}{{"/on", true}, {"/cycle", true}, {"/reset", true}, {"/off", false}} {
			if code, out := post(step.path, body); code != http.StatusOK || out["status"] != "ok" || chassis[target.Name].On() != step.on {
				t.Errorf("%s %s: %d %v", target.Kind, step.path, code, out)
			}
			state := map[bool]string{true: "on", false: "off"}[step.on]
			if code, out := post("/query", body); code != http.StatusOK || out["state"] != state {
				t.Errorf("%s after %s: %d %v", target.Kind, step.path, code, out)
			}
		}
		wrong := map[string]any{"system_id": "x", "context": map[string]any{"power_adress": "x"}}
		for path, in := range map[string]any{"/query": wrong, "/on": wrong, "/set-boot-order": map[string]any{"context": target.Params, "order": []string{"tape"}}, "/off": []int{1}} {
			if code, out := post(path, in); code != http.StatusBadRequest || out["error_type"] != "invalid_parameters" || contains(out["error_message"].(string), "\n") {
				t.Errorf("%s %s with bad input: %d %v", target.Kind, path, code, out)
			}
		}
		code, out := post("/set-boot-order", map[string]any{"context": target.Params, "order": []any{map[string]any{"mac_address": "00:00:5e:00:53:01"}}})
		if ok := code == http.StatusOK; ok != meta.Capabilities["can_set_boot_order"] {
			t.Errorf("%s: set-boot-order: %d %v, and can_set_boot_order is %v", target.Kind, code, out, meta.Capabilities)
		}
	}
	if _, err := bmcserve.Contract(c, "moonshot", "1"); power.ClassOf(err) != power.Settings {
		t.Errorf("a power type that is none: %v", err)
	}
}

// What a client may not see or do is refused, and each refusal is audited.
func TestRefusals(t *testing.T) {
	s := serve(t)
	first := s.first()
	other := "plug"
	if first == other {
		other = "pve"
	}
	do := func(method, path, user, password, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.web+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := insecure().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	system := "/redfish/v1/Systems/"
	reset := system + first + "/Actions/ComputerSystem.Reset"
	for name, tt := range map[string]struct {
		method, path, user, password, body string
		want                               int
	}{
		"the root is open":     {"GET", "/redfish/v1/", "", "", "", 200},
		"no credentials":       {"GET", system, "", "", "", 401},
		"another account's":    {"GET", system + other, "one", "secret-1", "", 404},
		"its own":              {"GET", system + first + "/", "one", "secret-1", "", 200},
		"not there":            {"GET", system + "none", "admin", "secret", "", 404},
		"a reader":             {"POST", reset, "reader", "secret-2", `{"ResetType":"On"}`, 403},
		"a reader's boot":      {"PATCH", system + first, "reader", "secret-2", `{"Boot":{}}`, 403},
		"a reader's hook":      {"POST", "/machines/" + first + "/on", "reader", "secret-2", "", 403},
		"another one's hook":   {"POST", "/machines/" + other + "/on", "one", "secret-1", "", 404},
		"user with a machine":  {"GET", system + first, "admin@" + other, "secret", "", 404},
		"unknown reset":        {"POST", reset, "admin", "secret", `{"ResetType":"Explode"}`, 400},
		"no JSON":              {"POST", reset, "admin", "secret", `{`, 400},
		"another type":         {"POST", reset, "admin", "secret", `{"ResetType":7}`, 400},
		"unknown boot source":  {"PATCH", system + first, "admin", "secret", `{"Boot":{"BootSourceOverrideTarget":"Tape"}}`, 400},
		"unknown boot mode":    {"PATCH", system + first, "admin", "secret", `{"Boot":{"BootSourceOverrideEnabled":"Never"}}`, 400},
		"nothing to change":    {"PATCH", system + first, "admin", "secret", `{"Name":"x"}`, 400},
		"a large body":         {"POST", reset, "admin", "secret", `{"ResetType":"` + strings.Repeat("x", 100_000) + `"}`, 400},
		"a session of nobody":  {"POST", "/redfish/v1/SessionService/Sessions", "", "", `{"UserName":"admin","Password":"wrong"}`, 401},
		"user of no machine":   {"GET", system, "admin@none", "secret", "", 401},
		"a method that is not": {"DELETE", system + first, "admin", "secret", "", 405},
	} {
		if code, text := do(tt.method, tt.path, tt.user, tt.password, tt.body); code != tt.want || contains(text, "hidden") {
			t.Errorf("%s: %d, want %d: %s", name, code, tt.want, text)
		}
	}
	// Guesses are bounded; what was proved before still works.
	limited := 0
	for range 30 {
		if code, _ := do("GET", system, "admin", "guess", ""); code == http.StatusTooManyRequests {
			limited++
		}
	}
	if code, _ := do("GET", system, "admin", "secret", ""); limited == 0 || code != http.StatusOK {
		t.Errorf("%d of 30 guesses were limited; the account then gets %d", limited, code)
	}
	refused := 0
	for _, e := range s.audited() {
		if e.Action == "log in" && e.Err != nil && e.Source == "127.0.0.1" {
			refused++
		}
	}
	if refused < 30 {
		t.Errorf("%d refusals audited", refused)
	}
}

// The audit names the account, the machine and what happened to the boot device.
func TestAudit(t *testing.T) {
	s := serve(t)
	client, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{Endpoint: "https://" + s.web, Username: "admin", Password: "secret", Insecure: true, BasicAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.HTTPClient.CloseIdleConnections()
	systems, err := client.Service.Systems()
	if err != nil {
		t.Fatal(err)
	}
	for _, system := range systems {
		if err := system.SetBoot(&schemas.Boot{BootSourceOverrideTarget: schemas.PxeBootSource, BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled}); err != nil {
			t.Fatal(err)
		}
		if _, err := system.Reset(schemas.OnResetType); err != nil {
			t.Fatal(err)
		}
		eventually(t, system.ID+" is on", s.chassis[system.ID].On)
	}
	want := map[string]string{"web-1": "on, boot network", "pve": "on, boot network not chosen: this power control cannot", "plug": "on, boot network not chosen: this power control cannot"}
	eventually(t, "the audit", func() bool {
		found := 0
		for _, e := range s.audited() {
			if e.Protocol == "redfish" && e.Account == "admin" && e.Source == "127.0.0.1" && e.Err == nil && want[e.Machine] == e.Action {
				found++
			}
		}
		return found == len(want)
	})
}
