package leader_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/leader"
	"github.com/gomaas/maas/store/inventory/schema"
)

// A region that was cut off believes that it still has its task. Its writes are refused once
// another region has taken the lease.
func Example() {
	ctx := context.Background()
	db, err := store.Open(ctx, "memory:", schema.FS)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	inv, err := inventory.Open(ctx, db, inventory.Config{})
	if err != nil {
		panic(err)
	}
	first, held, err := inv.Leader.Take(ctx, "maintenance", "region-1", -time.Second) // expires before it is renewed
	fmt.Println(first.Holder, held, err)
	second, held, err := inv.Leader.Take(ctx, "maintenance", "region-2", time.Minute)
	fmt.Println(second.Holder, held, err)

	err = inv.Events.Trim(leader.With(ctx, first), 100)
	fmt.Println(errors.Is(err, leader.ErrLost))
	fmt.Println(inv.Events.Trim(leader.With(ctx, second), 100))
	// Output:
	// region-1 true <nil>
	// region-2 true <nil>
	// true
	// <nil>
}
