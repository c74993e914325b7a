package plan_test

import (
	"fmt"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// Machines are spread over zones as evenly as can be.
func ExampleSpread() {
	var machines []inventory.Machine
	for i, zone := range []int64{1, 1, 1, 1, 2, 2, 3} {
		machines = append(machines, inventory.Machine{ID: int64(i), ZoneID: zone, Hostname: fmt.Sprintf("node%d-zone%d", i, zone)})
	}
	picked, err := plan.Spread(machines, 4, plan.Constraints{NotZones: []int64{3}})
	for _, m := range picked {
		fmt.Println(m.Hostname)
	}
	fmt.Println(err)
	// Output:
	// node0-zone1
	// node4-zone2
	// node1-zone1
	// node5-zone2
	// <nil>
}
