package region

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/plan"
)

// checkServed refuses networks and reservations that the DHCP server of a rack would refuse, by the
// same check: a rack could only serve its older state, and the client that caused it would not
// learn it. A rack that refuses what it was sent already blocks nothing, or its cure in steps were
// impossible.
func (r *Region) checkServed(m *inventory.Model) error {
	for _, rack := range m.Racks {
		err := checkDHCP(plan.DHCP(m, rack))
		if err == nil || r.refusesAlready(rack.Name) {
			continue
		}
		return &inventory.InvalidError{Kind: kinds.Rack, Name: rack.Name, Field: "__all__",
			Why: fmt.Sprintf("rack %s would refuse the networks that this leads to: %v", rack.Name, err)}
	}
	return nil
}

// refusesAlready reports whether a rack refuses what it was sent last.
func (r *Region) refusesAlready(rack string) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what was sent is read, and not waited for
	sent, err := r.rpc.State(rack).Next(ctx, dhcprpc.Topic, rpc.Position{})
	if err != nil {
		return false
	}
	objects := make(map[string][]byte, len(sent.Objects))
	for _, o := range sent.Objects {
		objects[o.Key] = o.Value
	}
	snap, _, err := dhcprpc.Snapshot(objects)
	return err == nil && checkDHCP(snap) != nil
}

// checkDHCP returns the error of a DHCP server for a snapshot.
func checkDHCP(snap dhcpsrv.Snapshot) error {
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
