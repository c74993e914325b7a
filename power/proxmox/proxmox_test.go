package proxmox_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/proxmox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, chassis *powersim.Chassis) *powersim.BMC {
	t.Helper()
	bmc, err := powersim.ServeProxmox(chassis, "maas@pve", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return bmc
}

func TestProxmox(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		bmc := serve(t, chassis)
		return powertest.Harness{Images: []string{"local:iso/one.iso", "nas:iso/two.iso"}, Kind: proxmox.Kind(), Chassis: chassis, Target: bmc.Target(), Stall: bmc.Stall, EndSessions: bmc.EndSessions}
	})
}

// target is the target of a BMC with changes, given as names and values.
func target(bmc *powersim.BMC, change ...string) power.Target {
	out := bmc.Target()
	out.Params = maps.Clone(out.Params)
	for i := 0; i < len(change); i += 2 {
		out.Params[change[i]] = change[i+1]
	}
	return out
}

func TestTokensAndNames(t *testing.T) {
	chassis := &powersim.Chassis{}
	bmc := serve(t, chassis)
	for _, name := range []string{"maas", "maas@pve!maas"} {
		byToken := target(bmc, "power_pass", "", "power_token_name", name, "power_token_secret", "token-secret", "power_vm_name", "web-1")
		for _, want := range []power.State{power.On, power.Off} {
			if result, err := powertest.Controller(t, proxmox.Kind()).Ensure(t.Context(), byToken, want, power.Options{}); err != nil || result.State != want {
				t.Errorf("token %s: %+v, %v", name, result, err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	bmc := serve(t, &powersim.Chassis{})
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>router</html>")) }))
	defer page.Close()
	for name, tt := range map[string]struct {
		target power.Target
		class  power.Class
		text   string
	}{
		"no realm":        {target(bmc, "power_user", "root"), power.Settings, "no realm"},
		"half a token":    {target(bmc, "power_token_name", "maas"), power.Settings, "belong together"},
		"nothing":         {target(bmc, "power_pass", ""), power.Settings, "needs power_pass, or"},
		"another token":   {target(bmc, "power_token_name", "maas", "power_token_secret", "other"), power.Auth, "401"},
		"no such machine": {target(bmc, "power_vm_name", "900"), power.Settings, "see power_vm_name"},
		"two machines":    {target(bmc, "power_vm_name", "twin"), power.Settings, "2 machines have that name"},
		"another service": {target(bmc, "power_address", page.URL), power.Settings, "no answer of Proxmox VE; see the host and the port of power_address"},
		"a password":      {target(bmc, "power_address", "https://root:secret@pve.example"), power.Settings, "parameter of its own"},
		"a key":           {target(bmc, "power_address", "https://pve.example?key=secret"), power.Settings, "query"},
		"unknown":         {target(bmc, "vm", "100"), power.Settings, `has no parameter "vm"`},
	} {
		_, err := powertest.Controller(t, proxmox.Kind()).Query(t.Context(), tt.target)
		if power.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "=secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v of class %s", name, err, power.ClassOf(err))
		}
	}
}
