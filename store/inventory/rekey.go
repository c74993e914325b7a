package inventory

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/internal/secret"
)

// Rekeyed lists the fate of a site's secrets. Lost secrets are removed from the database.
type Rekeyed struct {
	Kept int // how many are sealed with the new key
	// LostPower are machines without the secrets of their power drivers now.
	LostPower []string
	// LostTSIG are keys whose secret was replaced by a random one: transfers and updates with them
	// are refused.
	LostTSIG []string
	// LostUserData are the targets without their user data now, such as "machine web-1" or "site".
	LostUserData []string
	// LostCA reports that the site's CA is lost: racks of other hosts are refused until each joins
	// again with a token.
	LostCA bool
	// Signed are domains whose keys follow from the site's, so that their parents need new DS
	// records.
	Signed []string
}

// ReplaceKey seals a site's secrets with another key, all or none. Those that old does not open are
// lost; nil opens none. No region may run on the database.
func ReplaceKey(ctx context.Context, db *store.DB, old, fresh []byte) (r Rekeyed, err error) {
	var from, to *secret.Seal
	if old != nil {
		if from, err = secret.NewSeal(old); err != nil {
			return r, err
		}
	}
	if to, err = secret.NewSeal(fresh); err != nil {
		return r, err
	}
	err = (&Inventory{db: db}).update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r = Rekeyed{}
		all, err := sealedSecrets(ctx, tx)
		if err != nil {
			return err
		}
		for _, s := range all {
			if err := s.move(ctx, tx, from, to, &r); err != nil {
				return err
			}
		}
		if r.LostCA { // a rack that joins again must not be taken for a second host of its name
			if _, err := tx.Exec(ctx, "UPDATE rack_certificate SET revoked = ? WHERE revoked = 0", time.Now().UnixMicro()); err != nil {
				return err
			}
		}
		signed, err := domains.list(ctx, tx, "")
		for _, d := range signed {
			if d.Signed {
				r.Signed = append(r.Signed, d.Name)
			}
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM site_key"); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO site_key (one, mark) VALUES (1, ?)", secret.Mark(fresh))
		return err
	})
	return r, err
}

// sealedSecret is one secret, wherever in the database it is.
type sealedSecret struct {
	table, column string // the row that has it
	id            int64
	owner         string // what it is sealed for
	name          string // what people call that
	sealed        []byte
	lose          func(r *Rekeyed, name string) (instead []byte)
}

// move seals a secret with another key. When it does not open, it is lost: what comes instead is
// sealed, or it is deleted.
func (s sealedSecret) move(ctx context.Context, tx *store.Tx, from, to *secret.Seal, r *Rekeyed) error {
	text, err := from.Open(s.sealed, s.owner)
	if err == nil {
		r.Kept++
	} else if text = s.lose(r, s.name); text == nil {
		_, err := tx.Exec(ctx, "DELETE FROM "+s.table+" WHERE "+s.column+" = ?", s.id)
		return err
	}
	_, err = tx.Exec(ctx, "UPDATE "+s.table+" SET sealed = ? WHERE "+s.column+" = ?", to.Close(text, s.owner), s.id)
	return err
}

// sealedSecrets are all there are.
func sealedSecrets(ctx context.Context, tx *store.Tx) (all []sealedSecret, err error) {
	add := func(kind sealedSecret, query string, owner func(sealedSecret) string) {
		if err != nil {
			return
		}
		err = tx.Query(ctx, query, nil, func(scan func(...any) error) error {
			s := kind
			err := scan(&s.id, &s.name, &s.sealed)
			s.owner = owner(s)
			all = append(all, s)
			return err
		})
	}
	power := func(r *Rekeyed, name string) []byte {
		r.LostPower = append(r.LostPower, name)
		return nil
	}
	add(sealedSecret{table: "node_secret", column: "node_id", lose: power},
		"SELECT s.node_id, n.hostname, s.sealed FROM node_secret s JOIN node n ON n.id = s.node_id ORDER BY n.hostname",
		func(s sealedSecret) string { return strconv.FormatInt(s.id, 10) })
	tsig := func(r *Rekeyed, name string) []byte {
		r.LostTSIG = append(r.LostTSIG, name)
		return []byte(base64.StdEncoding.EncodeToString([]byte(rand.Text())))
	}
	add(sealedSecret{table: "tsig_key", column: "id", lose: tsig},
		"SELECT id, name, sealed FROM tsig_key ORDER BY name", func(s sealedSecret) string { return keyOwner(s.name) })
	userData := func(r *Rekeyed, name string) []byte {
		r.LostUserData = append(r.LostUserData, name)
		return nil
	}
	add(sealedSecret{table: "user_data", column: "node_id", lose: userData},
		"SELECT u.node_id, 'machine ' || n.hostname, u.sealed FROM user_data u JOIN node n ON n.id = u.node_id ORDER BY n.hostname",
		func(s sealedSecret) string { return userDataOwner(BootTarget{MachineID: s.id}) })
	add(sealedSecret{table: "user_data", column: "tag_id", lose: userData},
		"SELECT u.tag_id, 'tag ' || t.name, u.sealed FROM user_data u JOIN tag t ON t.id = u.tag_id ORDER BY t.name",
		func(s sealedSecret) string { return userDataOwner(BootTarget{TagID: s.id}) })
	add(sealedSecret{table: "user_data", column: "id", lose: userData},
		"SELECT id, 'site', sealed FROM user_data WHERE node_id IS NULL AND tag_id IS NULL",
		func(sealedSecret) string { return userDataOwner(BootTarget{}) })
	authority := func(r *Rekeyed, _ string) []byte {
		r.LostCA = true
		return nil
	}
	add(sealedSecret{table: "site_ca", column: "one", lose: authority}, "SELECT one, '', sealed FROM site_ca", func(sealedSecret) string { return siteOwner })
	return all, err
}

// ErrOtherKey is Open's error if the site's secrets are sealed with another key than Config has.
var ErrOtherKey = errors.New("inventory: the site's secrets are sealed with another key")

// KeyMarked reports whether a key was ever used for the secrets in the database: all that open it
// must have that one.
func KeyMarked(ctx context.Context, db *store.DB) (marked bool, err error) {
	err = db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		var n int64
		err := tx.Get(ctx, "SELECT COUNT(*) FROM site_key", nil, &n)
		marked = n > 0
		return err
	})
	return marked, err
}

// Digest returns a keyed hash of data. Without the site's key the data cannot be found by trial, so
// a digest of data with secrets may be stored.
func (an *Answers) Digest(data []byte) string {
	return secret.Digest(an.inv.digestKey, data)
}

// FitsKey reports whether the secrets in a database are sealed with a key.
func FitsKey(ctx context.Context, db *store.DB, key []byte) (fits bool, err error) {
	err = db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		var mark []byte
		err := tx.Get(ctx, "SELECT mark FROM site_key WHERE one = 1", nil, &mark)
		fits = err == nil && secret.Marked(mark, key)
		if notFound(err) {
			return nil
		}
		return err
	})
	return fits, err
}

// checkKey compares the key with the one that the site began with. The first one is that.
func (inv *Inventory) checkKey(ctx context.Context, key []byte) error {
	return inv.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		var mark []byte
		err := tx.Get(ctx, "SELECT mark FROM site_key WHERE one = 1", nil, &mark)
		switch {
		case notFound(err):
			_, err = tx.Exec(ctx, "INSERT INTO site_key (one, mark) VALUES (1, ?)", secret.Mark(key))
			return err
		case err != nil:
			return err
		case !secret.Marked(mark, key):
			return ErrOtherKey
		}
		return nil
	})
}
