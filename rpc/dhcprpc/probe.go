package dhcprpc

import (
	"context"
	"net/netip"

	"github.com/gomaas/maas/rpc"
)

// probeMethod is the name of the call.
const probeMethod = "dhcp.probe"

type probeRequest struct {
	Addr netip.Addr `json:"ip"`
}

type probeAnswer struct {
	InUse bool `json:"in_use"`
}

// OfferProbe lets the region ask a rack whether an address is in use. A rack's probe finds the
// interface that reaches the address and asks its [dhcpsrv.Prober].
func OfferProbe(m *rpc.Methods, probe func(ctx context.Context, addr netip.Addr) (inUse bool, err error)) {
	rpc.Offer(m, probeMethod, func(ctx context.Context, r probeRequest) (probeAnswer, error) {
		inUse, err := probe(ctx, r.Addr)
		return probeAnswer{inUse}, err
	})
}

// Probe asks the rack behind the caller whether an address is in use. The error is
// [rpc.ErrUnavailable] if the rack is not connected, [rpc.ErrUnknownMethod] if it does not probe.
func Probe(ctx context.Context, c rpc.Caller, addr netip.Addr) (inUse bool, err error) {
	answer, err := rpc.Do[probeAnswer](ctx, c, probeMethod, probeRequest{addr})
	return answer.InUse, err
}
