package storetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/store"
)

// Run runs the conformance suite. fresh returns the URL of an empty database for each test.
func Run(t *testing.T, fresh func(testing.TB) string) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, db *store.DB)
	}{
		{"CommitAndRollback", commitAndRollback},
		{"Joining", joining},
		{"BeforeCommit", beforeCommit},
		{"Constraints", constraints},
		{"ViewSeesOneState", viewSeesOneState},
		{"ViewDoesNotWrite", viewDoesNotWrite},
		{"WritersTakeTurns", writersTakeTurns},
		{"FeedInOrder", feedInOrder},
		{"FeedMerges", feedMerges},
		{"OnCommit", onCommit},
		{"FeedCompaction", feedCompaction},
		{"Cancellation", cancellation},
		{"PanicRollsBack", panicRollsBack},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, err := store.Open(t.Context(), fresh(t), Schema())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := db.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			c.run(t, db)
		})
	}
}

func insert(ctx context.Context, tx *store.Tx, name string) (int64, error) {
	id, err := tx.Insert(ctx, "INSERT INTO zone (name, description) VALUES (?, '') RETURNING id", name)
	if err == nil {
		tx.Changed("zone", id, store.Created)
	}
	return id, err
}

func add(ctx context.Context, db *store.DB, name string) error {
	return db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := insert(ctx, tx, name)
		return err
	})
}

func names(t *testing.T, db *store.DB) (names []string) {
	t.Helper()
	err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.Query(ctx, "SELECT name FROM zone ORDER BY name", nil, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			names = append(names, name)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var errStop = errors.New("stop")

func commitAndRollback(t *testing.T, db *store.DB) {
	if err := add(t.Context(), db, "kept"); err != nil {
		t.Fatal(err)
	}
	undone := false
	err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		tx.OnRollback(func() { undone = true })
		if _, err := insert(ctx, tx, "dropped"); err != nil {
			return err
		}
		return errStop
	})
	if !errors.Is(err, errStop) || !undone {
		t.Errorf("err = %v, OnRollback ran: %v; want errStop, true", err, undone)
	}
	if got := names(t, db); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("rows = %v, want [kept]", got)
	}
	if rev, err := db.Revision(t.Context()); rev != 1 || err != nil {
		t.Errorf("revision = %d, %v; want 1", rev, err)
	}
}

func joining(t *testing.T, db *store.DB) {
	err := db.Update(t.Context(), func(ctx context.Context, _ *store.Tx) error {
		if err := add(ctx, db, "a"); err != nil {
			return err
		}
		return db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			var name string
			return tx.Get(ctx, "SELECT name FROM zone WHERE name = ?", []any{"a"}, &name)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(ctx context.Context, _ *store.Tx) error { return add(ctx, db, "b") })
	if !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Update inside View: %v, want ErrReadOnly", err)
	}
}

func constraints(t *testing.T, db *store.DB) {
	ctx := t.Context()
	if err := add(ctx, db, "a"); err != nil {
		t.Fatal(err)
	}
	err := add(ctx, db, "a")
	var broken *store.ConstraintError
	if !errors.As(err, &broken) || broken.Kind != store.Unique || !errors.Is(err, fs.ErrExist) {
		t.Errorf("second row of one name: %v, want a Unique ConstraintError that is fs.ErrExist", err)
	}
	if err = add(ctx, db, ""); !errors.As(err, &broken) || broken.Kind != store.Check {
		t.Errorf("empty name: %v, want Check", err)
	}
	err = db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO node (zone_id, external, updated) VALUES (77, false, 0)")
		return err
	})
	if !errors.As(err, &broken) || broken.Kind != store.ForeignKey {
		t.Errorf("reference to nothing: %v, want ForeignKey", err)
	}
	err = db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		var id int64
		return tx.Get(ctx, "SELECT id FROM zone WHERE name = ?", []any{"none"}, &id)
	})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent row: %v, want fs.ErrNotExist", err)
	}
}

func viewSeesOneState(t *testing.T, db *store.DB) {
	if db.Name() == "memory" {
		t.Skip("a database in memory has one connection: a View keeps writers waiting")
	}
	err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		count := func() (n int, err error) {
			err = tx.Get(ctx, "SELECT COUNT(*) FROM zone", nil, &n)
			return n, err
		}
		before, err := count()
		if err != nil {
			return err
		}
		if err := add(t.Context(), db, "meanwhile"); err != nil {
			return err
		}
		after, err := count()
		if before != after {
			t.Errorf("a View saw %d rows, then %d", before, after)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func viewDoesNotWrite(t *testing.T, db *store.DB) {
	err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := insert(ctx, tx, "a")
		return err
	})
	if !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("err = %v, want ErrReadOnly", err)
	}
}

// writersTakeTurns counts with reads and writes that would lose updates if two transactions ran at
// once.
func writersTakeTurns(t *testing.T, db *store.DB) {
	const writers, each = 8, 10
	if err := add(t.Context(), db, "counter"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					var text string
					if err := tx.Get(ctx, "SELECT description FROM zone WHERE name = 'counter'", nil, &text); err != nil {
						return err
					}
					n := 0
					_, _ = fmt.Sscan(text, &n)
					_, err := tx.Exec(ctx, "UPDATE zone SET description = ? WHERE name = 'counter'", fmt.Sprint(n+1))
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_ = db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		var text string
		err := tx.Get(ctx, "SELECT description FROM zone WHERE name = 'counter'", nil, &text)
		if text != fmt.Sprint(writers*each) {
			t.Errorf("counted %s, want %d", text, writers*each)
		}
		return err
	})
}

