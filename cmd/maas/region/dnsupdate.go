package region

import (
	"context"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory/plan"
)

// dynamicUpdate commits what a rack's DNS server was asked to change. The rack has checked the signature; whether the key may
// do that is decided here again. What the site does not allow is an answer, not an error.
func (r *Region) dynamicUpdate(ctx context.Context, key string, message []byte) (rcode int, err error) {
	rcode, err = r.inv.DynamicUpdate(ctx, key, message, plan.DNS)
	if err != nil && rcode == dns.RcodeServerFailure {
		return rcode, err
	}
	r.log.Info("dynamic update", "rack", rpc.CallingRack(ctx), "key", key, "result", dns.RcodeToString[rcode], "err", err)
	return rcode, nil
}
