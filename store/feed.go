package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// Op is an operation on an object.
type Op string

// The operations.
const (
	Created Op = "create"
	Updated Op = "update"
	Deleted Op = "delete"
)

// Change is one committed change of one object.
type Change struct {
	Rev  int64 // 1, 2, 3 ... over the whole database, in order of commit
	Time time.Time
	Kind string // of object, such as "subnet"
	ID   int64
	Op   Op
}

// ErrCompacted is Watch's error when changes after from are no longer kept: read everything, then
// watch from the revision that was current before.
var ErrCompacted = errors.New("store: changes that old are no longer kept; read all anew")

// Changed records that the transaction changed an object. Records of the same object are merged; an
// object that was created and deleted in one transaction is not reported.
func (tx *Tx) Changed(kind string, id int64, op Op) {
	if tx.changed == nil {
		tx.changed = make(map[object]int)
	}
	o := object{kind, id}
	i, known := tx.changed[o]
	switch {
	case !known:
		tx.changed[o] = len(tx.changes)
		tx.changes = append(tx.changes, Change{Kind: kind, ID: id, Op: op})
	case op != Deleted:
	case tx.changes[i].Op == Created:
		tx.changes = slices.Delete(tx.changes, i, i+1)
		delete(tx.changed, o)
		for j := i; j < len(tx.changes); j++ {
			tx.changed[object{tx.changes[j].Kind, tx.changes[j].ID}] = j
		}
	default:
		tx.changes[i].Op = Deleted
	}
}

// object names an object of the change feed.
type object struct {
	kind string
	id   int64
}

// publish gives the transaction's changes their revisions. The counter's row stays locked until the
// commit, so revisions are in order of commit and without gaps.
func (tx *Tx) publish(ctx context.Context) error {
	n := int64(len(tx.changes))
	if n == 0 {
		return nil
	}
	last, err := tx.Insert(ctx, "UPDATE revision SET last = last + ? WHERE one = 1 RETURNING last", n)
	if err != nil {
		return fmt.Errorf("store: %s: next revision: %w", tx.db.name, err)
	}
	tx.revision = last
	now := time.Now()
	for i, c := range tx.changes {
		rev := last - n + int64(i) + 1
		_, err := tx.Exec(ctx, "INSERT INTO change (rev, at, kind, object, op) VALUES (?, ?, ?, ?, ?)", rev, now.UnixMicro(), c.Kind, c.ID, string(c.Op))
		if err != nil {
			return fmt.Errorf("store: %s: record revision %d: %w", tx.db.name, rev, err)
		}
	}
	return tx.db.engine.notify(ctx, tx.tx)
}

// Revision returns the revision of the last committed change; 0 = none yet.
func (db *DB) Revision(ctx context.Context) (rev int64, err error) {
	err = db.View(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Get(ctx, "SELECT last FROM revision WHERE one = 1", nil, &rev)
	})
	return rev, err
}

// watchBatch bounds what a Watch holds in memory.
const watchBatch = 256

// pollEvery is the interval at which a Watch looks for changes that no notification announced.
const pollEvery = time.Second

// Watch yields every change after revision from, in order and each once, then waits for more. It
// ends without an error when ctx ends or the database is closed. After an error other than
// ErrCompacted it goes on, unless the consumer stops: a database that is away is looked for again
// every second.
func (db *DB) Watch(ctx context.Context, from int64) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		db.listen()
		for {
			// Taken before the read: a commit between the read and the wait closes this channel.
			wake := db.waker()
			batch, err := db.changesAfter(ctx, from)
			if ctx.Err() != nil || db.isClosed() {
				return
			}
			if err != nil && (!yield(Change{}, err) || errors.Is(err, ErrCompacted)) {
				return
			}
			for _, c := range batch {
				if !yield(c, nil) {
					return
				}
				from = c.Rev
			}
			for len(batch) < watchBatch {
				woken, ok := db.wait(ctx, wake)
				if !ok {
					return
				}
				if woken || !db.seenLately(from) {
					break
				}
			}
		}
	}
}

// changesAfter reads the next changes.
func (db *DB) changesAfter(ctx context.Context, from int64) (batch []Change, err error) {
	err = db.View(ctx, func(ctx context.Context, tx *Tx) error {
		var last, oldest int64
		const bounds = "SELECT last, COALESCE((SELECT MIN(rev) FROM change), last + 1) FROM revision WHERE one = 1"
		if err := tx.Get(ctx, bounds, nil, &last, &oldest); err != nil {
			return err
		}
		// The next change would be from+1. If even that is gone, some were missed.
		if from < oldest-1 {
			return ErrCompacted
		}
		db.found(last)
		if from == last { // as at nearly every look of a Watch
			return nil
		}
		const query = "SELECT rev, at, kind, object, op FROM change WHERE rev > ? ORDER BY rev LIMIT ?"
		return tx.Query(ctx, query, []any{from, watchBatch}, func(scan func(...any) error) error {
			var c Change
			var at int64
			if err := scan(&c.Rev, &at, &c.Kind, &c.ID, &c.Op); err != nil {
				return err
			}
			c.Time = time.UnixMicro(at)
			batch = append(batch, c)
			return nil
		})
	})
	return batch, err
}

// Compact forgets all but the last keep changes. A Watch further behind ends with ErrCompacted.
func (db *DB) Compact(ctx context.Context, keep int64) error {
	return db.Update(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM change WHERE rev <= (SELECT last FROM revision WHERE one = 1) - ?", keep)
		return err
	})
}

// broadcast wakes every Watch of this process.
func (db *DB) broadcast() {
	db.mu.Lock()
	defer db.mu.Unlock()
	close(db.wake)
	db.wake = make(chan struct{})
}

// waker returns the channel that the next commit closes.
func (db *DB) waker() <-chan struct{} {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.wake
}

func (db *DB) isClosed() bool {
	select {
	case <-db.closed:
		return true
	default:
		return false
	}
}

// wait returns when something has changed (woken), or after pollEvery; ok is false if the Watch has
// ended.
func (db *DB) wait(ctx context.Context, wake <-chan struct{}) (woken, ok bool) {
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	select {
	case <-wake:
		return true, true
	case <-timer.C:
		return false, true
	case <-ctx.Done():
	case <-db.closed:
	}
	return false, false
}

// looked holds the result of a look for changes: the last revision, and the time.
type looked struct {
	last int64
	at   time.Time
}

// seenLately reports whether another Watch has found within pollEvery that from is the last
// revision, so that many Watches cost one look a second.
func (db *DB) seenLately(from int64) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.looked.last == from && time.Since(db.looked.at) < pollEvery
}

// found records the last revision.
func (db *DB) found(last int64) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.looked = looked{last, time.Now()}
}

// listen starts, once, to receive the notifications of other processes' commits.
func (db *DB) listen() {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.started || db.isClosed() {
		return
	}
	db.started = true
	// The listener serves all Watches, so it does not end with the first one's context.
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.engine.listen(ctx, db.read, db.broadcast)
	}()
	db.stop = func() { cancel(); <-done }
}
