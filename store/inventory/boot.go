package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
)

// What is kept of boots: of one link address, of all machines, and of all addresses that belong to
// no machine, which strangers make up.
const (
	keepBoots     = 5
	keepAllBoots  = 50_000
	keepStrangers = 2_000
	trimBoots     = 64 // the bounds of all are looked at once in so many new boots
	// A boot is written anew with each of its steps. Loaders ask for paths of some 100 bytes.
	maxBoot = 32 << 10
	maxText = 512
)

// attempt is a boot in the database.
type attempt struct {
	id      int64
	mac     net.HardwareAddr
	started time.Time
	record  pxe.Attempt
	step    int64
}

var attempts = table[attempt]{
	kind: "boot", name: "boot_attempt", cols: []string{"mac", "started", "record", "step"},
	id:     func(a *attempt) *int64 { return &a.id },
	fields: func(a *attempt) []any { return []any{asMAC{&a.mac}, asTime{&a.started}, asJSON{&a.record}, &a.step} },
}

// Boots records the boots of machines.
type Boots struct{ inv *Inventory }

// Record adds what a machine was offered or fetched to its boots: a step of the last one, or the
// first of another. Boots are not in the change feed; Boots.Since follows them.
func (bs *Boots) Record(ctx context.Context, e pxe.Event) error {
	if len(e.MAC) == 0 {
		return nil
	}
	return bs.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		all, err := attempts.list(ctx, tx, "mac = ?", e.MAC.String())
		if err != nil {
			return err
		}
		var last attempt
		if len(all) > 0 {
			last = all[len(all)-1]
		}
		// Next decides whether the event continues the last boot or begins another one.
		next := last.record.Next(shortened(e))
		if len(next.Steps) == 0 {
			return nil // lines of a boot that is not known
		}
		record, err := encodeBoot(&next)
		if err != nil {
			return err
		}
		step, err := lastStep(ctx, tx)
		if err != nil {
			return err
		}
		// The statements below bypass the change feed: a boot has hundreds of steps, and no plan
		// depends on them.
		if last.id != 0 && next.Start.Equal(last.record.Start) {
			_, err = tx.Exec(ctx, "UPDATE boot_attempt SET record = ?, step = ? WHERE id = ?", string(record), step+1, last.id)
			return err
		}
		const insert = "INSERT INTO boot_attempt (mac, started, record, step) VALUES (?, ?, ?, ?)"
		id, err := tx.Insert(ctx, insert+" RETURNING id", e.MAC.String(), next.Start.UnixMicro(), string(record), step+1)
		if err != nil {
			return err
		}
		if id%trimBoots == 0 {
			if err := forgetBoots(ctx, tx); err != nil {
				return err
			}
		}
		for _, old := range all[:max(0, len(all)-keepBoots+1)] {
			if _, err := tx.Exec(ctx, "DELETE FROM boot_attempt WHERE id = ?", old.id); err != nil {
				return fmt.Errorf("inventory: forget a boot: %w", err)
			}
		}
		return nil
	})
}

// Configured notes that the system of the machine with a link address reported that its
// configuration is complete. A machine that is not known, or is noted already, stays as it is.
func (bs *Boots) Configured(ctx context.Context, mac net.HardwareAddr, at time.Time) error {
	return bs.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		m, err := bs.inv.MachineByMAC(ctx, mac)
		if notFound(err) {
			return nil
		}
		if err != nil || !m.Configured.IsZero() {
			return err
		}
		m.Configured = at
		_, err = bs.inv.Machines.Update(ctx, m)
		return err
	})
}

