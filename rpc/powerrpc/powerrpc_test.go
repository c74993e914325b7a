package powerrpc_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
)

func TestActionsReachTheBMCAndFailuresKeepTheirClass(t *testing.T) {
	chassis := &powersim.Chassis{}
	bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind(), power.Manual()), Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var methods rpc.Methods
	powerrpc.Offer(&methods, c)
	for _, step := range []struct {
		action power.Action
		want   power.State
	}{{power.ActionQuery, power.Off}, {power.ActionOn, power.On}, {power.ActionCycle, power.On}, {power.ActionSoftOff, power.Off}} {
		r := powerrpc.Request{Target: bmc.Target(), Action: step.action, Boot: power.Network}
		if result, err := powerrpc.Do(t.Context(), &methods, r); err != nil || result.State != step.want {
			t.Errorf("%s: %+v, %v", step.action, result, err)
		}
	}
	traced, err := powerrpc.Do(t.Context(), &methods, powerrpc.Request{Target: bmc.Target(), Action: power.ActionOn, Transcript: true})
	if err != nil || len(traced.Steps) != 1 || !strings.Contains(traced.Transcript, `"request":"00 02 01"`) {
		t.Errorf("with a transcript: %+v, %v", traced, err)
	}
	wrong := bmc.Target()
	wrong.Params["power_pass"] = "other"
	_, err = powerrpc.Do(t.Context(), &methods, powerrpc.Request{Target: wrong, Action: power.ActionQuery})
	if power.ClassOf(err) != power.Auth {
		t.Errorf("wrong password: %v", err)
	}
	_, err = powerrpc.Do(t.Context(), rpc.NewRegion(rpc.RegionConfig{}).Rack("r"), powerrpc.Request{Target: bmc.Target(), Action: power.ActionQuery})
	if power.ClassOf(err) != power.Connection || !errors.Is(err, rpc.ErrUnavailable) {
		t.Errorf("no rack: %v", err)
	}
	_, err = powerrpc.Do(t.Context(), &methods, powerrpc.Request{Target: power.Target{Kind: "manual"}, Action: power.ActionOn, Boot: power.Network})
	if power.ClassOf(err) != power.Unsupported {
		t.Errorf("a machine switched by hand: %v", err)
	}
}
