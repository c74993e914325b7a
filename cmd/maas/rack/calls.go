package rack

import (
	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
)

// Methods is what regions may call, for callers that connect to further regions.
func (r *Rack) Methods() *rpc.Methods { return &r.methods }

// offer adds them.
func (r *Rack) offer(m *rpc.Methods) {
	if r.cfg.Power != nil {
		powerrpc.Offer(m, r.cfg.Power)
	}
	explain.Offer(m, r.Explain)
	proxyrpc.Offer(m, r.proxy, r.cache)
	discoveryrpc.OfferScans(m, r.discover)
}
