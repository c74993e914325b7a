package region

import (
	"context"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory/plan"
)

// dynamicUpdate commits an update that a client sent to a rack's DNS server. The rack has verified
// the signature, but authority is the region's: it checks again whether the key may change these
// names. A refusal is an answer, not an error, so that the rack does not repeat the call.
func (r *Region) dynamicUpdate(ctx context.Context, key string, message []byte) (rcode int, err error) {
	rcode, err = r.inv.DynamicUpdate(ctx, key, message, plan.DNS)
	if err != nil && rcode == dns.RcodeServerFailure {
		return rcode, err
	}
	r.log.Info("dynamic update", "rack", rpc.CallingRack(ctx), "key", key, "result", dns.RcodeToString[rcode], "err", err)
	return rcode, nil
}
