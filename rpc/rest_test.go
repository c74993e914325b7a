package rpc_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/rpc"
)

// A rack in the process of its region waits after a delivery four times as long as it took, unless its
// outbox fills.
func TestRestBetweenDeliveries(t *testing.T) {
	const took = 10 * time.Millisecond
	for name, tt := range map[string]struct {
		limit int // of the outbox
		want  time.Duration
	}{
		"room":  {0, 5 * took},
		"fills": {4, took},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var began []time.Time
				region := rpc.NewRegion(rpc.RegionConfig{Facts: func(_ context.Context, _ string, facts []rpc.Fact) error {
					began = append(began, time.Now())
					time.Sleep(took) // of the test's clock
					return nil
				}})
				dir := t.TempDir()
				replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
				if err != nil {
					t.Fatal(err)
				}
				defer replica.Close()
				outbox := openOutbox(t, rpc.OutboxConfig{Path: filepath.Join(dir, "outbox"), Limit: tt.limit})
				rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Dial: rpc.Loopback(region, "rack")})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- rack.Serve(ctx) }()
				for range 2 { // each pair of deliveries: the second fact comes while the first is taken
					if err := outbox.Add("fact", 1); err != nil {
						t.Fatal(err)
					}
					time.Sleep(took / 2)
					if err := outbox.Add("fact", 2, 3); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				cancel()
				<-ended
				if len(began) != 4 {
					t.Fatalf("%d deliveries", len(began))
				}
				for i := 0; i < 4; i += 2 {
					if got := began[i+1].Sub(began[i]); got != tt.want {
						t.Errorf("the next delivery began after %v, want %v", got, tt.want)
					}
				}
			})
		})
	}
}
