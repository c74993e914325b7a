package region

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/plan"
)

// checkNetworks refuses networks that the DHCP server of a rack would refuse, by the same check: a
// rack could only serve its older state, and the client that caused it would not learn it. A rack
// that refuses the published networks already blocks nothing, or its cure in steps were impossible.
func (r *Region) checkNetworks(m *inventory.Model) error {
	for _, rack := range m.Racks {
		err := checkDHCP(m, rack)
		if err == nil {
			continue
		}
		if last := r.networks.Load(); last != nil && refuses(last, rack.Name) {
			continue
		}
		return &inventory.InvalidError{Kind: kinds.Rack, Name: rack.Name, Field: "__all__",
			Why: fmt.Sprintf("rack %s would refuse the networks that this leads to: %v", rack.Name, err)}
	}
	return nil
}

// refuses reports whether a rack refuses the networks of a model.
func refuses(m *inventory.Model, rack string) bool {
	for _, r := range m.Racks {
		if r.Name == rack {
			return checkDHCP(m, r) != nil
		}
	}
	return false
}

// checkDHCP returns the error of a rack's DHCP server for its networks.
func checkDHCP(m *inventory.Model, rack inventory.Rack) error {
	snap := plan.DHCPNetworks(m, rack)
	if len(snap.Subnets) == 0 {
		return nil
	}
	// Racks have the means for automatic mode; the function here is never called.
	server, err := dhcpsrv.New(dhcpsrv.Config{FindServers: func(context.Context, string) ([]dhcpsrv.RogueServer, error) { return nil, nil }})
	if err != nil {
		return err
	}
	err = server.Update(snap)
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}
