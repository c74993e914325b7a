package dhcprpc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
)

type releaser map[string]error

func (r releaser) Release(_ context.Context, a netip.Addr) error { return r[a.String()] }

func TestReleaseIsCalled(t *testing.T) {
	methods := new(rpc.Methods)
	addr := netip.MustParseAddr
	if _, err := dhcprpc.Release(t.Context(), methods, addr("192.0.2.1")); !errors.Is(err, rpc.ErrUnknownMethod) {
		t.Errorf("an older rack: %v", err)
	}
	dhcprpc.OfferRelease(methods, releaser{"192.0.2.2": fmt.Errorf("no lease: %w", fs.ErrNotExist), "192.0.2.3": errors.New("disk full")})
	for a, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false} {
		if done, err := dhcprpc.Release(t.Context(), methods, addr(a)); done != want || err != nil {
			t.Errorf("%s: %v, %v", a, done, err)
		}
	}
	if done, err := dhcprpc.Release(t.Context(), methods, addr("192.0.2.3")); done || err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("%v, %v", done, err)
	}
}
