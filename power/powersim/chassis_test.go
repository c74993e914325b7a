package powersim_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
)

// watched returns a chassis and the log of its changes.
func watched(c *powersim.Chassis) (_ *powersim.Chassis, log func() []string) {
	var mu sync.Mutex
	var changes []string
	c.OnPower = func(on bool, boot power.BootDevice) {
		mu.Lock()
		defer mu.Unlock()
		changes = append(changes, fmt.Sprintf("%t %s", on, boot))
	}
	return c, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(changes)
	}
}

func TestChassisBoots(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*powersim.Chassis)
		want []string
	}{
		{"own order", func(c *powersim.Chassis) { c.SetPower(true) }, []string{"true default"}},
		{"once", func(c *powersim.Chassis) {
			c.SetBootOnce(power.Network)
			c.SetPower(true)
			c.Cycle()
		}, []string{"true network", "false default", "true default"}},
		{"always", func(c *powersim.Chassis) {
			c.SetBootAlways(power.Disk)
			c.SetPower(true)
			c.Cycle()
		}, []string{"true disk", "false disk", "true disk"}},
		{"once goes before always", func(c *powersim.Chassis) {
			c.SetBootAlways(power.Disk)
			c.SetBootOnce(power.Setup)
			c.SetPower(true)
			c.Cycle()
		}, []string{"true setup", "false disk", "true disk"}},
		{"no change", func(c *powersim.Chassis) {
			c.SetPower(false)
			c.SetPower(true)
			c.SetPower(true)
		}, []string{"true default"}},
		{"cycle of a machine that is off", func(c *powersim.Chassis) { c.Cycle() }, []string{"true default"}},
		{"ignored requests", func(c *powersim.Chassis) {
			c.Configure(func(c *powersim.Chassis) { c.Ignore = 2 })
			c.SetPower(true)
			c.Cycle()
			c.SetPower(true)
		}, []string{"true default"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, log := watched(&powersim.Chassis{})
			tt.do(c)
			if diff := cmp.Diff(tt.want, log()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want := strings.HasPrefix(tt.want[len(tt.want)-1], "true"); c.On() != want {
				t.Errorf("on: %t", c.On())
			}
		})
	}
}

func TestChassisDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := watched(&powersim.Chassis{Delay: time.Second})
		c.SetPower(true)
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if c.On() || len(log()) != 0 {
			t.Error("the change came before its time")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !c.On() || len(log()) != 1 {
			t.Errorf("on: %t, %v", c.On(), log())
		}
		c.Cycle()
		if c.Cycles() != 0 {
			t.Error("the cycle came before its time")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if c.Cycles() != 1 || !c.On() {
			t.Errorf("%d cycles, on: %t", c.Cycles(), c.On())
		}
	})
}

func TestChassisRemembersDeviceAndLight(t *testing.T) {
	c := &powersim.Chassis{}
	if c.BootOnce() != power.Default || c.Light() {
		t.Errorf("a new chassis boots from %s, light %t", c.BootOnce(), c.Light())
	}
	c.SetBootOnce(power.NetworkHTTP)
	c.SetLight(true)
	if c.BootOnce() != power.NetworkHTTP || !c.Light() {
		t.Errorf("%s, light %t", c.BootOnce(), c.Light())
	}
	c.SetPower(true)
	if c.BootOnce() != power.Default {
		t.Errorf("after the boot: %s", c.BootOnce())
	}
}

// A BMC without a chassis is an error, not a panic at its first request.
func TestBMCsNeedAChassis(t *testing.T) {
	for name, serve := range map[string]func(*powersim.Chassis, string, string) (*powersim.BMC, error){
		"ipmi": powersim.ServeIPMI, "redfish": powersim.ServeRedfish, "openbmc": powersim.ServeOpenBMC,
	} {
		if _, err := serve(nil, "admin", "secret"); err == nil || !strings.Contains(err.Error(), "needs a chassis") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
