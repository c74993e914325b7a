package bmc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/bmc"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFiles(t *testing.T) {
	for want, text := range map[string]string{
		"nothing is served":                    `accounts: []`,
		"https: \"8443\" is not host:port":     `https: "8443"`,
		"tls-cert and tls-key":                 "https: :8443\ntls-cert: x",
		"exclude each other":                   "https: :8443\naccounts: [{user: a, password: x, password-file: y}]",
		"account a: password-file":             "https: :8443\naccounts: [{user: a, password-file: /none}]",
		"unknown field":                        "https: :8443\nmachine: []",
		"power-type: power: settings: there":   "https: :8443\nmachines: [{name: a, power-type: telepathy}]",
		"use redfish with the address":         "https: :8443\nmachines: [{name: a, power-type: ucsm}]",
		`has no parameter "adress"`:            "https: :8443\nmachines: [{name: a, power-type: ipmi, params: {adress: x}}]",
		"machine a: power_pass: open":          "https: :8443\nmachines: [{name: a, power-type: ipmi, params: {power_pass: '@/none'}}]",
		"machine a: ipmi: \"623\" is not host": "https: :8443\nmachines: [{name: a, power-type: manual, ipmi: '623'}]",
		"mapping was used":                     "https: :8443\naccounts: {user: top-secret}",
	} {
		_, err := bmc.Load(write(t, "bmc.yaml", text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "top-secret") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// sitePower is a site with one machine.
type sitePower struct{ on bool }

func (s *sitePower) Do(_ context.Context, machine string, action power.Action, _ power.Options) (power.Result, error) {
	if machine != "site-1" {
		return power.Result{}, errors.New("another machine")
	}
	switch action {
	case power.ActionOn:
		s.on = true
	case power.ActionOff:
		s.on = false
	}
	return power.Result{State: map[bool]power.State{true: power.On, false: power.Off}[s.on]}, nil
}

// HasMedia implements bmcserve.MediaPower.
func (s *sitePower) HasMedia(string) bool { return false }

// A machine of the file and one of the site are switched by Redfish and IPMI, and MAAS' contract is
// at a socket.
func TestServe(t *testing.T) {
	chassis := &powersim.Chassis{}
	behind, err := powersim.ServePlug(chassis, "tasmota", "hidden")
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	dir := t.TempDir()
	cfg, err := bmc.Load(write(t, "bmc.yaml", fmt.Sprintf(`
https: 127.0.0.1:0
ipmi: 127.0.0.1:0
drivers: %s/drivers
accounts: [{user: admin, password-file: %s}]
machines: [{name: plug, power-type: smartplug, params: {plug_type: tasmota, power_address: %s, power_pass: '@%s'}}]
`, dir, write(t, "password", "secret\n"), behind.Address, write(t, "plug", "hidden"))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan bmc.Addresses, 1), make(chan error, 1)
	var log bytes.Buffer
	go func() {
		done <- bmc.Run(ctx, cfg, bmc.Options{
			Dir: dir, Version: "1", SitePower: &sitePower{}, SiteMachines: []string{"site-1"}, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Ready: func(a bmc.Addresses) { ready <- a },
		})
	}()
	var at bmc.Addresses
	select {
	case at = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	c, err := power.NewController(power.Config{Registry: kinds.All(), Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range []string{"plug", "site-1"} {
		for _, target := range []power.Target{
			{Kind: "redfish", Params: power.Params{"power_address": at.HTTPS, "power_user": "admin", "power_pass": "secret", "node_id": machine, "tls_verify": "no"}},
			{Kind: "ipmi", Params: power.Params{"power_address": at.IPMI, "power_user": "admin@" + machine, "power_pass": "secret"}},
		} {
			for _, want := range []power.State{power.On, power.Off} {
				if result, err := c.Ensure(t.Context(), target, want, power.Options{}); err != nil || result.State != want {
					t.Errorf("%s by %s: %s: %+v, %v", machine, target.Kind, want, result, err)
				}
			}
		}
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "drivers", "smartplug.sock"))
	}}}
	defer client.CloseIdleConnections()
	body, _ := json.Marshal(map[string]any{"system_id": "x", "context": cfg.Machines[0].Params})
	resp, err := client.Post("http://driver/query", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(text), `"state":"off"`) {
		t.Errorf("the contract answers %s", text)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, "task=on") || strings.Contains(text, "hidden") || strings.Contains(text, "secret") {
		t.Errorf("the log is %s", text)
	}
}
