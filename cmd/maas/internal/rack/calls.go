package rack

import (
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
)

// methods is what the region may call.
func (r *Rack) methods() *rpc.Methods {
	m := new(rpc.Methods)
	if r.cfg.Power != nil {
		powerrpc.Offer(m, r.cfg.Power)
	}
	proxyrpc.Offer(m, r.proxy, r.cache)
	discoveryrpc.OfferScans(m, r.discover)
	return m
}
