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
	dhcprpc.OfferProbe(methods, func(_ context.Context, a netip.Addr) (dhcprpc.Probed, error) {
		if a == broken {
			return dhcprpc.Probed{InUse: true}, errors.New("no raw socket")
		}
		if a != used {
			return dhcprpc.Probed{}, nil
		}
		return dhcprpc.Probed{InUse: true, Owner: "02:00:00:00:00:09"}, nil
	})
	for _, a := range []netip.Addr{used, netip.MustParseAddr("192.0.2.8")} {
		if p, err := dhcprpc.Probe(t.Context(), methods, a); err != nil || p.InUse != (a == used) || (p.Owner != "") != (a == used) {
			t.Errorf("%s: %v, %v", a, p, err)
		}
	}
	if p, err := dhcprpc.Probe(t.Context(), methods, broken); p.InUse || err == nil || !strings.Contains(err.Error(), "no raw socket") {
		t.Errorf("a probe that fails: %v, %v", p, err)
	}
}
