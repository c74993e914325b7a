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

// Probed is the result of a probe.
type Probed struct {
	InUse bool `json:"in_use"`
	// Owner is the link address of the host that answered; empty if the rack does not know it.
	Owner string `json:"mac,omitempty"`
}

// OfferProbe lets the region ask a rack whether an address is in use. A rack's probe finds the
// interface that reaches the address and asks its [dhcpsrv.Prober].
func OfferProbe(m *rpc.Methods, probe func(ctx context.Context, addr netip.Addr) (Probed, error)) {
	rpc.Offer(m, probeMethod, func(ctx context.Context, r probeRequest) (Probed, error) { return probe(ctx, r.Addr) })
}

// Probe asks the rack behind the caller whether an address is in use. The error is
// [rpc.ErrUnavailable] if the rack is not connected, [rpc.ErrUnknownMethod] if it does not probe.
func Probe(ctx context.Context, c rpc.Caller, addr netip.Addr) (Probed, error) {
	return rpc.Do[Probed](ctx, c, probeMethod, probeRequest{addr})
}
