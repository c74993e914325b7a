package discoverytest_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

// A sweep of a segment finds the hosts that are on it.
func Example() {
	segment := discoverytest.NewSegment()
	segment.Host(discovery.MAC{2, 0, 0, 0, 0, 7}, netip.MustParseAddr("192.0.2.5"), netip.MustParseAddr("2001:db8::5"))
	rack := segment.Port(discovery.Interface{Name: "eth0", MAC: discovery.MAC{2, 0, 0, 0, 0, 1}, Addrs: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/29"), netip.MustParsePrefix("2001:db8::1/125"),
	}})
	_, err := discovery.Sweep(context.Background(), discovery.SweepConfig{
		Conn: rack, Rate: discovery.FastRate, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/29"), netip.MustParsePrefix("2001:db8::/125")},
		Sink: func(s discovery.Observation) { fmt.Println(s.Addr, s.MAC) },
	})
	fmt.Println(err)
	// Output:
	// 192.0.2.5 02:00:00:00:00:07
	// 2001:db8::5 02:00:00:00:00:07
	// <nil>
}
