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
