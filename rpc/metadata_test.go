package rpc_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/rpc"
)

// What came along with the last change is told where it is served, once: it is not kept on disk.
func TestMetadataComesAlongWithAnUpdate(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		replica, err := rpc.OpenReplica(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer replica.Close()
		var seen []string
		tell := func(ctx context.Context, how string) error {
			seen = append(seen, fmt.Sprint(how, " ", rpc.Serving(ctx).Revision, " ", rpc.Metadata(ctx)["by"]))
			return nil
		}
		region := rpc.NewRegion(rpc.RegionConfig{})
		rack, err := rpc.NewRack(rpc.RackConfig{
			Replica: replica, Outbox: openOutbox(t, rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")}), Dial: rpc.Loopback(region, "rack"),
			Topics: []rpc.Topic{{
				Name:   "dns",
				Apply:  func(ctx context.Context, _ map[string][]byte) error { return tell(ctx, "apply") },
				Change: func(ctx context.Context, _ []rpc.Object) error { return tell(ctx, "change") },
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- rack.Serve(ctx) }()
		state := region.State("rack")
		for i, by := range []string{"ada", "", "bob"} {
			state.Carry(map[string]string{"by": by})
			state.Change("dns", values(fmt.Sprint(i), ""), nil)
			synctest.Wait()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := rack.Restore(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"apply 1 ada", "change 2 ", "change 3 bob", "apply 3 "}, seen); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestCallsAreWatched(t *testing.T) {
	var m rpc.Methods
	rpc.Offer(&m, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	var seen []string
	m.Watch(func(ctx context.Context, method string, next func(context.Context) ([]byte, error)) ([]byte, error) {
		out, err := next(ctx)
		seen = append(seen, fmt.Sprintf("%s %s %v", method, out, err != nil))
		return out, err
	})
	for _, in := range []string{"2", `"two"`} {
		_, _ = m.Call(t.Context(), "double", []byte(in)) // what comes of it is seen
	}
	m.Watch(nil)
	if out, err := m.Call(t.Context(), "double", []byte("3")); string(out) != "6" || err != nil {
		t.Errorf("not watched any more: %s, %v", out, err)
	}
	if diff := cmp.Diff([]string{"double 4 false", "double  true"}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
