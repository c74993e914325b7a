package dnsrpc

import (
	"context"

	"github.com/gomaas/maas/rpc"
)

// UpdateMethod is the name of the call by which a rack hands a dynamic update to its region.
const UpdateMethod = "dns.update"

// update is a dynamic update that a rack has authenticated.
type update struct {
	Key     string `json:"key"`
	Message []byte `json:"message"`
}

// updated is the answer to an update.
type updated struct {
	Rcode int `json:"rcode"`
}

// OfferUpdates lets racks hand dynamic updates to a region, which makes them with the function; see
// [dnssrv.Updater].
func OfferUpdates(m *rpc.Methods, make func(ctx context.Context, key string, message []byte) (rcode int, err error)) {
	rpc.Offer(m, UpdateMethod, func(ctx context.Context, u update) (updated, error) {
		rcode, err := make(ctx, u.Key, u.Message)
		return updated{rcode}, err
	})
}

// An Updater is the [dnssrv.Updater] of a rack. A region that cannot be reached is an error, so
// that clients receive SERVFAIL and try again.
type Updater struct{ Region rpc.Caller }

// Update hands over one update.
func (u Updater) Update(ctx context.Context, key string, message []byte) (rcode int, err error) {
	answer, err := rpc.Do[updated](ctx, u.Region, UpdateMethod, update{key, message})
	return answer.Rcode, err
}
