package region

import (
	"context"
	"fmt"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// Intervals of maintenance, and the bounds of what the database keeps.
const (
	maintainEvery = time.Minute
	trimEvery     = time.Hour
	// leaseGrace is the time for which an ended lease is kept: its renewal may still be in the
	// outbox of its rack.
	leaseGrace = 5 * time.Minute
	// keepEvents and keepChanges are numbers of rows. A reader of changes that is further behind
	// has to read the whole model.
	keepEvents  = 200_000
	keepAudit   = 100_000
	keepChanges = 100_000
	// quarantine is the time for which only its last holder gets a released address: others may
	// still have it in ARP caches and DNS answers.
	quarantine = 10 * time.Minute
)

// maintain deletes what has expired and reports subnets that run full, until ctx ends. A failed
// step is repeated in the next round.
func (r *Region) maintain(ctx context.Context) error {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	full := make(map[int64]string)  // names of reported subnets by ID
	pools := make(map[int64]string) // reported dynamic ranges by ID
	var trimmed time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			r.try(ctx, "forget ended leases", r.expireLeases(ctx, now))
			r.try(ctx, "forget expired keys", r.inv.APIKeys.DeleteExpired(ctx, now))
			r.try(ctx, "count free addresses", r.noticeFull(ctx, full))
			r.try(ctx, "count leases", r.noticeFullPools(ctx, pools))
			if now.Sub(trimmed) >= trimEvery {
				trimmed = now
				r.try(ctx, "trim the event log", r.inv.Events.Trim(ctx, keepEvents))
				r.try(ctx, "trim the audit log", r.inv.Audit.Trim(ctx, keepAudit))
				r.try(ctx, "trim the change feed", r.inv.Compact(ctx, keepChanges))
			}
		}
	}
}

// noteUses writes when API keys were last used, until ctx ends. Each region has seen uses of its
// own.
func (r *Region) noteUses(ctx context.Context) error {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTime)
			defer cancel()
			return r.inv.APIKeys.NoteUses(last)
		case <-tick.C:
			r.try(ctx, "record the use of keys", r.inv.APIKeys.NoteUses(ctx))
		}
	}
}

// try logs an error; the caller repeats the step in its next round.
func (r *Region) try(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		r.log.Warn("maintenance failed, trying again later", "task", what, "err", err)
	}
}

// expireLeases removes leases without a report of their end, as of racks that are gone.
func (r *Region) expireLeases(ctx context.Context, now time.Time) error {
	n, err := r.inv.Leases.Expire(ctx, now.Add(-leaseGrace))
	if n > 0 {
		r.log.Info("ended leases removed", "count", n)
	}
	return err
}

// noticeFullPools logs, once each, the dynamic ranges of which all addresses are leased, and those
// that have free ones again. reported holds them by ID.
func (r *Region) noticeFullPools(ctx context.Context, reported map[int64]string) error {
	full, err := r.inv.FullRanges(ctx)
	if err != nil {
		return err
	}
	now := make(map[int64]bool)
	for _, pool := range full {
		now[pool.ID] = true
		if reported[pool.ID] != "" {
			continue
		}
		r.log.Warn("dynamic range exhausted", "subnet", pool.String())
		text := fmt.Sprintf("%s: all addresses are leased, and further clients get none; extend it, or shorten leases", pool)
		if err := r.inv.Events.Add(ctx, inventory.Event{Kind: "subnet", Level: "error", Description: text}); err != nil {
			return err
		}
		reported[pool.ID] = pool.String()
	}
	for id, name := range reported {
		if now[id] {
			continue
		}
		if err := r.inv.Events.Add(ctx, inventory.Event{Kind: "subnet", Level: "info", Description: name + " has free addresses again"}); err != nil {
			return err
		}
		delete(reported, id)
	}
	return nil
}

// noticeFull logs, once each, the subnets that begin or cease to run out of addresses. reported
// holds the names of subnets logged before, by ID: a subnet deleted since has only this name left.
func (r *Region) noticeFull(ctx context.Context, reported map[int64]string) error {
	notices, err := r.inv.ExhaustionNotices(ctx)
	if err != nil {
		return err
	}
	now := make(map[int64]bool)
	for _, n := range notices {
		now[n.Subnet.ID] = true
		if reported[n.Subnet.ID] != "" {
			continue
		}
		r.log.Warn("subnet almost exhausted", "subnet", n.Subnet.String(), "free", n.Statistics.Available, "total", n.Statistics.Total)
		if err := r.inv.Events.Add(ctx, inventory.Event{Kind: "subnet", Level: "warning", Description: n.String()}); err != nil {
			return err
		}
		// Only after the event is stored: if that fails, the next round reports the subnet again.
		reported[n.Subnet.ID] = n.Subnet.String()
	}
	for id, name := range reported {
		if !now[id] {
			delete(reported, id)
			text := fmt.Sprintf("subnet %s has enough free addresses again", name)
			if err := r.inv.Events.Add(ctx, inventory.Event{Kind: "subnet", Level: "info", Description: text}); err != nil {
				return err
			}
		}
	}
	return nil
}
