package inventory

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// subnetPool is an index of a subnet's free addresses, valid while the subnet's settings have
// revision rev. It is a cache: the table decides.
type subnetPool struct {
	*ipam.Pool
	rev poolRev
}

// poolRev is the state of a subnet's settings: how often they changed, and how often a restore
// replaced all data.
type poolRev struct{ settings, generation int64 }

// choose picks a free address of a subnet and has insert record it.
func (inv *Inventory) choose(ctx context.Context, tx *store.Tx, u *ipam.Usage, insert func(context.Context, netip.Addr) error) (netip.Addr, error) {
	pool, err := inv.poolOf(ctx, tx, u)
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := pool.NextFunc(ctx, insert)
	if err == nil {
		tx.OnRollback(func() { inv.forget(u.Subnet.ID) })
	}
	return a, err
}

// poolOf returns the index of a subnet, rebuilt if settings have changed.
func (inv *Inventory) poolOf(ctx context.Context, tx *store.Tx, u *ipam.Usage) (*ipam.Pool, error) {
	var rev poolRev
	const query = "SELECT s.settings_rev, r.generation FROM subnet s, revision r WHERE s.id = ?"
	if err := tx.Get(ctx, query, []any{u.Subnet.ID}, &rev.settings, &rev.generation); err != nil {
		return nil, err
	}
	inv.mu.Lock()
	have, ok := inv.pools[u.Subnet.ID]
	inv.mu.Unlock()
	if ok && have.rev == rev {
		return have.Pool, nil
	}
	settings := *u
	var err error
	if settings.Neighbours, err = neighboursOf(ctx, tx, u.Subnet.Prefix); err != nil {
		return nil, err
	}
	pool, err := ipam.NewPool(ctx, ipam.PoolConfig{Usage: settings, Ledger: &ledger{inv, u.Subnet.ID}, Quarantine: inv.quarantine})
	if err != nil {
		return nil, err
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.pools[u.Subnet.ID] = &subnetPool{pool, rev}
	return pool, nil
}

// forget drops the index of a subnet; the next choice rebuilds it.
func (inv *Inventory) forget(subnet int64) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	delete(inv.pools, subnet)
}

// released makes a deleted allocation's address free in the index.
func (inv *Inventory) released(_ context.Context, tx *store.Tx, row held) {
	if !row.Addr.IsValid() {
		return
	}
	inv.mu.Lock()
	pool, ok := inv.pools[row.SubnetID]
	inv.mu.Unlock()
	if !ok {
		return
	}
	pool.Released(row.Addr, row.Holder)
	tx.OnRollback(func() { inv.forget(row.SubnetID) })
}

// ledger is the allocation table as a subnet's ipam.Pool sees it.
type ledger struct {
	inv    *Inventory
	subnet int64
}

// Insert implements ipam.Ledger: key comes to hold addr like a user.
func (l *ledger) Insert(ctx context.Context, addr netip.Addr, key string) error {
	return l.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return insertHeld(ctx, tx, &held{Allocation: ipam.Allocation{Type: ipam.AllocUserReserved, SubnetID: l.subnet, Addr: addr, Comment: key}})
	})
}

// Delete implements ipam.Ledger.
func (l *ledger) Delete(ctx context.Context, addr netip.Addr) error {
	return l.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		row, err := allocations.one(ctx, tx, "for "+addr.String(), "ip = ? AND type <> ?", addr.String(), int64(ipam.AllocDiscovered))
		if err != nil {
			return err
		}
		return allocations.delete(ctx, tx, row.ID)
	})
}

// Holder implements ipam.Ledger.
func (l *ledger) Holder(ctx context.Context, addr netip.Addr) (holder string, err error) {
	err = l.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		all, err := heldAddresses(ctx, tx, "a.ip = ? AND a.type <> ?", addr.String(), int64(ipam.AllocDiscovered))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("inventory: address %s is not held: %w", addr, fs.ErrNotExist)
		}
		holder = all[0].Holder
		return nil
	})
	return holder, err
}

// Addrs implements ipam.Lister. Observed addresses count as held: a client uses them.
func (l *ledger) Addrs(ctx context.Context, _ netip.Prefix) iter.Seq2[netip.Addr, error] {
	return func(yield func(netip.Addr, error) bool) {
		var all []netip.Addr
		err := l.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.Query(ctx, "SELECT ip FROM allocation WHERE subnet_id = ? AND ip IS NOT NULL", []any{l.subnet}, func(scan func(...any) error) error {
				var a netip.Addr
				err := scan(asText{&a})
				all = append(all, a)
				return err
			})
		})
		if err != nil {
			yield(netip.Addr{}, err)
			return
		}
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}
