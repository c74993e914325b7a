package region

import (
	"context"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/store/inventory"
)

// takeObservation records what a rack saw.
func (r *Region) takeObservation(ctx context.Context, rack string, seen discoveryrpc.Fact) error {
	if !seen.Addr.IsValid() || seen.MAC == (discovery.MAC{}) || seen.Event == discovery.Expired {
		return nil
	}
	return r.inv.Observe(ctx, inventory.Observation{
		Addr: seen.Addr, MAC: seen.HardwareAddr(), Rack: rack, Link: seen.Interface, VID: int(seen.VID), Hostname: seen.Hostname(),
		FirstSeen: seen.First, LastSeen: seen.Last,
	})
}
