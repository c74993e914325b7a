// Package leader gives tasks of a site to one region at a time.
//
//	lease, held, err := inv.Leader.Take(ctx, "maintenance", "region-1", 6*time.Second)
//	if held {
//		err = inv.Events.Trim(leader.With(ctx, lease), 10_000)
//	}
//	err = inv.Leader.Renew(ctx, lease, 6*time.Second) // every two seconds
//
// A region that hangs, or whose clock is wrong, may believe that it holds a lease that another
// region has taken since. So the database's clock decides, each lease has a token that is higher
// than its predecessor's, and a transaction of [With]'s context commits only while its token is the
// last.
package leader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gomaas/maas/store"
)

// Lease gives its holder a task until it expires. The holder renews it before that; afterwards
// another region may take it.
type Lease struct {
	Task    string
	Holder  string    // region that has the task
	Token   int64     // higher for each holder than for the one before
	Expires time.Time // by the database's clock
}

// ErrLost is the error of a write under a lease that another holder has taken since. Nothing is
// written then.
var ErrLost = errors.New("leader: another region has this leader lease now")

// Leases hands out the leases of one site. It is safe for concurrent use.
type Leases struct{ db *store.DB }

// New returns the leases of a site's database.
func New(db *store.DB) *Leases { return &Leases{db} }

// Take takes the lease of a task for a time unless another holder has it; then held is false and
// the lease is that holder's. A holder that takes it again gets it with a higher token.
func (ls *Leases) Take(ctx context.Context, task, holder string, ttl time.Duration) (l Lease, held bool, err error) {
	l, err = ls.Of(ctx, task)
	if err == nil && l.Holder != holder {
		if free, err := ls.expired(ctx, l); err != nil || !free {
			return l, false, err // the usual answer costs no write
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, false, err
	}
	err = ls.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The lease is read again: another region may have taken it since the look above.
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		if l, err = read(ctx, tx, task); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if held = l.Holder == holder || !now.Before(l.Expires); !held {
			return nil
		}
		l = Lease{Task: task, Holder: holder, Token: l.Token + 1, Expires: now.Add(ttl)}
		const query = `INSERT INTO leader_lease (name, holder, token, expires) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = excluded.token, expires = excluded.expires`
		_, err = tx.Exec(ctx, query, l.Task, l.Holder, l.Token, l.Expires.UnixMicro())
		return err
	})
	return l, held && err == nil, err
}

// Renew keeps a lease for a further time. The error is [ErrLost] if another holder has taken it.
func (ls *Leases) Renew(ctx context.Context, l Lease, ttl time.Duration) error {
	return ls.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, "UPDATE leader_lease SET expires = ? WHERE name = ? AND token = ? AND holder = ?",
			now.Add(ttl).UnixMicro(), l.Task, l.Token, l.Holder)
		if err == nil && n == 0 {
			return ErrLost
		}
		return err
	})
}

// Leave ends a lease, so that others may take it at once. If they have it already, there is no
// error.
func (ls *Leases) Leave(ctx context.Context, l Lease) error {
	err := ls.Renew(ctx, l, 0)
	if errors.Is(err, ErrLost) {
		return nil
	}
	return err
}

// Of returns the present or last lease of a task; the error is fs.ErrNotExist if no holder ever
// took it.
func (ls *Leases) Of(ctx context.Context, task string) (l Lease, err error) {
	err = ls.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		l, err = read(ctx, tx, task)
		return err
	})
	return l, err
}

func (ls *Leases) expired(ctx context.Context, l Lease) (is bool, err error) {
	err = ls.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Now(ctx)
		is = !now.Before(l.Expires)
		return err
	})
	return is, err
}

func read(ctx context.Context, tx *store.Tx, task string) (Lease, error) {
	l := Lease{Task: task}
	var expires int64
	err := tx.Get(ctx, "SELECT holder, token, expires FROM leader_lease WHERE name = ?", []any{task}, &l.Holder, &l.Token, &expires)
	if err != nil {
		return Lease{Task: task}, fmt.Errorf("leader: lease of %s: %w", task, err)
	}
	l.Expires = time.UnixMicro(expires)
	return l, nil
}

type leaseKey struct{}

// With returns a context whose writes to the inventory are refused, with [ErrLost], once another
// holder has the lease.
func With(ctx context.Context, l Lease) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// Fence refuses a transaction of a context of [With] whose lease was lost. Each write transaction
// of the inventory calls it first: a check outside of the transaction could be out of date when it
// commits.
func Fence(ctx context.Context, tx *store.Tx) error {
	l, is := ctx.Value(leaseKey{}).(Lease)
	if !is {
		return nil
	}
	now, err := read(ctx, tx, l.Task)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now.Token != l.Token || now.Holder != l.Holder {
		return fmt.Errorf("%w: %s is %s's", ErrLost, l.Task, now.Holder)
	}
	return nil
}
