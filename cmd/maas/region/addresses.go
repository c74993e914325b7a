package region

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/store/inventory"
)

const (
	// probeTime limits one probe. A rack waits half a second for an answer, so the rest is the way.
	probeTime = 5 * time.Second
	// probeRacks is the number of racks asked about one address before it counts as not probed: the
	// same as the two retries of MAAS.
	probeRacks = 3
)

// assignsAddresses reports whether an action starts a deployment. MAAS assigns automatic addresses
// then: a machine that is merely ready keeps none, so that a release frees all of them.
func assignsAddresses(m inventory.Machine, action power.Action) bool {
	switch m.Status {
	case inventory.StatusAllocated, inventory.StatusDeploying, inventory.StatusDeployed:
		return action == power.ActionOn || action == power.ActionCycle
	}
	return false
}

// assignAddresses gives the automatic links of a machine their addresses, each probed first by a
// rack on its subnet. It precedes power on: the machine asks for its address once it boots.
func (p *powerService) assignAddresses(ctx context.Context, m inventory.Machine) error {
	used, err := p.region.inv.ClaimAutoChecked(ctx, m.ID, &rackProber{region: p.region, machine: m, wait: p.rackWait})
	if len(used) > 0 {
		p.region.log.Warn("addresses in use, others assigned", "machine", m.FQDN, "ip", used)
	}
	if err != nil {
		return fmt.Errorf("assign the addresses of machine %s: %w", m.FQDN, err)
	}
	return nil
}

// rackProber has racks probe the addresses of one machine. It implements
// [inventory.AddressChecker].
type rackProber struct {
	region  *Region
	machine inventory.Machine // its own answers are no conflict
	wait    time.Duration     // for a first rack
	waited  bool
}

// errNoRack is the error of a subnet without a connected rack.
var errNoRack = fmt.Errorf("no rack with an address in the subnet is connected: %w", rpc.ErrUnavailable)

// InUse asks one rack after the other until one has an answer.
func (p *rackProber) InUse(ctx context.Context, subnet ipam.Subnet, addr netip.Addr) (inUse bool, err error) {
	racks, err := p.racksOn(ctx, subnet)
	if err == nil && len(racks) == 0 {
		err = errNoRack
	}
	for _, rack := range racks {
		if inUse, err = p.ask(ctx, rack, addr); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		p.region.log.Warn("address assigned without a probe", "ip", addr, "subnet", subnet.Prefix, "err", err)
	}
	return inUse, err
}

// ask has one rack probe an address.
func (p *rackProber) ask(ctx context.Context, rack string, addr netip.Addr) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	probed, err := dhcprpc.Probe(ctx, p.region.rack(rack), addr)
	if err != nil {
		return false, fmt.Errorf("rack %s: %w", rack, err)
	}
	own := slices.ContainsFunc(p.machine.Interfaces, func(i inventory.Interface) bool { return len(i.MAC) > 0 && i.MAC.String() == probed.Owner })
	return probed.InUse && !own, nil
}

// racksOn returns the connected racks that have an address in a subnet, at most probeRacks. If none
// is connected, it waits for one, once for all addresses of the machine: after a start of the
// region its racks take a moment to connect.
func (p *rackProber) racksOn(ctx context.Context, subnet ipam.Subnet) (names []string, err error) {
	racks, err := p.region.inv.Racks.List(ctx)
	for _, r := range racks {
		if r.LinkedTo(subnet) {
			names = append(names, r.Name)
		}
	}
	if err != nil {
		return nil, err
	}
	names, err = p.connected(ctx, names)
	return names[:min(len(names), probeRacks)], err
}

// connected returns those of the racks that are connected, and waits for one of them once.
func (p *rackProber) connected(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if !p.waited {
		p.waited = true
		wait, cancel := context.WithTimeout(ctx, p.wait)
		defer cancel()
		if err := p.region.rpc.Await(wait, names...); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
	connected := p.region.rpc.Racks()
	names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(connected, name) })
	return names, nil
}
