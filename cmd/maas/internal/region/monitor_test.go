package region_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/store/inventory"
)

// serve runs a region, and a rack that does nothing but drive BMCs, until the test ends.
func serve(t *testing.T, every time.Duration) *region.Region {
	t.Helper()
	kinds := power.NewRegistry(ipmi.Kind())
	r, err := region.New(t.Context(), region.Config{Dir: t.TempDir(), Kinds: kinds, PowerEvery: every})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Inventory().RegisterRack(t.Context(), inventory.Rack{Name: "rack"}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	if err != nil {
		t.Fatal(err)
	}
	controller, err := power.NewController(power.Config{Registry: kinds, Poll: 10 * time.Millisecond, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	methods := new(rpc.Methods)
	powerrpc.Offer(methods, controller)
	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Methods: methods, Dial: rpc.Loopback(r.RPC(), "rack")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- r.Serve(ctx, region.Sockets{}) }()
	go func() { done <- rack.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		replica.Close()
		outbox.Close()
		r.Close()
	})
	return r
}

// The state that somebody changed at the machine itself arrives, and a BMC that fails is shown as such.
func TestPowerIsWatched(t *testing.T) {
	r := serve(t, 100*time.Millisecond)
	chassis := &powertest.Chassis{}
	bmc, err := powertest.ServeIPMI(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	inv := r.Inventory()
	create := func(name, password string, last byte) inventory.Machine {
		m, err := inv.CreateMachine(t.Context(), inventory.Machine{
			Hostname:   name,
			Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: []byte{2, 0, 0, 0, 0, last}, Kind: ipam.Physical}}},
			Power: inventory.Power{Type: "ipmi", Params: map[string]string{"power_address": bmc.Address, "power_user": "admin"},
				Secrets: inventory.Secrets{"power_pass": password}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	good, bad := create("good", "secret", 1), create("bad", "wrong", 2)
	await := func(m inventory.Machine, want string) {
		t.Helper()
		var state string
		for range 1000 {
			got, err := inv.Machine(t.Context(), m.ID)
			if err != nil {
				t.Fatal(err)
			}
			if state = got.Power.State; state == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%s shows power %q, want %q", m.Hostname, state, want)
	}
	await(good, "off")
	await(bad, "error")
	chassis.SetPower(true)
	await(good, "on")
	events, err := inv.Events(t.Context(), 0, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, e := range events {
		if e.NodeID == good.ID || e.NodeID == bad.ID {
			text = append(text, e.Description)
		}
	}
	all := strings.Join(text, "\n")
	if !strings.Contains(all, "power is on, was off") || !strings.Contains(all, "does not tell the power state") || strings.Contains(all, "secret") {
		t.Errorf("events:\n%s", all)
	}
}
