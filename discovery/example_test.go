package discovery_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
	"github.com/gomaas/maas/discovery/oui"
)

// Watch reports what is on the wire. Here the wire is one in memory; without Open it is the host's.
func Example() {
	segment := discoverytest.NewSegment()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	open := func(name string) (discovery.Conn, error) {
		conn := segment.Port(discovery.Interface{Name: name})
		printer := discovery.MAC{0, 0x15, 0x99, 0, 0, 7}
		segment.Send(discoverytest.ARP(printer, netip.MustParseAddr("192.0.2.7"), discovery.MAC{}, netip.MustParseAddr("192.0.2.1"), false))
		return conn, nil // the frame waits in the port until the watch reads it
	}
	err := discovery.Watch(ctx, discovery.Config{
		Interfaces: []string{"eth0"}, Open: open,
		Sink: func(e discovery.Event) {
			fmt.Println(e.Kind, e.Device.Interface, e.Device.Addr, e.Device.MAC, oui.Lookup(e.Device.MAC[:]))
			cancel()
		},
	})
	fmt.Println(err)
	// Output:
	// new eth0 192.0.2.7 00:15:99:00:00:07 Samsung Electronics Co.,Ltd
	// <nil>
}

// A table keeps quiet about what it knows and speaks up when an address moves to another device.
func ExampleTable() {
	table := discovery.NewTable(discovery.TableConfig{})
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, last := range []byte{1, 1, 2} {
		s := discovery.Observation{Addr: netip.MustParseAddr("192.0.2.7"), MAC: discovery.MAC{2, 0, 0, 0, 0, last}, Source: discovery.ARP}
		if event, ok := table.See("eth0", s, now); ok {
			fmt.Println(event.Kind, event.Device.Addr, event.Device.MAC)
		}
	}
	// Output:
	// new 192.0.2.7 02:00:00:00:00:01
	// moved 192.0.2.7 02:00:00:00:00:02
}
