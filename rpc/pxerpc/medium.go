package pxerpc

import (
	"context"
	"net"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
)

// mediumMethod is the name of the call.
const mediumMethod = "boot.medium"

// MediumRequest asks a rack for a boot medium of one machine.
type MediumRequest struct {
	MAC     net.HardwareAddr `json:"mac"`
	Network pxe.Network      `json:"network"`
	// Profile describes the boot: the rack may not serve the machine's network.
	Profile pxe.Profile `json:"profile"`
	// Reader is the host that reads the medium, an address or a name: the URL has the address of
	// the rack that this host reaches. Empty means the machine.
	Reader string `json:"reader,omitempty"`
}

// mediumAnswer is the outcome. A refusal is part of it, so that its text arrives.
type mediumAnswer struct {
	URL   string `json:"url,omitempty"`
	Error string `json:"error,omitempty"`
}

// MediumError is a rack's refusal to make a medium.
type MediumError string

// Error returns the refusal.
func (e MediumError) Error() string { return string(e) }

// OfferMedia lets regions have media made, by a function that returns the URL of one.
func OfferMedia(m *rpc.Methods, add func(context.Context, MediumRequest) (string, error)) {
	rpc.Offer(m, mediumMethod, func(ctx context.Context, r MediumRequest) (mediumAnswer, error) {
		url, err := add(ctx, r)
		if err != nil {
			return mediumAnswer{Error: err.Error()}, nil
		}
		return mediumAnswer{URL: url}, nil
	})
}

// Medium has the rack behind the caller make a medium, and returns its URL, which lets its readers
// in. A refusal is a [MediumError].
func Medium(ctx context.Context, c rpc.Caller, r MediumRequest) (string, error) {
	a, err := rpc.Do[mediumAnswer](ctx, c, mediumMethod, r)
	if err == nil && a.Error != "" {
		err = MediumError(a.Error)
	}
	return a.URL, err
}
