package dhcprpc

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"

	"github.com/gomaas/maas/rpc"
)

// releaseMethod is the name of the call.
const releaseMethod = "dhcp.release"

type releaseRequest struct {
	Addr netip.Addr `json:"ip"`
}

type released struct {
	Released bool `json:"released"`
}

// Releaser ends leases. A dhcpsrv.Server is one.
type Releaser interface {
	// Release ends the lease of an address. Without one, the error wraps [fs.ErrNotExist].
	Release(ctx context.Context, addr netip.Addr) error
}

// OfferRelease lets the region end leases of a rack.
func OfferRelease(m *rpc.Methods, r Releaser) {
	rpc.Offer(m, releaseMethod, func(ctx context.Context, q releaseRequest) (released, error) {
		err := r.Release(ctx, q.Addr)
		if errors.Is(err, fs.ErrNotExist) {
			return released{}, nil
		}
		return released{err == nil}, err
	})
}

// Release has the rack behind the caller end the lease of an address, and reports whether it had
// one. The error is [rpc.ErrUnavailable] if the rack is not connected, [rpc.ErrUnknownMethod] if it
// is older than this call.
func Release(ctx context.Context, c rpc.Caller, addr netip.Addr) (bool, error) {
	r, err := rpc.Do[released](ctx, c, releaseMethod, releaseRequest{addr})
	return r.Released, err
}
