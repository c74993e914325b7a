package inventory_test

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/leader"
)

func TestTaskHasOneLeader(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		if _, err := inv.Leader.Of(ctx, "sweep"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a task without a leader: %v", err)
		}
		first, held, err := inv.Leader.Take(ctx, "sweep", "a", time.Hour)
		ok(t, err)
		if !held || first.Token != 1 {
			t.Errorf("taken: %v, %+v", held, first)
		}
		if d, held, err := inv.Leader.Take(ctx, "sweep", "b", time.Hour); held || err != nil || d.Holder != "a" {
			t.Errorf("a lease that is held: %v, %+v, %v", held, d, err)
		}
		ok(t, inv.Leader.Renew(ctx, first, -time.Second)) // as after a time without renewal
		onFirst := leader.With(ctx, first)
		ok(t, inv.Events.Add(onFirst, inventory.Event{Kind: "test", Description: "no other has it yet"}))

		second, held, err := inv.Leader.Take(ctx, "sweep", "b", time.Hour)
		ok(t, err)
		if !held || second.Token != 2 {
			t.Errorf("taken over: %v, %+v", held, second)
		}
		if err := inv.Leader.Renew(ctx, first, time.Hour); !errors.Is(err, leader.ErrLost) {
			t.Errorf("renewed by its former holder: %v", err)
		}
		if err := inv.Events.Add(onFirst, inventory.Event{Kind: "test", Description: "too late"}); !errors.Is(err, leader.ErrLost) {
			t.Errorf("a write of the former holder: %v", err)
		}
		if err := inv.Compact(onFirst, 0); !errors.Is(err, leader.ErrLost) {
			t.Errorf("the feed was trimmed: %v", err)
		}
		ok(t, inv.Events.Add(leader.With(ctx, second), inventory.Event{Kind: "test", Description: "in time"}))
		if events := must[[]inventory.Event](t)(inv.Events.After(ctx, 0, 0, 10)); len(events) != 2 || events[1].Description != "in time" {
			t.Errorf("events %+v", events)
		}
		ok(t, inv.Leader.Leave(ctx, first)) // no longer its own
		if _, held, _ := inv.Leader.Take(ctx, "sweep", "c", time.Hour); held {
			t.Error("a lease was ended by its former holder")
		}
		ok(t, inv.Leader.Leave(ctx, second))
		if d, held, err := inv.Leader.Take(ctx, "sweep", "c", time.Hour); !held || err != nil || d.Token != 3 {
			t.Errorf("a lease that was left: %v, %+v, %v", held, d, err)
		}
	})
}

func TestManyWantATask(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		var mu sync.Mutex
		var wait sync.WaitGroup
		holders := 0
		for i := range 8 {
			wait.Go(func() {
				_, held, err := inv.Leader.Take(t.Context(), "sweep", fmt.Sprint("region", i), time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if held {
					holders++
				}
			})
		}
		wait.Wait()
		if holders != 1 {
			t.Errorf("%d hold it", holders)
		}
	})
}
