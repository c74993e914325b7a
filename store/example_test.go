package store_test

import (
	"context"
	"fmt"
	"log"
	"testing/fstest"

	"github.com/gomaas/maas/store"
)

// A transaction notes what it changed, and each watcher receives it.
func Example() {
	ctx := context.Background()
	schema := fstest.MapFS{"0001_zone.sql": {Data: []byte(`-- +goose Up
		CREATE TABLE zone (id {{id}}, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL);`)}}
	db, err := store.Open(ctx, "memory:", schema) // or "sqlite:///var/lib/gomaas/maas.db"
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	err = db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err := tx.Insert(ctx, "INSERT INTO zone (name, description) VALUES (?, ?) RETURNING id", "room-1", "")
		tx.Changed("zone", id, store.Created)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	for change, err := range db.Watch(ctx, 0) {
		fmt.Println(change.Rev, change.Op, change.Kind, change.ID, err)
		break
	}
	// Output: 1 create zone 1 <nil>
}
