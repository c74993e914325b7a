package inventory

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// LeaseFact is a rack's report of a DHCP lease.
type LeaseFact struct {
	MAC      net.HardwareAddr
	Addr     netip.Addr
	Hostname string    // as the client gave it; "" = none
	Time     time.Time // of the event; zero = now
	Began    time.Time // of the lease; zero = at Time
	Expires  time.Time // end of the lease
	Ended    bool      // released, expired, declined
	How      string    // how it ended, as in LeasePeriod; "" = expired
	ClientID string    // option 61, or the DUID of IPv6, in hexadecimal; "" = none
	Bits     int       // length of the delegated prefix that begins with Addr; 0 = an address
	Quiet    bool      // no event is added
}

// Leases holds the addresses that machines lease from racks.
type Leases struct {
	inv    *Inventory
	bounds periodBounds
}

// Record takes in a fact about a lease: the address is observed on the interface with that MAC
// (made, on no machine, if there is none), in the place of what was observed there before, and the
// name the client gave is its name in the DNS. Addresses outside dynamic ranges are not recorded:
// they have a holder of their own; the history of leases has these, too, and delegated prefixes,
// whose clients may have no MAC. Taking in a fact twice changes nothing.
func (ls *Leases) Record(ctx context.Context, f LeaseFact) error {
	refused, err := ls.RecordAll(ctx, []LeaseFact{f})
	if err == nil {
		err = refused[0]
	}
	return err
}

// RecordAll takes in facts in their order, in one transaction, as Record does with each. The facts
// that break a rule are left out: refused has their errors at their places, and nil for the others.
// If err is not nil, none was taken in.
func (ls *Leases) RecordAll(ctx context.Context, facts []LeaseFact) (refused []error, err error) {
	now := time.Now()
	err = ls.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		refused = make([]error, len(facts))
		b := newLeaseBatch(ls, tx)
		valid := make([]subnetFact, 0, len(facts))
		for i, f := range facts {
			f, err := f.checked(now)
			if err != nil {
				refused[i] = err
				continue
			}
			placed, err := b.place(ctx, f)
			switch {
			case notFound(err):
				refused[i] = err
			case err != nil:
				return err
			default:
				valid = append(valid, placed)
			}
		}
		for some := range slices.Chunk(valid, leasesAtOnce) {
			if err := b.record(ctx, some); err != nil {
				return err
			}
		}
		return nil
	})
	return refused, err
}

// checked returns a fact as the database has it.
func (f LeaseFact) checked(now time.Time) (LeaseFact, error) {
	switch {
	case !f.Addr.IsValid() || len(f.MAC) != 6 && (f.Bits == 0 || len(f.MAC) > 0 || f.ClientID == ""):
		return f, invalid("lease", f.Addr.String(), "mac", "and ip are needed")
	case f.Bits != 0 && (f.Bits < 8 || f.Bits > 128 || !f.Addr.Is6() || f.Addr != netip.PrefixFrom(f.Addr, f.Bits).Masked().Addr()):
		return f, invalid("lease", f.Addr.String(), "bits", fmt.Sprintf("%d is not the length of a prefix that begins with the address", f.Bits))
	}
	if f.Time.IsZero() {
		f.Time = now
	}
	f.Hostname = dhcpsrv.ClientName(f.Hostname, "") // "" for "(none)" and the like
	// What was read before and what is written now are compared.
	f.Time, f.Began, f.Expires = f.Time.Truncate(time.Microsecond), f.Began.Truncate(time.Microsecond), f.Expires.Truncate(time.Microsecond)
	return f, nil
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
		return closeExpired(ctx, tx, now)
	})
	return n, err
}
