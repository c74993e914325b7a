package powersim_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/monitor"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/redfish"
)

// A site of 13,500 BMCs, half IPMI and half Redfish, is polled within the monitor's interval of five minutes. By default the
// test has fewer and an interval that is as much shorter, so that as many are asked in a second. POWER_TEST_POLL sets how
// many. The log says how much of a core the monitor, the drivers and the simulated BMCs took together.
func TestPolling(t *testing.T) {
	const site, interval = 13_500, 5 * time.Minute
	n := 90
	if s := os.Getenv("POWER_TEST_POLL"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	serve := []func(*powersim.Chassis, string, string) (*powersim.BMC, error){powersim.ServeIPMI, powersim.ServeRedfish}
	var targets []power.Target
	for i := range n {
		bmc, err := serve[i%2](&powersim.Chassis{}, "admin", "secret")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bmc.Close() })
		target := bmc.Target()
		target.Name = fmt.Sprint(i) // ports of UDP and TCP may be the same
		targets = append(targets, target)
	}
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind(), redfish.Kind())})
	if err != nil {
		t.Fatal(err)
	}
	asker := &counted{asker: c}
	every := interval * time.Duration(n) / site
	m, err := monitor.New(monitor.Config{Asker: asker, Every: every, Changed: func(_ context.Context, o monitor.Observation) {
		if o.Err != nil {
			t.Logf("%s: %v", o.Name, o.Err) // a machine that is busy decides nothing here
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Update(targets); err != nil {
		t.Fatal(err)
	}
	// Not with a deadline: sockets notice it before the context does.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(max(every, 2*time.Second), cancel).Stop()
	began, used := time.Now(), cpu(t)
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if asker.asked.Load() == 0 {
		t.Error("no BMC was asked")
	}
	took := time.Since(began)
	t.Logf("%d BMCs, %d questions in %v (%.1f a second), %.2f of a core", n, asker.asked.Load(), took.Round(time.Second),
		float64(asker.asked.Load())/took.Seconds(), (cpu(t)-used).Seconds()/took.Seconds())
}

// counted counts questions.
type counted struct {
	asker monitor.Asker
	asked atomic.Int64
}

func (c *counted) Query(ctx context.Context, t power.Target) (power.State, error) {
	c.asked.Add(1)
	state, err := c.asker.Query(ctx, t)
	if ctx.Err() != nil { // the test has ended
		return power.Unknown, nil
	}
	return state, err
}

// cpu returns the processor time of the process.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
