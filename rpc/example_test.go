package rpc_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gomaas/maas/rpc"
)

// A region tells a rack what to serve, the rack reports what it saw, and the region calls the rack.
func Example() {
	dir, err := os.MkdirTemp("", "rack")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	seen := make(chan string)
	region := rpc.NewRegion(rpc.RegionConfig{
		Facts: func(_ context.Context, rack string, facts []rpc.Fact) error {
			seen <- fmt.Sprintf("%s reports %s %s", rack, facts[0].Kind, facts[0].Data)
			return nil
		},
	})
	region.State("rack-1").Set("dns", map[string][]byte{"web": []byte("192.0.2.7")})

	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	if err != nil {
		log.Fatal(err)
	}
	defer replica.Close()
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	if err != nil {
		log.Fatal(err)
	}
	defer outbox.Close()

	served := make(chan string)
	rack, err := rpc.NewRack(rpc.RackConfig{
		Replica: replica,
		Outbox:  outbox,
		Dial:    rpc.Loopback(region, "rack-1"),
		Topics: []rpc.Topic{{Name: "dns", Apply: func(_ context.Context, objects map[string][]byte) error {
			served <- "web is " + string(objects["web"])
			return nil
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- rack.Serve(ctx) }()
	fmt.Println(<-served)

	if err := outbox.Add("lease", "192.0.2.100"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-seen)

	cancel()
	fmt.Println("ended:", <-done)
	// Output:
	// web is 192.0.2.7
	// rack-1 reports lease "192.0.2.100"
	// ended: <nil>
}
