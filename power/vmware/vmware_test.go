package vmware_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/vmware"
)

// vcenter starts govmomi's simulator with two machines, DC0_H0_VM0 and DC0_H0_VM1.
func vcenter(t *testing.T) power.Params {
	t.Helper()
	model := simulator.VPX()
	model.Cluster, model.Host, model.Machine = 0, 1, 2
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{User: url.UserPassword("root", "secret")}
	srv := model.Service.NewServer()
	t.Cleanup(func() { srv.Close(); model.Remove() })
	return power.Params{"power_address": "https://" + srv.URL.Host, "power_user": "root", "power_pass": "secret", "power_vm_name": "DC0_H0_VM0", "tls_verify": "no"}
}

func with(p power.Params, change ...string) power.Target {
	out := power.Params{}
	for name, value := range p {
		out[name] = value
	}
	for i := 0; i < len(change); i += 2 {
		out[change[i]] = change[i+1]
	}
	return power.Target{Kind: vmware.Name, Params: out}
}

func TestVSphere(t *testing.T) {
	p := vcenter(t)
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(vmware.Kind()), Poll: 10 * time.Millisecond, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []power.State{power.Off, power.On, power.Off, power.On} {
		if result, err := c.Ensure(t.Context(), with(p), want, power.Options{}); err != nil || result.State != want {
			t.Fatalf("%s: %+v, %v", want, result, err)
		}
	}
	if result, err := c.Cycle(t.Context(), with(p), power.Options{}); err != nil || result.State != power.On {
		t.Errorf("cycle: %+v, %v", result, err)
	}
	if err := c.Reset(t.Context(), with(p)); err != nil {
		t.Errorf("reset: %v", err)
	}
	for _, device := range []power.BootDevice{power.Network, power.Disk, power.Default} {
		if err := c.SetBootAlways(t.Context(), with(p), device); err != nil {
			t.Errorf("boot from %s: %v", device, err)
		}
	}
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	for name, tt := range map[string]struct {
		target power.Target
		class  power.Class
		text   string
	}{
		"wrong password":  {with(p, "power_pass", "other"), power.Auth, "log in"},
		"no such machine": {with(p, "power_vm_name", "web-9"), power.Settings, "see power_vm_name"},
		"no such UUID":    {with(p, "power_uuid", "00000000-0000-0000-0000-000000000000"), power.Settings, "see power_uuid"},
		"no machine":      {with(p, "power_vm_name", ""), power.Settings, "needs power_vm_name or power_uuid"},
		"several":         {with(p, "power_vm_name", "DC0_H0_VM*"), power.Settings, "2 machines"},
		"another service": {with(p, "power_address", page.URL), power.Settings, "no answer of vSphere"},
		"nothing there":   {with(p, "power_address", "https://127.0.0.1:1"), power.Connection, "refused"},
		"not trusted":     {with(p, "tls_verify", "yes"), power.Settings, "tls_fingerprint"},
	} {
		if _, err := c.Query(t.Context(), tt.target); power.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v of class %s", name, err, power.ClassOf(err))
		}
	}
}
