package inventory

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// LeaseFact is a rack's report of a DHCP lease.
type LeaseFact struct {
	MAC      net.HardwareAddr
	Addr     netip.Addr
	Hostname string    // as the client gave it; "" = none
	Time     time.Time // of the event; zero = now
	Expires  time.Time // end of the lease
	Ended    bool      // released, expired, declined
}

// Leases holds the addresses that machines lease from racks.
type Leases struct{ inv *Inventory }

// Record takes in a fact about a lease: the address is observed on the interface with that MAC
// (made, on no machine, if there is none), in the place of what was observed there before, and the
// name the client gave is its name in the DNS. Addresses outside dynamic ranges are not recorded:
// they have a holder of their own. Taking in a fact twice changes nothing.
func (ls *Leases) Record(ctx context.Context, f LeaseFact) error {
	if len(f.MAC) != 6 || !f.Addr.IsValid() {
		return invalid("lease", f.Addr.String(), "mac", "and ip are needed")
	}
	if f.Time.IsZero() {
		f.Time = time.Now()
	}
	return ls.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := subnetFor(ctx, tx, f.Addr)
		if err != nil {
			return err
		}
		if f.Ended {
			return endLease(ctx, tx, f)
		}
		rs, err := ranges.list(ctx, tx, "subnet_id = ? AND type = ?", s.ID, int64(ipam.RangeDynamic))
		if err != nil {
			return err
		}
		// A client with a reservation leases an address outside the ranges, which its machine
		// holds.
		for _, r := range rs {
			if r.Contains(f.Addr) {
				return beginLease(ctx, tx, s, f)
			}
		}
		return nil
	})
}

func endLease(ctx context.Context, tx *store.Tx, f LeaseFact) error {
	row, err := allocations.one(ctx, tx, f.Addr.String(), "ip = ? AND type = ?", f.Addr.String(), int64(ipam.AllocDiscovered))
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	i, err := interfaces.get(ctx, tx, row.InterfaceID)
	if err != nil {
		return err
	}
	// Facts of two racks arrive in any order: the end of an old lease may follow the start of a new
	// one of the same address.
	if i.MAC.String() != f.MAC.String() || row.Created.After(f.Time) {
		return nil // another client has it by now, or the fact is an old one
	}
	if err := allocations.delete(ctx, tx, row.ID); err != nil {
		return err
	}
	return touchNode(ctx, tx, i.NodeID)
}

func beginLease(ctx context.Context, tx *store.Tx, s ipam.Subnet, f LeaseFact) error {
	i, err := seenInterface(ctx, tx, s, f.MAC)
	if err != nil {
		return err
	}
	name := dhcpsrv.ClientName(f.Hostname, "") // "" for "(none)" and the like
	row, err := allocations.one(ctx, tx, f.Addr.String(), "ip = ? AND type = ?", f.Addr.String(), int64(ipam.AllocDiscovered))
	switch {
	case err == nil && row.InterfaceID == i.ID && row.hostname == name:
		if !f.Expires.After(row.Expires) {
			return nil
		}
		// A renewal is not in the change feed: no plan depends on it.
		_, err := tx.Exec(ctx, "UPDATE allocation SET expires = ? WHERE id = ?", asTime{&f.Expires}, row.ID)
		return err
	case err == nil && row.Created.After(f.Time):
		return nil
	case err != nil && !notFound(err):
		return err
	}
	if err := forgetSeen(ctx, tx, i, f); err != nil {
		return err
	}
	fresh := held{hostname: name, Allocation: ipam.Allocation{
		Type: ipam.AllocDiscovered, SubnetID: s.ID, Addr: f.Addr, InterfaceID: i.ID, Created: f.Time, Expires: f.Expires,
	}}
	if err := insertHeld(ctx, tx, &fresh); err != nil {
		return fmt.Errorf("inventory: record lease of %s: %w", f.Addr, err)
	}
	return touchNode(ctx, tx, i.NodeID)
}

// forgetSeen drops what was observed of the address, and of the interface in the address's family.
func forgetSeen(ctx context.Context, tx *store.Tx, i ipam.Interface, f LeaseFact) error {
	old, err := allocations.list(ctx, tx, "type = ? AND (ip = ? OR interface_id = ?)", int64(ipam.AllocDiscovered), f.Addr.String(), i.ID)
	if err != nil {
		return err
	}
	for _, row := range old {
		if row.Addr.Is4() != f.Addr.Is4() {
			continue // a client has a lease of each family
		}
		if err := allocations.delete(ctx, tx, row.ID); err != nil {
			return err
		}
	}
	return nil
}

// Holders returns the interfaces of machines and devices with a link address. Their VLANs say which
// racks may report about them. Machines that were enlisted and that no administrator took up yet
// are left out: until then they are where they boot.
func (ls *Leases) Holders(ctx context.Context, mac string) (out []Interface, err error) {
	err = ls.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		all, err := interfaces.list(ctx, tx, "mac = ? AND node_id IN (SELECT id FROM node WHERE kind <> ? OR status <> ?)", mac, kinds.Machine, string(StatusNew))
		out = each(all, func(i ipam.Interface) Interface { return Interface{Interface: i} })
		return err
	})
	return out, err
}

// seenInterface returns the interface with a link address, made if it is not there.
func seenInterface(ctx context.Context, tx *store.Tx, s ipam.Subnet, mac net.HardwareAddr) (ipam.Interface, error) {
	all, err := interfaces.list(ctx, tx, "mac = ?", mac.String())
	if err != nil {
		return ipam.Interface{}, err
	}
	// A bond and its VLANs have the link address of a physical interface. DHCP packets of the
	// firmware come from the physical one.
	for _, i := range all {
		if i.Kind == ipam.Physical || i.Kind == ipam.Unknown || len(all) == 1 {
			return i, nil
		}
	}
	i := ipam.Interface{Name: "eth0", Kind: ipam.Unknown, MAC: mac, VLANID: s.VLANID, Enabled: true}
	err = interfaces.insert(ctx, tx, &i)
	return i, err
}

// Expire forgets observed addresses whose lease ended before now, as when the rack that gave them
// is gone, and returns how many.
func (ls *Leases) Expire(ctx context.Context, now time.Time) (n int, err error) {
	err = ls.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, err := allocations.list(ctx, tx, "type = ? AND expires <> 0 AND expires < ?", int64(ipam.AllocDiscovered), now.UnixMicro())
		if err != nil {
			return err
		}
		n = len(rows)
		for _, row := range rows {
			if err := allocations.delete(ctx, tx, row.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
