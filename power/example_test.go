package power_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/redfish"
)

// A machine behind a simulated BMC is switched on and boots from the network, once.
func Example() {
	chassis := &powersim.Chassis{OnPower: func(on bool, boot power.BootDevice) {
		fmt.Println("power:", on, "boot from:", boot)
	}}
	bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
	if err != nil {
		log.Fatal(err)
	}
	defer bmc.Close()

	c, err := power.NewController(power.Config{
		Registry: power.NewRegistry(ipmi.Kind(), redfish.Kind()),
		Poll:     10 * time.Millisecond,
	})
	if err != nil {
		log.Fatal(err)
	}
	result, err := c.Ensure(context.Background(), bmc.Target(), power.On, power.Options{Boot: power.Network})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Before, "->", result.State)
	for _, step := range result.Steps {
		fmt.Println(step.Op)
	}
	// Output:
	// power: true boot from: network
	// off -> on
	// boot once from network
	// set power on
}

// Three machines are switched on side by side, and their steps are printed as they happen.
func ExampleController_EnsureAll() {
	var targets []power.Target
	for _, name := range []string{"node1", "node2", "node3"} {
		bmc, err := powersim.ServeIPMI(&powersim.Chassis{}, "admin", "secret")
		if err != nil {
			log.Fatal(err)
		}
		defer bmc.Close()
		target := bmc.Target()
		target.Name = name
		targets = append(targets, target)
	}
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind()), Poll: 10 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	options := power.Options{Step: func(target string, s power.Step) { fmt.Println(target, s.Op) }}
	for result, err := range c.EnsureAll(context.Background(), targets, power.On, options) {
		fmt.Println(result.Name, result.State, err)
	}
	// Unordered output:
	// node1 set power on
	// node1 on <nil>
	// node2 set power on
	// node2 on <nil>
	// node3 set power on
	// node3 on <nil>
}
