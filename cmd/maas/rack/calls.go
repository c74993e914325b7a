package rack

import (
	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// Methods returns the methods that regions may call, for callers that connect to further regions.
func (r *Rack) Methods() *rpc.Methods { return &r.methods }

// offer registers the methods that regions may call.
func (r *Rack) offer(m *rpc.Methods) error {
	if r.cfg.Power.Registry != nil {
		cfg := r.cfg.Power
		if cfg.Log == nil {
			cfg.Log = r.log.With("component", "power")
		}
		controller, err := power.NewController(cfg)
		if err != nil {
			return err
		}
		powerrpc.Offer(m, controller)
		r.consoles = powerrpc.OfferConsoles(m, controller)
	}
	explain.Offer(m, r.Explain)
	pxerpc.OfferMedia(m, r.addMedium)
	dhcprpc.OfferRelease(m, r.dhcp)
	proxyrpc.Offer(m, r.proxy, r.cache)
	discoveryrpc.OfferScans(m, r.discover)
	if r.cfg.Prober != nil {
		dhcprpc.OfferProbe(m, r.probe)
	}
	return nil
}
