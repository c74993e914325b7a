package discovery_test

import (
	"context"
	"testing"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func TestWatchSeesARealPeer(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("arping", "arping"))
	lab := netlab.New(t)
	rack, host := lab.NS("rack"), lab.NS("host")
	lab.Veth(rack, "eth0", host, "eth0")
	rack.Addr("eth0", "192.0.2.1/24")
	host.Addr("eth0", "192.0.2.7/24")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	events := make(chan discovery.Event, 16)
	done := make(chan error, 1)
	go func() {
		// Watch opens its sockets before it starts goroutines, so they are inside the namespace; Do ends with Watch.
		done <- rack.Do(func() error {
			return discovery.Watch(ctx, discovery.Config{Interfaces: []string{"eth0"}, Sink: func(e discovery.Event) { events <- e }})
		})
	}()
	// The peer keeps asking until it has been seen: the first question may come before the socket is open.
	peer := host.Command(ctx, "arping", "-i", "eth0", "192.0.2.1")
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	defer peer.Wait() // ended by ctx
	for e := range events {
		if e.Kind == discovery.New && e.Observation.Addr.String() == "192.0.2.7" {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWatchNamesAMissingInterface(t *testing.T) {
	err := discovery.Watch(t.Context(), discovery.Config{Interfaces: []string{"none0"}, Sink: func(discovery.Event) {}})
	if err == nil || err.Error() == "" {
		t.Fatal("no error")
	}
}