// feedInOrder has many writers and several watchers, of which some begin late.
func feedInOrder(t *testing.T, db *store.DB) {
	const writers, each = 6, 20
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := add(ctx, db, fmt.Sprintf("w%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for from := range int64(4) {
		wg.Go(func() {
			next := from*10 + 1
			for c, err := range db.Watch(ctx, from*10) {
				if err != nil || c.Rev != next || c.Kind != "zone" || c.Op != store.Created || c.ID == 0 {
					t.Errorf("got %+v, %v; want revision %d of a zone", c, err, next)
					return
				}
				if next++; next > writers*each {
					return
				}
			}
			t.Errorf("watch from %d ended at %d", from*10, next)
		})
	}
	wg.Wait()
}

func feedMerges(t *testing.T, db *store.DB) {
	err := db.Update(t.Context(), func(_ context.Context, tx *store.Tx) error {
		tx.Changed("a", 1, store.Created)
		tx.Changed("a", 1, store.Updated)
		tx.Changed("a", 2, store.Created)
		tx.Changed("a", 2, store.Deleted)
		tx.Changed("a", 3, store.Updated)
		tx.Changed("a", 3, store.Deleted)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for c, err := range db.Watch(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s %d %s", c.Rev, c.Kind, c.ID, c.Op))
		if len(got) == 2 {
			break
		}
	}
	if want := []string{"1 a 1 create", "2 a 3 delete"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// onCommit is called for what was committed, once for joined updates.
func onCommit(t *testing.T, db *store.DB) {
	var told []int64
	ctx := store.OnCommit(t.Context(), func(revision int64) { told = append(told, revision) })
	err := db.Update(ctx, func(ctx context.Context, _ *store.Tx) error {
		return errors.Join(add(ctx, db, "a"), add(ctx, db, "b"))
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = db.Update(ctx, func(context.Context, *store.Tx) error { return nil })
	refused := db.Update(ctx, func(ctx context.Context, _ *store.Tx) error { return errors.Join(add(ctx, db, "c"), errors.New("no")) })
	if refused == nil || !slices.Equal(told, []int64{2}) {
		t.Errorf("told of %v, want 2 alone; %v", told, refused)
	}
}

func feedCompaction(t *testing.T, db *store.DB) {
	for i := range 10 {
		if err := add(t.Context(), db, fmt.Sprint("z", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	for c, err := range db.Watch(t.Context(), 7) {
		if err != nil || c.Rev != 8 {
			t.Errorf("from 7: %+v, %v; want revision 8", c, err)
		}
		break
	}
	for _, err := range db.Watch(t.Context(), 6) {
		if !errors.Is(err, store.ErrCompacted) {
			t.Errorf("from 6: %v, want ErrCompacted", err)
		}
	}
}

func cancellation(t *testing.T, db *store.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := add(ctx, db, "late"); !errors.Is(err, context.Canceled) {
		t.Errorf("Update with an ended ctx: %v, want context.Canceled", err)
	}
	for range db.Watch(ctx, 0) {
		t.Error("Watch with an ended ctx yields")
	}
	if got := names(t, db); len(got) != 0 {
		t.Errorf("rows = %v, want none", got)
	}
}

func panicRollsBack(t *testing.T, db *store.DB) {
	func() {
		defer func() { _ = recover() }()
		_ = db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, _ = insert(ctx, tx, "a")
			panic("bug")
		})
	}()
	if err := add(t.Context(), db, "after"); err != nil {
		t.Fatalf("the database is stuck after a panic: %v", err)
	}
	if got := names(t, db); !slices.Equal(got, []string{"after"}) {
		t.Errorf("rows = %v, want [after]", got)
	}
}

func beforeCommit(t *testing.T, db *store.DB) {
	ctx := t.Context()
	refuse := errors.New("refused")
	var told []store.Change
	run := func(name string, answer error) error {
		return db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			tx.BeforeCommit(func(ctx context.Context, changes []store.Change) error {
				told = changes
				if err := add(ctx, db, name+" too"); err != nil { // it joins
					return err
				}
				return answer
			})
			tx.BeforeCommit(func(context.Context, []store.Change) error { return errors.New("the second counted") })
			if name == "" {
				return nil
			}
			_, err := insert(ctx, tx, name)
			return err
		})
	}
	if err := run("", refuse); err != nil || told != nil {
		t.Errorf("nothing changed, and it was called with %v: %v", told, err)
	}
	if err := run("a", refuse); !errors.Is(err, refuse) {
		t.Errorf("refused with %v", err)
	}
	if err := run("b", nil); err != nil || len(told) != 1 || told[0].Op != store.Created {
		t.Errorf("told %v: %v", told, err)
	}
	var n int
	err := db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.Get(ctx, "SELECT COUNT(*) FROM zone WHERE name IN ('a', 'a too', 'b', 'b too')", nil, &n)
	})
	if err != nil || n != 2 {
		t.Errorf("%d zones are there, want b and b too: %v", n, err)
	}
}
