package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/internal/smalldisk"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/internal/storetest"
)

// A database on a disk that others fill keeps what it acknowledged, serves reads, and takes writes
// again with room and without a restart. A restart meanwhile is refused with the cure, or works.
func TestDiskFilledByOthers(t *testing.T) {
	smalldisk.Run(t, 2<<20, func(disk smalldisk.Disk) {
		url := "sqlite://" + filepath.Join(disk.Dir, "maas.db")
		db, acknowledged := open(t, url), 0
		insert := func(name string) error {
			err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO zone (name, description) VALUES (?, ?)", name, strings.Repeat("x", 2000))
				return err
			})
			if err == nil {
				acknowledged++
			}
			return err
		}
		count := func() (n int) {
			t.Helper()
			err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return tx.Get(ctx, "SELECT COUNT(*) FROM zone", nil, &n)
			})
			if err != nil {
				t.Error(err)
			}
			return n
		}
		for round := range 3 {
			if err := insert(fmt.Sprint("room ", round)); err != nil {
				t.Fatal(err)
			}
			disk.Fill()
			var err error
			for i := 0; err == nil; i++ { // some still fit into what the file has
				err = insert(fmt.Sprint("full ", round, i))
			}
			if !strings.Contains(err.Error(), "the disk is full") || db.WriteError() == nil {
				t.Errorf("round %d: %v, write error %v", round, err, db.WriteError())
			}
			if n := count(); n != acknowledged {
				t.Errorf("round %d: %d rows of %d acknowledged on a full disk", round, n, acknowledged)
			}
			if round == 1 {
				db.Close()
				if full, err := store.Open(t.Context(), url, storetest.Schema()); err == nil {
					full.Close()
				} else if !strings.Contains(err.Error(), "the disk is full") {
					t.Errorf("opened on a full disk: %v", err)
				}
				disk.Empty()
				db = open(t, url)
			} else {
				disk.Empty()
			}
			if err := insert(fmt.Sprint("again ", round)); err != nil || db.WriteError() != nil {
				t.Errorf("round %d: with room again: %v, write error %v", round, err, db.WriteError())
			}
			if n := count(); n != acknowledged {
				t.Errorf("round %d: %d rows of %d acknowledged", round, n, acknowledged)
			}
		}
		db.Close()
		disk.ReadOnly(func() {
			ro, err := store.Open(t.Context(), url, storetest.Schema())
			if err == nil {
				ro.Close()
				t.Error("a database opens that cannot be written")
			} else {
				t.Log(err)
			}
		})
		if db = open(t, url); count() != acknowledged {
			t.Errorf("opened again: %d rows of %d acknowledged", count(), acknowledged)
		}
	})
}
