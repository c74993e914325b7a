package region

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/gomaas/maas/store/inventory/leader"
)

// Tasks of the site that one region does, its leader. Making the site's certificate authority is
// none of them: a transaction sees to it that it is made once.
const (
	TaskMaintenance = "maintenance" // deletes what has expired
	TaskDiscovery   = "discovery"   // sweeps subnets
	TaskPower       = "power"       // queries BMCs
)

const (
	// leaseTime is the time without a leader after one dies. It is renewed every third of it, so
	// that two renewals may fail.
	leaseTime = 6 * time.Second
	// leaseTimeAlone is the time for databases of one region. Its holder name stays the same, so
	// that it takes its own leases at once when it starts, and renews them less often.
	leaseTimeAlone = time.Minute
)

// holder returns the name under which the region takes leases. Several regions may be configured
// with one name, and a restarted region must not continue with the token of its former life, so the
// name contains the life where the database is shared.
func (r *Region) holder() string {
	if !r.db.Shared() {
		return r.name
	}
	return r.name + "/" + r.life
}

// newLife returns a name that no process of the site had before.
func newLife() string { return rand.Text()[:8] }

// leaseTime returns the life of the leases that this region takes.
func (r *Region) leaseTime() time.Duration {
	if !r.db.Shared() {
		return leaseTimeAlone
	}
	return leaseTime
}

// asLeader runs work whenever this region is the leader of a task, until ctx ends. The context of
// work ends when the lease is lost, and writes with it are refused from then on.
func (r *Region) asLeader(ctx context.Context, name string, work func(context.Context) error) error {
	for ctx.Err() == nil {
		lease, held, err := r.inv.Leader.Take(ctx, name, r.holder(), r.leaseTime())
		r.try(ctx, "take the leader lease of "+name, err)
		if held {
			r.log.Debug("leader lease acquired", "task", name, "token", lease.Token)
			if err := r.whileHeld(ctx, lease, work); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.leaseTime() / 3):
		}
	}
	return nil
}

// whileHeld runs work and renews its lease meanwhile.
func (r *Region) whileHeld(ctx context.Context, lease leader.Lease, work func(context.Context) error) error {
	workCtx, stop := context.WithCancel(leader.With(ctx, lease))
	defer stop()
	done := make(chan error, 1)
	go func() { done <- work(workCtx) }()
	renewed := time.Now()
	for {
		select {
		case err := <-done:
			r.leave(ctx, lease)
			if errors.Is(err, leader.ErrLost) {
				return nil
			}
			return err
		case <-time.After(r.leaseTime() / 3):
		}
		err := r.renew(ctx, lease)
		if err == nil {
			renewed = time.Now()
		} else if errors.Is(err, leader.ErrLost) || time.Since(renewed) > r.leaseTime() {
			r.log.Warn("leader lease lost", "task", lease.Task, "err", err)
			stop()
			<-done
			return nil
		}
	}
}

// renew has a third of the lease's life for it, so that a database that hangs is noticed in time.
func (r *Region) renew(ctx context.Context, lease leader.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, r.leaseTime()/3)
	defer cancel()
	return r.inv.Leader.Renew(ctx, lease, r.leaseTime())
}

// leave lets another region take over at once. It has a limit: the end of the region must not wait
// for a database that is away.
func (r *Region) leave(ctx context.Context, lease leader.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.leaseTime()/3)
	defer cancel()
	if err := r.inv.Leader.Leave(ctx, lease); err != nil {
		r.log.Debug("leader lease not released, it expires by itself", "task", lease.Task, "err", err)
	}
}
