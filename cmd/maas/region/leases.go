package region

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// leaseService has racks end leases. It implements [maasapi.LeaseReleaser].
type leaseService struct{ region *Region }

// ReleaseLease asks each rack of the subnet, since only one of two partners may be connected and
// either can end the lease.
func (s *leaseService) ReleaseLease(ctx context.Context, addr netip.Addr) error {
	model, err := s.region.inv.Model(ctx)
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(model.Subnets, func(s ipam.Subnet) bool { return s.Prefix.Contains(addr) || s.Delegates(addr) })
	if !known {
		return &inventory.NotFoundError{Kind: "lease", What: "of " + addr.String()}
	}
	// A rack that serves a subnet behind a relay has no address there, and knows its leases as
	// well.
	var racks []string
	for _, r := range model.Racks {
		if a := model.Assignment(r); a.Serves(addr) || a.Delegates(addr) {
			racks = append(racks, r.Name)
		}
	}
	racks, err = (&rackProber{region: s.region, wait: s.region.power.rackWait}).connected(ctx, racks)
	if err == nil && len(racks) == 0 {
		return fmt.Errorf("the rack that serves %v is %w: none is connected", addr, maasapi.ErrUnreachable)
	}
	for _, rack := range racks {
		done, failed := s.ask(ctx, rack, addr)
		if done {
			return nil
		}
		err = errors.Join(err, failed)
	}
	if err == nil {
		err = &inventory.NotFoundError{Kind: "lease", What: "of " + addr.String()}
	}
	return err
}

func (s *leaseService) ask(ctx context.Context, rack string, addr netip.Addr) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	done, err := dhcprpc.Release(ctx, s.region.rack(rack), addr)
	if err != nil {
		return false, fmt.Errorf("rack %s is %w: %w", rack, maasapi.ErrUnreachable, err)
	}
	return done, nil
}
