package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// AddressChecker asks the network whether an address that is free in the database is in use, as a
// rack does by ping and ARP.
type AddressChecker interface {
	// InUse reports whether addr answers on a subnet. It may block until ctx ends and is called for
	// one address at a time, with no transaction running. An error means that it could not be found
	// out: the address is taken as free, for a rack that cannot be reached must not stop a machine.
	InUse(ctx context.Context, subnet ipam.Subnet, addr netip.Addr) (bool, error)
}

// CheckerFunc makes a function an AddressChecker.
type CheckerFunc func(ctx context.Context, subnet ipam.Subnet, addr netip.Addr) (bool, error)

// InUse calls f.
func (f CheckerFunc) InUse(ctx context.Context, subnet ipam.Subnet, addr netip.Addr) (bool, error) {
	return f(ctx, subnet, addr)
}

// claimTries bounds how many addresses found in use one machine's claim may meet: a network where
// all answer is not one to try further.
const claimTries = 64

// ClaimAutoChecked is ClaimAuto with a question to the network before each address is kept. One
// that turns out to be used is written into the log and another takes its place; when none is left
// that was not tried, or the one reserved for the interface is used, the error is ipam's
// RefusedError. It returns those found in use. It must not be called inside a transaction: the
// network takes its time. If it fails, no automatic link keeps an address it got by this call.
func (inv *Inventory) ClaimAutoChecked(ctx context.Context, machine int64, checker AddressChecker) (used []netip.Addr, err error) {
	kept := make(map[netip.Addr]bool)
	before, err := inv.autoAddresses(ctx, machine)
	if err != nil {
		return nil, err
	}
	for _, a := range before {
		kept[a.Addr] = true
	}
	// Also if ctx has ended, since that is the usual reason.
	defer func() {
		if err != nil {
			err = joinClaim(err, inv.undoClaim(context.WithoutCancel(ctx), machine, before))
		}
	}()
	// Each round replaces the addresses that were found in use by the round before.
	for {
		if err := inv.ClaimAuto(ctx, machine); err != nil {
			return used, err
		}
		found, err := inv.checkClaims(ctx, machine, checker, kept)
		again := triedBefore(used, found)
		used = append(used, found...)
		switch {
		case err != nil:
			return used, err
		case len(found) == 0:
			return used, nil
		case again.IsValid(): // a reserved IP, or the subnet has no others left
			return used, &ipam.RefusedError{Reason: ipam.InUse, Subject: "address " + again.String(), With: "it answers on the network, and no other can take its place"}
		}
		if len(used) > claimTries {
			return used, &ipam.RefusedError{
				Reason: ipam.InUse, Subject: fmt.Sprintf("each of %d addresses", len(used)), With: "look for a device that answers for all, or for a wrong subnet",
			}
		}
	}
}

// triedBefore returns an address of found that is in used; the zero Addr if none is.
func triedBefore(used, found []netip.Addr) netip.Addr {
	for _, a := range found {
		if slices.Contains(used, a) {
			return a
		}
	}
	return netip.Addr{}
}

func joinClaim(err, undo error) error {
	if undo != nil {
		return fmt.Errorf("%w; and the addresses could not be given back: %w", err, undo)
	}
	return err
}

// checkClaims asks for each automatic address of a machine that was not yet kept, and gives back
// those that are in use.
func (inv *Inventory) checkClaims(ctx context.Context, machine int64, checker AddressChecker, kept map[netip.Addr]bool) (used []netip.Addr, err error) {
	claimed, err := inv.autoAddresses(ctx, machine)
	if err != nil {
		return nil, err
	}
	for _, a := range claimed {
		if kept[a.Addr] {
			continue
		}
		s, err := inv.Subnets.Get(ctx, a.SubnetID)
		if err != nil {
			return used, err
		}
		inUse, err := checker.InUse(ctx, s, a.Addr)
		if ctx.Err() != nil {
			return used, ctx.Err()
		}
		if err != nil || !inUse {
			kept[a.Addr] = true
			continue
		}
		used = append(used, a.Addr)
		if err := inv.giveUp(ctx, a); err != nil {
			return used, err
		}
	}
	return used, nil
}

// autoAddresses returns the automatic links of a machine that have an address.
func (inv *Inventory) autoAddresses(ctx context.Context, machine int64) (out []ipam.Allocation, err error) {
	const where = "type = ? AND ip IS NOT NULL AND interface_id IN (SELECT id FROM interface WHERE node_id = ?)"
	rows, err := listIn(ctx, inv, allocations, where, int64(ipam.AllocAuto), machine)
	for _, r := range rows {
		out = append(out, r.Allocation)
	}
	return out, err
}

// giveUp takes an address that others use off its link. It stays out of the index of free
// addresses, since it is not released.
func (inv *Inventory) giveUp(ctx context.Context, a ipam.Allocation) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		row, err := allocations.get(ctx, tx, a.ID)
		if err != nil || row.Addr != a.Addr {
			return err // it was released meanwhile
		}
		row.Addr = netip.Addr{}
		if err := allocations.update(ctx, tx, &row); err != nil {
			return err
		}
		tx.OnRollback(func() { inv.forget(a.SubnetID) })
		return inv.noteInUse(ctx, tx, a)
	})
}

// noteInUse records that an address was found in use, by whom is not known.
func (inv *Inventory) noteInUse(ctx context.Context, tx *store.Tx, a ipam.Allocation) error {
	text := fmt.Sprintf("address %s was free and answered when it was to be given out: a host uses it", a.Addr)
	return inv.Events.add(ctx, tx, Event{Kind: "address", Level: "warning", Description: text})
}

// undoClaim blanks the automatic links that had no address before.
func (inv *Inventory) undoClaim(ctx context.Context, machine int64, before []ipam.Allocation) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := inv.autoAddresses(ctx, machine)
		if err != nil {
			return err
		}
		had := make(map[int64]bool, len(before))
		for _, a := range before {
			had[a.ID] = true
		}
		for _, a := range now {
			if had[a.ID] {
				continue
			}
			row := held{Allocation: a}
			inv.released(ctx, tx, row)
			row.Addr = netip.Addr{}
			if err := allocations.update(ctx, tx, &row); err != nil {
				return err
			}
		}
		return touchNode(ctx, tx, machine)
	})
}
