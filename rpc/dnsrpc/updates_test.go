package dnsrpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
)

func TestUpdatesReachTheRegion(t *testing.T) {
	var methods rpc.Methods
	var updater dnssrv.Updater = dnsrpc.Updater{Region: &methods}
	if _, err := updater.Update(t.Context(), "k.", nil); !errors.Is(err, rpc.ErrUnknownMethod) {
		t.Errorf("a region that takes none: %v", err)
	}
	dnsrpc.OfferUpdates(&methods, func(_ context.Context, key string, message []byte) (int, error) {
		if key != "k." || string(message) != "\x00m" {
			t.Errorf("%s %q arrived", key, message)
		}
		return 5, nil
	})
	if rcode, err := updater.Update(t.Context(), "k.", []byte("\x00m")); rcode != 5 || err != nil {
		t.Errorf("%d, %v", rcode, err)
	}
}
