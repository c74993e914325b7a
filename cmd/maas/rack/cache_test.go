package rack_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/rpc"
)

func newRack(t *testing.T, dir string) *rack.Rack {
	t.Helper()
	r, err := rack.New(rack.Config{Dir: dir, Dial: func(context.Context) (rpc.Conn, error) { return nil, rpc.ErrUnavailable }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRackCachesInItsDirectory(t *testing.T) {
	dir := t.TempDir()
	r := newRack(t, dir)
	cache := proxy.CacheConfig{Dir: filepath.Join(dir, "cache")}
	if _, err := proxy.OpenCache(cache); err == nil {
		t.Error("the rack does not hold its cache")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := proxy.OpenCache(cache)
	if err != nil {
		t.Fatalf("the rack did not release its cache: %v", err)
	}
	again.Close()
}

func TestRackServesWithoutItsCache(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cache"), nil, 0o600); err != nil { // in the way
		t.Fatal(err)
	}
	if err := newRack(t, dir).Close(); err != nil {
		t.Error(err)
	}
}
