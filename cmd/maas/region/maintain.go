package region

import (
	"context"
	"fmt"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// What the database keeps, and how often it is looked at.
const (
	maintainEvery = time.Minute
	trimEvery     = time.Hour
	// leaseGrace is how long an ended lease stays known: its renewal may still be on the way from its rack.
	leaseGrace = 5 * time.Minute
	// keepEvents and keepChanges bound the log and the change feed. A reader further behind reads all anew.
	keepEvents  = 200_000
	keepChanges = 100_000
	// quarantine is how long a released address is given to nobody else, so that ARP caches and DNS answers run out.
	quarantine = 10 * time.Minute
)

// maintain forgets what is over, and says when a subnet runs full, until ctx ends. What fails is tried again the next time.
func (r *Region) maintain(ctx context.Context) error {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	full := make(map[int64]string) // subnets that were told of
	var trimmed time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			r.try(ctx, "forget ended leases", r.expireLeases(ctx, now))
			r.try(ctx, "count free addresses", r.noticeFull(ctx, full))
			if now.Sub(trimmed) >= trimEvery {
				trimmed = now
				r.try(ctx, "trim the event log", r.inv.Events.Trim(ctx, keepEvents))
				r.try(ctx, "trim the change feed", r.inv.Compact(ctx, keepChanges))
			}
		}
	}
}

// try logs an error that the next round may not meet again.
func (r *Region) try(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		r.log.Warn("maintenance failed, trying again later", "what", what, "err", err)
	}
}

func (r *Region) expireLeases(ctx context.Context, now time.Time) error {
	n, err := r.inv.Leases.Expire(ctx, now.Add(-leaseGrace))
	if n > 0 {
		r.log.Info("ended leases removed", "count", n)
	}
	return err
}

// noticeFull tells, once each, of subnets that begin or cease to run out of addresses. told is what was said before.
func (r *Region) noticeFull(ctx context.Context, told map[int64]string) error {
	notices, err := r.inv.ExhaustionNotices(ctx)
	if err != nil {
		return err
	}
	now := make(map[int64]bool)
	for _, n := range notices {
		now[n.Subnet.ID] = true
		if told[n.Subnet.ID] != "" {
			continue
		}
		r.log.Warn("subnet almost exhausted", "subnet", n.Subnet.String(), "free", n.Statistics.Available, "total", n.Statistics.Total)
		if err := r.inv.Events.Add(ctx, inventory.Event{Kind: "subnet", Level: "warning", Description: n.String()}); err != nil {
			return err
		}
		told[n.Subnet.ID] = n.Subnet.String()
	}
	for id, name := range told {
		if !now[id] {
			delete(told, id)
			text := fmt.Sprintf("subnet %s has enough free addresses again", name)
			if err := r.inv.Events.Add(ctx, inventory.Event{Kind: "subnet", Level: "info", Description: text}); err != nil {
				return err
			}
		}
	}
	return nil
}
