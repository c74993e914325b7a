package region

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// Duties are what one region does for the site. The site's certificate authority needs none: it is made once, in a
// transaction.
const (
	DutyMaintenance = "maintenance" // forgets what is over, and looks after racks
	DutyDiscovery   = "discovery"   // sweeps subnets
	DutyPower       = "power"       // asks BMCs
)

const (
	// dutyTime is how long the site goes without when the region with a duty dies.
	dutyTime = 6 * time.Second
	// dutyTimeAlone is for databases that no other region uses: the one there is takes its duties at once when it starts.
	dutyTimeAlone = time.Minute
)

// holder is who takes duties: this life of the region or, where there is only one, the region in all its lives.
func (r *Region) holder() string {
	if !r.db.Shared() {
		return r.name
	}
	return r.name + "/" + r.life
}

func newLife() string { return rand.Text()[:8] }

func (r *Region) dutyTime() time.Duration {
	if !r.db.Shared() {
		return dutyTimeAlone
	}
	return dutyTime
}

// onDuty runs work whenever this region has the duty, until ctx ends. The ctx that work gets ends when the duty is lost, and
// what is written with it after that is refused.
func (r *Region) onDuty(ctx context.Context, name string, work func(context.Context) error) error {
	for ctx.Err() == nil {
		duty, held, err := r.inv.TakeLeaderLease(ctx, name, r.holder(), r.dutyTime())
		r.try(ctx, "take the duty "+name, err)
		if held {
			r.log.Debug("leader lease acquired", "duty", name, "token", duty.Token)
			if err := r.whileHeld(ctx, duty, work); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.dutyTime() / 3):
		}
	}
	return nil
}

// whileHeld runs work and renews the duty beside it.
func (r *Region) whileHeld(ctx context.Context, duty inventory.LeaderLease, work func(context.Context) error) error {
	workCtx, stop := context.WithCancel(inventory.WithLeaderLease(ctx, duty))
	defer stop()
	done := make(chan error, 1)
	go func() { done <- work(workCtx) }()
	renewed := time.Now()
	for {
		select {
		case err := <-done:
			r.leave(ctx, duty)
			if errors.Is(err, inventory.ErrLeaderLeaseLost) {
				return nil
			}
			return err
		case <-time.After(r.dutyTime() / 3):
		}
		err := r.renew(ctx, duty)
		if err == nil {
			renewed = time.Now()
		} else if errors.Is(err, inventory.ErrLeaderLeaseLost) || time.Since(renewed) > r.dutyTime() {
			r.log.Warn("leader lease lost", "duty", duty.Name, "err", err)
			stop()
			<-done
			return nil
		}
	}
}

func (r *Region) renew(ctx context.Context, duty inventory.LeaderLease) error {
	ctx, cancel := context.WithTimeout(ctx, r.dutyTime()/3)
	defer cancel()
	return r.inv.RenewLeaderLease(ctx, duty, r.dutyTime())
}

// leave lets another region take over at once. It must not hold up the end.
func (r *Region) leave(ctx context.Context, duty inventory.LeaderLease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.dutyTime()/3)
	defer cancel()
	if err := r.inv.LeaveLeaderLease(ctx, duty); err != nil {
		r.log.Debug("leader lease not released, it expires by itself", "duty", duty.Name, "err", err)
	}
}
