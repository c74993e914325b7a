package region

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// takeObservation records a sighting by a rack. An address in a subnet that the rack does not serve
// is not recorded: it would count as in use where another rack gives it.
func (r *Region) takeObservation(ctx context.Context, from *authority, seen discoveryrpc.Fact) error {
	e := discoveryrpc.EventOf(seen)
	if addr := e.Device.Addr; addr.IsValid() && !from.a.Serves(addr) {
		if _, err := r.inv.SubnetFor(ctx, addr); err == nil {
			if err := from.address(ctx, addr, fmt.Sprintf("%s at %s", e.Device.MAC, addr)); err != nil {
				return err
			}
		}
	}
	return r.inv.Discoveries.Record(ctx, from.rack, e)
}

// beaconKey derives the key that authenticates the beacons between racks. Racks get this key, so it
// must not reveal the region's secret, from which it follows.
func beaconKey(secret []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("beacons between racks"))
	return h.Sum(nil)
}

// discoveryPolicy returns a rack's part in discovery.
func (r *Region) discoveryPolicy(m *inventory.Model, rack inventory.Rack) discoveryrpc.Policy {
	if m.Assignment(rack).Empty() {
		return discoveryrpc.Policy{Rack: rack.Name}
	}
	plan := plan.Discovery(m, rack)
	return discoveryrpc.Policy{
		Rack: rack.Name, Passive: plan.Listen, Ignore: plan.Ignore, Resolvers: plan.Resolvers, BeaconKey: r.beacons, Subnets: plan.Subnets, Confirm: plan.Confirm,
	}
}

// discoveryTime is the interval at which expired observations are removed and due sweeps are
// started, as in MAAS.
const discoveryTime = 5 * time.Minute

// discover removes expired observations and sweeps subnets until ctx ends.
func (r *Region) discover(ctx context.Context) error {
	tick := time.NewTicker(discoveryTime)
	defer tick.Stop()
	for {
		if err := r.freshen(ctx, time.Now()); err != nil && ctx.Err() == nil {
			r.log.Error("upkeep of discoveries failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// settleScans follows the scans that this region started until ctx ends. The leader of sweeps
// cannot do it: each region knows its own scans only, and clients start scans at any region.
func (r *Region) settleScans(ctx context.Context) error {
	tick := time.NewTicker(discoveryTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.scans.settle(ctx)
			r.vendors.refresh()
		}
	}
}

// freshen removes expired observations and starts the sweeps that are due.
func (r *Region) freshen(ctx context.Context, now time.Time) error {
	if _, err := r.inv.Discoveries.Expire(ctx, now); err != nil {
		return err
	}
	model, err := r.inv.Model(ctx)
	if err != nil {
		return err
	}
	interval := model.ScanInterval()
	if interval == 0 {
		return nil
	}
	report := r.scans.start(ctx, model, scanWish{interval: interval, slow: true, wanted: func(s ipam.Subnet) bool { return s.ActiveDiscovery }})
	if len(report.Started) > 0 {
		r.log.Info("scan of subnets started", "racks", report.Started)
	}
	return nil
}
