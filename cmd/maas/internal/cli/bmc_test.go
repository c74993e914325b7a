package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/bmc"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/maasapi/maastest"
)

// logIn makes a site the one that commands of the test use.
func logIn(t *testing.T, m *maastest.MAAS) remote {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(m.Key), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (loginCmd{Profile: "lab", URL: m.URL + "/", KeyFile: key}).Run(t.Context(), stdio{io.Discard, io.Discard}); err != nil {
		t.Fatal(err)
	}
	return remote{Profile: "lab", Output: "table"}
}

// site starts a site whose machines have simulated BMCs, and returns what each chassis booted from.
func site(t *testing.T, serve map[string]func(*powersim.Chassis) (*powersim.BMC, error)) (remote, map[string]chan power.BootDevice) {
	t.Helper()
	m, boots := bareSite(t, serve)
	return logIn(t, m), boots
}

func bareSite(t *testing.T, serve map[string]func(*powersim.Chassis) (*powersim.BMC, error)) (*maastest.MAAS, map[string]chan power.BootDevice) {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: kinds.All(), Poll: 10 * time.Millisecond, Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	m := maastest.Start(t, maastest.Config{Power: func(inv *inventory.Inventory) maasapi.Power { return maasapi.Direct(inv, c) }})
	boots := map[string]chan power.BootDevice{}
	for name, serve := range serve {
		booted := make(chan power.BootDevice, 100)
		boots[name] = booted
		b, err := serve(&powersim.Chassis{OnPower: func(on bool, device power.BootDevice) {
			if on {
				booted <- device
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		kind, err := kinds.All().Kind(b.Target().Kind)
		if err != nil {
			t.Fatal(err)
		}
		settings, err := inventory.NewPower(kind, b.Target().Params)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Inventory.Machines.Create(t.Context(), inventory.Machine{Hostname: name, Status: inventory.StatusReady, Power: settings}); err != nil {
			t.Fatal(err)
		}
	}
	return m, boots
}

// locked is a log that several goroutines write.
type locked struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A boot device that a client of a served machine sets reaches the machine of the site: by IPMI and
// by Redfish, for one boot and for all. Without one the region has it boot from the network. What a
// power control cannot choose is in the audit.
func TestSiteBootDevices(t *testing.T) {
	remote, boots := site(t, map[string]func(*powersim.Chassis) (*powersim.BMC, error){
		"web": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServeIPMI(c, "root", "hidden") },
		"pve": func(c *powersim.Chassis) (*powersim.BMC, error) {
			return powersim.ServeProxmox(c, "maas@pve", "hidden")
		},
		"plug": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServePlug(c, "shelly", "hidden") },
	})
	names, err := remote.siteMachines(t.Context(), bmc.Site{Machines: []string{"web", "pve", "plug"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := remote.sitePower(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan bmc.Addresses, 1), make(chan error, 1)
	var log locked
	go func() {
		done <- bmc.Run(ctx, bmc.Config{
			HTTPS: "127.0.0.1:0", IPMI: "127.0.0.1:0", Accounts: []bmc.Account{{User: "admin", Password: "secret"}},
		}, bmc.Options{
			Dir: t.TempDir(), SitePower: p, SiteMachines: names, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Ready: func(at bmc.Addresses) { ready <- at },
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	at := <-ready
	c, err := power.NewController(power.Config{Registry: kinds.All(), Poll: 10 * time.Millisecond, Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		machine string
		opts    power.Options
		once    power.BootDevice // of the machine that boots first, and
		then    power.BootDevice // of the boot after it
		audit   string
	}{
		{"web", power.Options{}, power.Network, power.Network, `task=on`},
		{"web", power.Options{Boot: power.Disk}, power.Disk, power.Network, `task="on, boot disk"`},
		{"web", power.Options{Boot: power.Setup}, power.Setup, power.Network, `task="on, boot setup"`},
		{"web", power.Options{Boot: power.Disk, BootAlways: true}, power.Disk, power.Disk, `task="on, boot disk"`},
		{"pve", power.Options{Boot: power.Disk}, power.Default, power.Default, `task="on, boot disk not chosen: this power control cannot"`},
		{"pve", power.Options{Boot: power.Disk, BootAlways: true}, power.Disk, power.Disk, `task="on, boot disk"`},
		{"plug", power.Options{Boot: power.Disk}, power.Default, power.Default, `task="on, boot disk not chosen: this power control cannot"`},
	} {
		for _, target := range []power.Target{
			{Kind: "redfish", Params: power.Params{"power_address": at.HTTPS, "power_user": "admin", "power_pass": "secret", "node_id": tt.machine, "tls_verify": "no"}},
			{Kind: "ipmi", Params: power.Params{"power_address": at.IPMI, "power_user": "admin@" + tt.machine, "power_pass": "secret"}},
		} {
			for i, want := range []power.BootDevice{tt.once, tt.then} {
				opts := tt.opts
				if i > 0 {
					opts = power.Options{}
				}
				before := len(log.String())
				if _, err := c.Ensure(t.Context(), target, power.On, opts); err != nil {
					t.Fatalf("%s by %s: %v", tt.machine, target.Kind, err)
				}
				if got := <-boots[tt.machine]; got != want {
					t.Errorf("%s by %s, %+v, boot %d: from %q, want %q", tt.machine, target.Kind, tt.opts, i+1, got, want)
				}
				if _, err := c.Ensure(t.Context(), target, power.Off, power.Options{}); err != nil {
					t.Fatalf("%s by %s: %v", tt.machine, target.Kind, err)
				}
				if i == 0 && !strings.Contains(log.String()[before:], tt.audit) {
					t.Errorf("%s by %s, %+v: the audit is %s, want %s", tt.machine, target.Kind, tt.opts, log.String()[before:], tt.audit)
				}
			}
			if tt.opts.BootAlways { // and taken back
				if err := c.SetBootAlways(t.Context(), target, power.Default); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if text := log.String(); strings.Contains(text, "hidden") || strings.Contains(text, "secret") {
		t.Errorf("the log shows a password: %s", text)
	}
}

// An image is inserted, shown, booted from once and ejected; a machine without virtual media says so
// in one line.
func TestMachineMedia(t *testing.T) {
	remote, boots := site(t, map[string]func(*powersim.Chassis) (*powersim.BMC, error){
		"rf": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServeRedfish(c, "root", "hidden") },
		"pve": func(c *powersim.Chassis) (*powersim.BMC, error) {
			return powersim.ServeProxmox(c, "maas@pve", "hidden")
		},
		"web": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServeIPMI(c, "root", "hidden") },
	})
	for _, tt := range []struct {
		command interface {
			Run(context.Context, stdio) error
		}
		want, fails string
	}{
		{mediaShowCmd{remote, "rf"}, "rf empty", ""},
		{mediaInsertCmd{remote, "rf", "https://192.0.2.1/a.iso?sig=secret", true}, "rf https://192.0.2.1/a.iso", ""},
		{mediaShowCmd{remote, "rf"}, "rf https://192.0.2.1/a.iso", ""},
		{mediaEjectCmd{remote, "rf"}, "rf empty", ""},
		{mediaInsertCmd{remote, "pve", "local:iso/a.iso", true}, "pve local:iso/a.iso", "cannot choose the CD drive for one boot"},
		{mediaInsertCmd{remote, "pve", "https://192.0.2.1/a.iso", false}, "", "name it such as local:iso/install.iso"},
		{mediaInsertCmd{remote, "rf", "https://a:secret@192.0.2.1/a.iso", false}, "", "contains credentials"},
		{mediaShowCmd{remote, "web"}, "", "cannot do that"},
	} {
		var out bytes.Buffer
		err := tt.command.Run(t.Context(), stdio{&out, io.Discard})
		if got := strings.Join(strings.Fields(out.String()), " "); got != tt.want {
			t.Errorf("%+v: %q, %v; want %q", tt.command, got, err, tt.want)
		}
		if (err == nil) != (tt.fails == "") || err != nil && (!strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%+v: %v, want %q", tt.command, err, tt.fails)
		}
	}
	if got := <-boots["rf"]; got != power.CD {
		t.Errorf("booted from %q", got)
	}
}
