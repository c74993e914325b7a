package bootlog_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/pxe/bootlog"
)

func Example() {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	s, err := bootlog.New(bootlog.Config{
		Identify: func(a netip.Addr) (net.HardwareAddr, bool) { return mac, a == netip.MustParseAddr("192.0.2.7") },
		Batches:  func(b bootlog.Batch) { fmt.Println(b.MAC, b.Lines) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s.Follow(mac, time.Now().Add(time.Hour)) // it boots
	s.Handle([]byte("<6>Dec  1 01:44:00 node1 kernel: e1000: link up"), netip.MustParseAddr("192.0.2.7"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil { // hands out the last lines
		fmt.Println(err)
	}
	// Output: 02:00:00:00:00:01 [kernel: e1000: link up]
}

func ExampleFaultOf() {
	f, ok := bootlog.FaultOf("IP-Config: no response after 60 secs - giving up")
	fmt.Println(ok, f.Name)
	_, ok = bootlog.FaultOf("e1000: link up")
	fmt.Println(ok)
	// Output:
	// true dhcp
	// false
}
