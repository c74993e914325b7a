package discovery_test

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/discovery"
)

// A table keeps quiet about what it knows and speaks up when an address moves to another device.
func ExampleTable() {
	table := discovery.NewTable(discovery.TableConfig{})
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, mac := range []string{"02:00:00:00:00:01", "02:00:00:00:00:01", "02:00:00:00:00:02"} {
		hw, _ := net.ParseMAC(mac)
		event, ok := table.See("eth0", discovery.Sighting{Addr: netip.MustParseAddr("192.0.2.7"), MAC: hw}, now)
		if ok {
			fmt.Println(event.Kind, event.Observation.Addr, event.Observation.MAC)
		}
	}
	// Output:
	// new 192.0.2.7 02:00:00:00:00:01
	// moved 192.0.2.7 02:00:00:00:00:02
}
