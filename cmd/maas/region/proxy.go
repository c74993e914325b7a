package region

import (
	"context"

	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// proxyService reads and purges the racks' proxies. It implements [maasapi.Proxy].
type proxyService struct{ region *Region }

// each calls f for each rack of the site. The result for a rack that is not connected has its
// error.
func (p *proxyService) each(ctx context.Context, f func(rack inventory.Rack) maasapi.RackProxy) ([]maasapi.RackProxy, error) {
	racks, err := p.region.inv.Racks.List(ctx)
	out := make([]maasapi.RackProxy, 0, len(racks))
	for _, rack := range racks {
		out = append(out, f(rack))
	}
	return out, err
}

// ProxyStats implements maasapi.Proxy.
func (p *proxyService) ProxyStats(ctx context.Context) ([]maasapi.RackProxy, error) {
	return p.each(ctx, func(rack inventory.Rack) maasapi.RackProxy {
		stats, err := proxyrpc.Stats(ctx, p.region.rack(rack.Name))
		if err != nil {
			return maasapi.RackProxy{Rack: rack.Name, Error: err.Error()}
		}
		return maasapi.RackProxy{Rack: rack.Name, Stats: &stats}
	})
}

// PurgeProxy implements maasapi.Proxy.
func (p *proxyService) PurgeProxy(ctx context.Context, url string, prefix bool) ([]maasapi.RackProxy, error) {
	return p.each(ctx, func(rack inventory.Rack) maasapi.RackProxy {
		n, err := proxyrpc.Purge(ctx, p.region.rack(rack.Name), proxyrpc.Purging{URL: url, Prefix: prefix})
		if err != nil {
			return maasapi.RackProxy{Rack: rack.Name, Error: err.Error()}
		}
		return maasapi.RackProxy{Rack: rack.Name, Purged: n}
	})
}
