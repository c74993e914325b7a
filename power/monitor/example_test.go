package monitor_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/monitor"
)

// on answers for BMCs whose machines are all switched on. A power.Controller asks real ones.
type on struct{}

func (on) Query(context.Context, power.Target) (power.State, error) { return power.On, nil }

// Reports each machine once, and again when its state changes.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, err := monitor.New(monitor.Config{Asker: on{}, Every: time.Millisecond, Changed: func(_ context.Context, o monitor.Observation) {
		fmt.Println(o.Name, "is", o.State)
		cancel()
	}})
	if err != nil {
		panic(err)
	}
	if err := m.Update([]power.Target{{Name: "node-1", Kind: "ipmi"}}); err != nil {
		panic(err)
	}
	if err := m.Run(ctx); err != nil {
		panic(err)
	}
	// Output: node-1 is on
}
