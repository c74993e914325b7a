package region_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/store/inventory"
)

// serve runs a region, and a rack that does nothing but drive BMCs, until the test ends.
func serve(t *testing.T, every time.Duration) *region.Region {
	t.Helper()
	r := runningOn(t, region.Config{Dir: t.TempDir(), Kinds: power.NewRegistry(ipmi.Kind()), PowerEvery: every}, region.Sockets{})
	driveBMCs(t, r)
	return r
}

// driveBMCs runs the rack of [runningOn] with nothing but power until the test ends.
func driveBMCs(t *testing.T, r *region.Region) {
	t.Helper()
	dir := t.TempDir()
	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	ok(t, err)
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	ok(t, err)
	controller, err := power.NewController(power.Config{
		Registry: power.NewRegistry(ipmi.Kind()), Poll: 10 * time.Millisecond, Timeout: 30 * time.Second,
	})
	ok(t, err)
	methods := new(rpc.Methods)
	powerrpc.Offer(methods, controller)
	consoles := powerrpc.OfferConsoles(methods, controller)
	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Methods: methods, Dial: rpc.Loopback(r.RPC(), "rack")})
	ok(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rack.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		ok(t, <-done)
		ok(t, consoles.Close())
		ok(t, replica.Close())
		ok(t, outbox.Close())
	})
}

// machineOf creates a machine whose BMC this is.
func machineOf(t *testing.T, r *region.Region, bmc *powersim.BMC, name, password string, last byte) inventory.Machine {
	t.Helper()
	m, err := r.Inventory().Machines.Create(t.Context(), inventory.Machine{
		Hostname:   name,
		Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: []byte{2, 0, 0, 0, 0, last}, Kind: ipam.Physical}}},
		Power: inventory.Power{Type: "ipmi", Params: map[string]string{"power_address": bmc.Address, "power_user": "admin"},
			Secrets: inventory.Secrets{"power_pass": password}},
	})
	ok(t, err)
	return m
}

// A request before the racks of a region that has just started are back waits for them.
func TestPowerWaitsForTheFirstRack(t *testing.T) {
	chassis := &powersim.Chassis{}
	bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
	ok(t, err)
	defer bmc.Close()
	socket := filepath.Join(t.TempDir(), "maas.sock")
	local, err := net.Listen("unix", socket)
	ok(t, err)
	r := runningOn(t, region.Config{Dir: t.TempDir(), Kinds: power.NewRegistry(ipmi.Kind()), RackWait: time.Minute}, region.Sockets{Local: local})
	bare, err := r.Inventory().Machines.Create(t.Context(), inventory.Machine{Hostname: "bare"})
	ok(t, err)
	soon, cancel := context.WithTimeout(t.Context(), 30*time.Second) // less than it waits for a rack
	defer cancel()
	err = client.Client{Socket: socket}.Post(soon, client.API+"machines/"+bare.SystemID+"/?op=power_on", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "has no power type") {
		t.Errorf("a machine without a power type: %v", err)
	}
	m := machineOf(t, r, bmc, "node", "secret", 1)
	answer := make(chan error, 1)
	go func() {
		answer <- client.Client{Socket: socket}.Post(t.Context(), client.API+"machines/"+m.SystemID+"/?op=power_on", nil, nil)
	}()
	select {
	case err := <-answer:
		t.Fatalf("answered without a rack: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	driveBMCs(t, r)
	ok(t, <-answer)
	if !chassis.On() {
		t.Error("the machine is not on")
	}
}

// A state that was changed at the machine itself arrives, and a BMC that fails is shown as such.
func TestPowerIsWatched(t *testing.T) {
	r := serve(t, 100*time.Millisecond)
	chassis := &powersim.Chassis{}
	bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	inv := r.Inventory()
	good, bad := machineOf(t, r, bmc, "good", "secret", 1), machineOf(t, r, bmc, "bad", "wrong", 2)
	await := func(m inventory.Machine, want string) {
		t.Helper()
		var state string
		for range 1000 {
			got, err := inv.Machines.Get(t.Context(), m.ID)
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
	events, err := inv.Events.After(t.Context(), 0, 0, 1000)
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
