package lxd_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/lxd"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, chassis *powersim.Chassis) *powersim.BMC {
	t.Helper()
	bmc, err := powersim.ServeLXD(chassis, "trust-token")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return bmc
}

func TestLXD(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		bmc := serve(t, chassis)
		return powertest.Harness{
			Kind: lxd.Kind(), Chassis: chassis, Target: bmc.Target(), Stall: bmc.Stall, EndSessions: bmc.EndSessions, PasswordParam: "password",
		}
	})
}

func TestSocket(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		dir := t.TempDir()
		bmc, err := powersim.ServeLXDSocket(chassis, filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bmc.Close() })
		return powertest.Harness{Kind: lxd.Kind(), Chassis: chassis, Target: bmc.Target(), Unreachable: filepath.Join(dir, "none")}
	})
}

func TestRefusals(t *testing.T) {
	c := powertest.Controller(t, lxd.Kind())
	target := func(change ...string) power.Target {
		out := serve(t, &powersim.Chassis{}).Target() // each has its own, since a server keeps whom it trusts
		out.Params = maps.Clone(out.Params)
		for i := 0; i < len(change); i += 2 {
			out.Params[change[i]] = change[i+1]
		}
		return out
	}
	stranger := serve(t, &powersim.Chassis{}).Target() // the first one trusts the certificate once it saw the token
	stranger.Params["password"] = ""
	another := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"hello":1}`)) }))
	defer another.Close()
	for name, tt := range map[string]struct {
		target power.Target
		class  power.Class
		text   string
	}{
		"not trusted":      {stranger, power.Auth, "give a trust token as password"},
		"no certificate":   {target("certificate", ""), power.Settings, "needs certificate and key"},
		"no PEM":           {target("key", "hello"), power.Settings, "certificate and key do not belong together"},
		"no such instance": {target("instance_name", "web-9"), power.Settings, "Instance not found"},
		"another project":  {target("project", "lab"), power.Settings, "Instance not found"},
		"a bad name":       {target("instance_name", "../x?y"), power.Settings, "not found"},
		"another service":  {target("power_address", another.URL), power.Settings, "no answer of LXD or Incus; see the host and the port of power_address"},
		"another pin":      {target("tls_fingerprint", strings.Repeat("ab", 32)), power.Settings, "fingerprint"},
		"a user":           {target("power_address", "https://u:trust-token@host"), power.Settings, "parameter of its own"},
	} {
		_, err := c.Query(t.Context(), tt.target)
		if power.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "trust-token") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v of class %s", name, err, power.ClassOf(err))
		}
	}
}
