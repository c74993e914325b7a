package dhcprpc_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
)

func TestProbeIsCalled(t *testing.T) {
	used, broken := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1")
	methods := new(rpc.Methods)
	if _, err := dhcprpc.Probe(t.Context(), methods, used); !errors.Is(err, rpc.ErrUnknownMethod) {
		t.Errorf("a rack that does not probe: %v", err)
	}
	dhcprpc.OfferProbe(methods, func(_ context.Context, a netip.Addr) (bool, error) {
		if a == broken {
			return true, errors.New("no raw socket")
		}
		return a == used, nil
	})
	for _, a := range []netip.Addr{used, netip.MustParseAddr("192.0.2.8")} {
		if inUse, err := dhcprpc.Probe(t.Context(), methods, a); err != nil || inUse != (a == used) {
			t.Errorf("%s: %v, %v", a, inUse, err)
		}
	}
	if inUse, err := dhcprpc.Probe(t.Context(), methods, broken); inUse || err == nil || !strings.Contains(err.Error(), "no raw socket") {
		t.Errorf("a probe that fails: %v, %v", inUse, err)
	}
}
