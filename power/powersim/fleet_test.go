package powersim_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/redfish"
)

// machine is one BMC of a fleet and what is expected of it.
type machine struct {
	chassis *powersim.Chassis
	target  power.Target
	want    power.Class // "" = it is switched on
}

// fleet starts n BMCs, half of them IPMI and half Redfish, of which every 20th has a fault.
func fleet(t *testing.T, n int) []machine {
	t.Helper()
	serve := []func(*powersim.Chassis, string, string) (*powersim.BMC, error){powersim.ServeIPMI, powersim.ServeRedfish}
	var out []machine
	for i := range n {
		m := machine{chassis: &powersim.Chassis{Delay: 500 * time.Millisecond}}
		bmc, err := serve[i%2](m.chassis, "admin", "secret")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bmc.Close() })
		m.target = bmc.Target()
		if i%20 == 7 || i%40 == 18 {
			switch i / 20 % 3 {
			case 0:
				m.want = power.Auth
				m.target.Params["power_pass"] = "wrong"
			case 1:
				m.want = power.Connection
				bmc.Stall(true)
			case 2:
				m.want = power.ActionFailed
				m.chassis.Configure(func(c *powersim.Chassis) { c.Ignore = 99 })
			}
		}
		out = append(out, m)
	}
	return out
}

// Many machines are switched on at once, 64 at a time; each faulty one ends with the right error, the others are on.
// POWER_TEST_BMCS sets how many. The log says how long it took, and how long until the last sound one was on.
func TestFleet(t *testing.T) {
	n := 100
	if s := os.Getenv("POWER_TEST_BMCS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	machines := fleet(t, n)
	c, err := power.NewController(power.Config{
		Registry: power.NewRegistry(ipmi.Kind(), redfish.Kind()), Timeout: 12 * time.Second, Poll: 250 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var mu sync.Mutex
	var sound time.Duration // when the last of them was on, after began; guarded by mu
	var wg sync.WaitGroup
	for _, m := range machines {
		wg.Go(func() {
			result, err := c.Ensure(t.Context(), m.target, power.On, power.Options{Boot: power.Network})
			if power.ClassOf(err) != m.want {
				t.Errorf("%s %s: %v (%s), want class %q", m.target.Kind, m.target.Name, err, power.ClassOf(err), m.want)
			}
			if m.want == "" {
				if err == nil && (result.State != power.On || !m.chassis.On()) {
					t.Errorf("%s: %+v", m.target.Name, result)
				}
				mu.Lock()
				sound = max(sound, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d BMCs: sound ones on after %v, all done after %v", n, sound.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}
