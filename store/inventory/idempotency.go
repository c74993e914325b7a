package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/gomaas/maas/store"
)

// Answer is the stored answer to a request with an idempotency key.
type Answer struct {
	ID      int64
	User    string
	Key     string // the user's, for the request
	Request string // a hash of all of it
	Status  int    // of HTTP; 0 = it is being done
	Type    string // of the body
	Body    []byte
	Created time.Time
}

var answers = table[Answer]{
	kind: "answer", name: "answer", cols: []string{"account", "name", "request", "status", "kind", "body", "created"},
	id: func(a *Answer) *int64 { return &a.ID },
	fields: func(a *Answer) []any {
		return []any{&a.User, &a.Key, &a.Request, &a.Status, &a.Type, &a.Body, asTime{&a.Created}}
	},
}

// How long and how many answers are kept, and after how long one that never came counts as none.
const (
	answerLife = 24 * time.Hour
	maxAnswers = 10_000
	answerTime = 10 * time.Minute
)

// Answers keeps the answers to requests with idempotency keys.
type Answers struct{ inv *Inventory }

// Begin records that a request is running. If the user sent a request with that key before, it
// returns that request's answer and false, and records nothing. Answers are not in the change feed.
func (an *Answers) Begin(ctx context.Context, a Answer) (old Answer, begun bool, err error) {
	a.Created, a.Body = time.Now(), []byte{}
	err = an.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		begun = false
		ended := a.Created.Add(-answerLife).UnixMicro()
		stuck := a.Created.Add(-answerTime).UnixMicro()
		// Old answers make room here, so that no task is needed. A request that is still running
		// after answerTime died with its region.
		const trim = "DELETE FROM answer WHERE created < ? OR status = 0 AND created < ? OR id <= (SELECT COALESCE(MAX(id), 0) FROM answer) - ?"
		if _, err := tx.Exec(ctx, trim, ended, stuck, maxAnswers); err != nil {
			return err
		}
		old, err = answers.one(ctx, tx, a.Key, "account = ? AND name = ?", a.User, a.Key)
		if !notFound(err) {
			return err
		}
		begun = true
		const add = "INSERT INTO answer (account, name, request, status, kind, body, created) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id"
		old = a
		old.ID, err = tx.Insert(ctx, add, answers.fields(&a)...)
		return err
	})
	return old, begun, err
}

// End keeps the answer of a request that Answers.Begin noted or, with status 0, forgets the
// request.
func (an *Answers) End(ctx context.Context, a Answer) error {
	return an.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if a.Status == 0 {
			_, err := tx.Exec(ctx, "DELETE FROM answer WHERE id = ?", a.ID)
			return err
		}
		if a.Body == nil {
			a.Body = []byte{}
		}
		_, err := tx.Exec(ctx, "UPDATE answer SET status = ?, kind = ?, body = ? WHERE id = ?", a.Status, a.Type, a.Body, a.ID)
		if err != nil {
			err = fmt.Errorf("inventory: keep an answer: %w", err)
		}
		return err
	})
}

// NewFacts returns how many of the facts with these numbers, of one rack's outbox, were taken
// before and are to be skipped, and records that all are taken once the transaction of ctx commits.
func (inv *Inventory) NewFacts(ctx context.Context, rack, outbox string, seqs []uint64) (skip int, err error) {
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		skip = 0
		var name string
		var last int64
		err := tx.Get(ctx, "SELECT outbox, seq FROM fact WHERE rack = ?", []any{rack}, &name, &last)
		if err != nil && !notFound(err) {
			return err
		}
		// A rack that lost its disk begins a new outbox, whose numbers start at one again.
		if name == outbox {
			for skip < len(seqs) && seqs[skip] <= uint64(last) {
				skip++
			}
		}
		if skip == len(seqs) {
			return nil
		}
		const query = `INSERT INTO fact (rack, seq, outbox) VALUES (?, ?, ?)
			ON CONFLICT (rack) DO UPDATE SET seq = excluded.seq, outbox = excluded.outbox`
		_, err = tx.Exec(ctx, query, rack, int64(seqs[len(seqs)-1]), outbox)
		return err
	})
	return skip, err
}