// Started notes the boot loader that the machine with a link address was offered last, as one that
// its firmware starts: the machine has read a configuration. A machine that is not known, or is
// noted with it already, stays as it is.
func (bs *Boots) Started(ctx context.Context, mac net.HardwareAddr) error {
	return bs.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		all, err := attempts.list(ctx, tx, "mac = ?", mac.String())
		if err != nil || len(all) == 0 {
			return err
		}
		name := all[len(all)-1].record.Loader()
		m, err := bs.inv.MachineByMAC(ctx, mac)
		if notFound(err) || err == nil && (name == "" || m.Loader == name) {
			return nil
		}
		if err != nil {
			return err
		}
		m.Loader = name
		_, err = bs.inv.Machines.Update(ctx, m)
		return err
	})
}

// shortened bounds the texts of an event, which clients choose.
func shortened(e pxe.Event) pxe.Event {
	for _, text := range []*string{&e.Path, &e.Err, &e.Profile, &e.Method, &e.UUID, &e.Proto, &e.Signed} {
		if len(*text) > maxText {
			*text = strings.ToValidUTF8((*text)[:maxText], "") + "..."
		}
	}
	return e
}

// encodeBoot returns the text of a boot. Of one that is too large, steps in the middle are left
// out: the first ones show how it began, and the last ones how it failed.
func encodeBoot(a *pxe.Attempt) ([]byte, error) {
	for {
		record, err := json.Marshal(a)
		if err != nil || len(record) <= maxBoot || len(a.Steps) < 4 {
			return record, err
		}
		n := len(a.Steps)
		a.Steps = slices.Delete(slices.Clone(a.Steps), n/4, n/2)
	}
}

// forgetBoots removes the oldest boots of strangers, and of all, beyond those that are kept.
func forgetBoots(ctx context.Context, tx *store.Tx) error {
	const stranger = "NOT EXISTS (SELECT 1 FROM interface i WHERE i.mac = boot_attempt.mac)"
	const oldest = "DELETE FROM boot_attempt WHERE %s AND id <= (SELECT id FROM boot_attempt WHERE %s ORDER BY id DESC LIMIT 1 OFFSET ?)"
	for _, part := range []struct {
		where string
		keep  int
	}{{stranger, keepStrangers}, {"1 = 1", keepAllBoots}} {
		if _, err := tx.Exec(ctx, fmt.Sprintf(oldest, part.where, part.where), part.keep); err != nil {
			return fmt.Errorf("inventory: forget boots: %w", err)
		}
	}
	return nil
}

// Of returns the last boots of link addresses, the latest first; at most five of each address.
func (bs *Boots) Of(ctx context.Context, macs ...net.HardwareAddr) (out []pxe.Attempt, err error) {
	err = bs.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		out = nil
		for _, mac := range macs {
			all, err := attempts.list(ctx, tx, "mac = ?", mac.String())
			if err != nil {
				return err
			}
			for _, a := range all {
				out = append(out, a.record)
			}
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b pxe.Attempt) int { return b.Start.Compare(a.Start) })
	return out, err
}

// lastStep is the count of the last step of any boot.
func lastStep(ctx context.Context, tx *store.Tx) (step int64, err error) {
	err = tx.Get(ctx, "SELECT COALESCE(MAX(step), 0) FROM boot_attempt", nil, &step)
	return step, err
}

// LastStep returns the position from which Boots.Since reports only future boots.
func (bs *Boots) LastStep(ctx context.Context) (step int64, err error) {
	err = bs.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		step, err = lastStep(ctx, tx)
		return err
	})
	return step, err
}

// Since returns up to limit boots that had a step since, in the order of their last steps, and
// where to go on.
func (bs *Boots) Since(ctx context.Context, step int64, limit int) (out []pxe.Attempt, next int64, err error) {
	err = bs.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		out, next = nil, step
		// A boot has one row, with the number of its last step: a slow reader sees the boot once.
		const query = "SELECT record, step FROM boot_attempt WHERE step > ? ORDER BY step LIMIT ?"
		return tx.Query(ctx, query, []any{step, limit}, func(scan func(...any) error) error {
			var a pxe.Attempt
			err := scan(asJSON{&a}, &next)
			out = append(out, a)
			return err
		})
	})
	return out, next, err
}
