package inventory

import (
	"context"
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/setting"
)

const defaultExhaustion = 16

// ExhaustionNotice says that a subnet is about to run out of addresses.
type ExhaustionNotice struct {
	Subnet     ipam.Subnet
	Statistics ipam.Statistics
}

// String is the notice for people.
func (n ExhaustionNotice) String() string {
	return fmt.Sprintf("subnet %s is running out of addresses: %s free, %s; release some, shrink a range or extend the subnet",
		n.Subnet, n.Statistics.Available, n.Statistics)
}

// ExhaustionNotices returns the subnets that are about to run out of addresses, in order of ID; see
// ipam.Statistics.Exhausting.
func (inv *Inventory) ExhaustionNotices(ctx context.Context) (notices []ExhaustionNotice, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		threshold, err := inv.exhaustionThreshold(ctx)
		if err != nil || threshold <= 0 {
			return err
		}
		all, err := subnets.list(ctx, tx, "")
		if err != nil {
			return err
		}
		for _, s := range all {
			near, err := nearlyFull(ctx, tx, s, threshold)
			if err != nil {
				return err
			}
			if !near {
				continue
			}
			u, err := usageOf(ctx, tx, s.ID)
			if err != nil {
				return err
			}
			if st := u.Statistics(); st.Exhausting(threshold) {
				notices = append(notices, ExhaustionNotice{s, st})
			}
		}
		return nil
	})
	return notices, err
}

// FullRanges returns the dynamic ranges of which every address is held or leased, in order of ID.
func (inv *Inventory) FullRanges(ctx context.Context) (full []ipam.Range, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		full = nil
		all, err := ranges.list(ctx, tx, "type = ?", int64(ipam.RangeDynamic))
		if err != nil {
			return err
		}
		for _, r := range all {
			rows, err := allocations.list(ctx, tx, "subnet_id = ? AND ip IS NOT NULL", r.SubnetID)
			if err != nil {
				return err
			}
			// By walking the range, since a range of IPv6 is too large to count: it ends at the
			// first free address.
			held := make(map[netip.Addr]bool, len(rows))
			for _, a := range rows {
				held[a.Addr] = true
			}
			at := r.Start
			for at.IsValid() && !r.End.Less(at) && held[at] {
				at = at.Next()
			}
			if !at.IsValid() || r.End.Less(at) {
				full = append(full, r)
			}
		}
		return nil
	})
	return full, err
}

func (inv *Inventory) exhaustionThreshold(ctx context.Context) (int, error) {
	text, err := inv.Settings.Get(ctx, setting.Exhaustion)
	if err != nil && !notFound(err) {
		return 0, err
	}
	m := Model{Settings: map[string]string{setting.Exhaustion: strings.TrimSpace(text)}}
	return m.SettingNumber(setting.Exhaustion, defaultExhaustion), nil
}

// nearlyFull spares large subnets the exact count: what its settings leave open, less one address
// per row, must be few.
func nearlyFull(ctx context.Context, tx *store.Tx, s ipam.Subnet, threshold int) (bool, error) {
	u, err := settingsOf(ctx, tx, s.ID)
	if err != nil {
		return false, err
	}
	var held int64
	if err := tx.Get(ctx, "SELECT COUNT(*) FROM allocation WHERE subnet_id = ? AND ip IS NOT NULL", []any{s.ID}, &held); err != nil {
		return false, err
	}
	return u.Statistics().Available.Cmp(big.NewInt(held+int64(threshold))) <= 0, nil
}
