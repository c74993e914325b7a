package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomaas/maas/store"
)

// LeaderLease gives one region at a time a task of the site, such as deleting what has expired. The
// holder renews it before it expires by the database's clock; after that another region may take
// it.
type LeaderLease struct {
	Name string
	// Holder is the region that has the task.
	Holder string
	// Token is higher for each holder than for the one before.
	Token int64
	// Expires is the time from which others may take it, by the database's clock.
	Expires time.Time
}

// ErrLeaderLeaseLost is the error of a write under a lease that another holder has taken since.
// Nothing is written then.
var ErrLeaderLeaseLost = errors.New("inventory: another region has this leader lease now")

// TakeLeaderLease takes the lease of a task for a time unless another holder has it; then held is
// false and the lease is that holder's. A holder that takes it again gets it with a higher token.
func (inv *Inventory) TakeLeaderLease(ctx context.Context, name, holder string, ttl time.Duration) (d LeaderLease, held bool, err error) {
	d, err = inv.LeaderLeaseOf(ctx, name)
	if err == nil && d.Holder != holder {
		if free, err := inv.expired(ctx, d); err != nil || !free {
			return d, false, err // the usual answer costs no write
		}
	} else if err != nil && !notFound(err) {
		return d, false, err
	}
	err = inv.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		if d, err = readLeaderLease(ctx, tx, name); err != nil && !notFound(err) {
			return err
		}
		if held = d.Holder == holder || !now.Before(d.Expires); !held {
			return nil
		}
		d = LeaderLease{Name: name, Holder: holder, Token: d.Token + 1, Expires: now.Add(ttl)}
		const query = `INSERT INTO duty (name, holder, token, expires) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, expires = excluded.expires`
		_, err = tx.Exec(ctx, query, d.Name, d.Holder, d.Token, d.Expires.UnixMicro())
		return err
	})
	return d, held && err == nil, err
}

// RenewLeaderLease keeps a lease for a further time. The error is [ErrLeaderLeaseLost] if another
// holder has taken it.
func (inv *Inventory) RenewLeaderLease(ctx context.Context, d LeaderLease, ttl time.Duration) error {
	return inv.expireLeaderLease(ctx, d, ttl)
}

// LeaveLeaderLease ends a lease, so that others may take it at once. If they have it already, there
// is no error.
func (inv *Inventory) LeaveLeaderLease(ctx context.Context, d LeaderLease) error {
	err := inv.expireLeaderLease(ctx, d, 0)
	if errors.Is(err, ErrLeaderLeaseLost) {
		return nil
	}
	return err
}

func (inv *Inventory) expireLeaderLease(ctx context.Context, d LeaderLease, ttl time.Duration) error {
	return inv.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, "UPDATE duty SET expires = ? WHERE name = ? AND token = ? AND holder = ?",
			now.Add(ttl).UnixMicro(), d.Name, d.Token, d.Holder)
		if err == nil && n == 0 {
			return ErrLeaderLeaseLost
		}
		return err
	})
}

// LeaderLeaseOf returns the present or last lease of a task; the error is fs.ErrNotExist if no
// holder ever took it.
func (inv *Inventory) LeaderLeaseOf(ctx context.Context, name string) (d LeaderLease, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err = readLeaderLease(ctx, tx, name)
		return err
	})
	return d, err
}

func (inv *Inventory) expired(ctx context.Context, d LeaderLease) (is bool, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Now(ctx)
		is = !now.Before(d.Expires)
		return err
	})
	return is, err
}

func readLeaderLease(ctx context.Context, tx *store.Tx, name string) (LeaderLease, error) {
	d := LeaderLease{Name: name}
	err := tx.Get(ctx, "SELECT holder, token, expires FROM duty WHERE name = ?", []any{name}, &d.Holder, &d.Token, asTime{&d.Expires})
	if notFound(err) {
		return LeaderLease{Name: name}, &NotFoundError{"leader lease", name}
	}
	return d, err
}

type leaderLeaseKey struct{}

// WithLeaderLease returns a ctx with which all writes are refused, with [ErrLeaderLeaseLost], once
// another holder has the duty: each looks, in its own transaction.
func WithLeaderLease(ctx context.Context, d LeaderLease) context.Context {
	return context.WithValue(ctx, leaderLeaseKey{}, d)
}

// fence refuses writes under a lease that was lost.
func fence(ctx context.Context, tx *store.Tx) error {
	d, is := ctx.Value(leaderLeaseKey{}).(LeaderLease)
	if !is {
		return nil
	}
	now, err := readLeaderLease(ctx, tx, d.Name)
	if err != nil && !notFound(err) {
		return err
	}
	if now.Token != d.Token || now.Holder != d.Holder {
		return fmt.Errorf("%w: %s is %s's", ErrLeaderLeaseLost, d.Name, now.Holder)
	}
	return nil
}
