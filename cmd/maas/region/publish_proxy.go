package region

import (
	"fmt"

	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// publishProxies plans the racks' proxies again: they keep machines from the BMCs of all others,
// and a machine has got another BMC.
func (r *Region) publishProxies(m *inventory.Model) error {
	for _, rack := range m.Racks {
		objects, err := r.proxyObjects(m, rack)
		if err != nil {
			return fmt.Errorf("plan %s for rack %s: %w", proxyrpc.Topic, rack.Name, err)
		}
		r.sent(rack.Name, proxyrpc.Topic, len(objects), r.rpc.State(rack.Name).Set(proxyrpc.Topic, objects))
	}
	return nil
}

// proxyObjects returns what a rack's proxy is sent.
func (r *Region) proxyObjects(m *inventory.Model, rack inventory.Rack) (map[string][]byte, error) {
	if m.Assignment(rack).Empty() {
		return nil, nil // the site's proxy may have a password
	}
	return proxyrpc.Objects(proxyrpc.Content(plan.Proxy(m, rack.Name, r.localRack, r.published.bmcs)))
}
