package inventory

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/internal/secret"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// APIKey is the stored part of a key with which a user's programs use the API.
type APIKey struct {
	ID       int64
	UserID   int64
	Name     string // what it is for, as the user calls it; "" = not said
	Consumer string // the first of its three parts
	Token    string // the second
	hash     string // of the third
	Created  time.Time
	Expires  time.Time // the zero time = never
	Used     time.Time // for the last time; the zero time = never. NoteUses writes it.
}

var apiKeys = table[APIKey]{
	kind: kinds.APIKey, name: "api_key", cols: []string{"account_id", "name", "consumer", "token", "secret", "created", "expires", "used"},
	id: func(k *APIKey) *int64 { return &k.ID },
	fields: func(k *APIKey) []any {
		return []any{&k.UserID, &k.Name, &k.Consumer, &k.Token, &k.hash, asTime{&k.Created}, asTime{&k.Expires}, asTime{&k.Used}}
	},
}

// maxKeys bounds the keys of a user: creating another one deletes the oldest.
const maxKeys = 100

// APIKeys holds the keys with which the programs of users use the API.
type APIKeys struct {
	inv *Inventory

	mu   sync.Mutex          // guards uses
	uses map[int64]time.Time // by key, since the last NoteUses
}

// Create makes a key for a user that is valid until a time, or for good if that is zero. Text is
// consumer:token:secret; the secret cannot be read again. Of a hundred keys the oldest is taken
// away.
func (ks *APIKeys) Create(ctx context.Context, user int64, name string, expires time.Time) (k APIKey, text string, err error) {
	part := rand.Text()
	k = APIKey{UserID: user, Name: name, Consumer: rand.Text(), Token: rand.Text(), hash: secret.HashToken(part), Created: time.Now(), Expires: expires}
	if len(name) > maxKeyName {
		return k, "", invalid(kinds.APIKey, name[:maxKeyName], "name", "must have at most 200 bytes")
	}
	if !expires.IsZero() && !expires.After(k.Created) {
		return k, "", invalid(kinds.APIKey, name, "expires", "is in the past")
	}
	err = ks.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := users.get(ctx, tx, user); err != nil {
			return err
		}
		all, err := apiKeys.list(ctx, tx, "account_id = ?", user)
		if err != nil {
			return err
		}
		// Scripts log in again and again without logging out, so the oldest keys make room.
		for i := range max(0, len(all)-maxKeys+1) {
			if err := apiKeys.delete(ctx, tx, all[i].ID); err != nil {
				return err
			}
		}
		return apiKeys.insert(ctx, tx, &k)
	})
	return k, k.Consumer + ":" + k.Token + ":" + part, err
}

const maxKeyName = 200

// List lists a user's keys, the oldest first, with expired ones that were not deleted yet.
func (ks *APIKeys) List(ctx context.Context, user int64) ([]APIKey, error) {
	all, err := listIn(ctx, ks.inv, apiKeys, "account_id = ?", user)
	ks.mu.Lock()
	defer ks.mu.Unlock()
	for i := range all {
		if used, ok := ks.uses[all[i].ID]; ok {
			all[i].Used = used
		}
	}
	return all, err
}

// DeleteAll makes all keys of a user void, and returns how many there were.
func (ks *APIKeys) DeleteAll(ctx context.Context, user int64) (n int, err error) {
	err = ks.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		all, err := apiKeys.list(ctx, tx, "account_id = ?", user)
		if err != nil {
			return err
		}
		n = len(all)
		return apiKeys.deleteWhere(ctx, tx, "account_id = ?", user)
	})
	return n, err
}

// DeleteExpired removes the keys that had expired at a time.
func (ks *APIKeys) DeleteExpired(ctx context.Context, now time.Time) error {
	some := 0
	err := ks.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.Get(ctx, "SELECT COUNT(*) FROM api_key WHERE expires > 0 AND expires <= ?", []any{asTime{&now}}, &some)
	})
	if err != nil || some == 0 {
		return err // most rounds find none, and a write transaction would wait for others
	}
	return ks.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		return apiKeys.deleteWhere(ctx, tx, "expires > 0 AND expires <= ?", asTime{&now})
	})
}

// NoteUses writes when keys were last used. The caller does so at intervals: a write for each
// request would cost more than the request.
func (ks *APIKeys) NoteUses(ctx context.Context) error {
	ks.mu.Lock()
	uses := ks.uses
	ks.uses = nil
	ks.mu.Unlock()
	if len(uses) == 0 {
		return nil
	}
	// No change is recorded: a use concerns no reader of the site's state.
	err := ks.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for id, at := range uses {
			if _, err := tx.Exec(ctx, "UPDATE api_key SET used = ? WHERE id = ? AND used < ?", asTime{&at}, id, asTime{&at}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		ks.mu.Lock()
		defer ks.mu.Unlock()
		for id, at := range uses {
			ks.used(id, at)
		}
	}
	return err
}

// used records a use; the caller holds mu.
func (ks *APIKeys) used(id int64, at time.Time) {
	if ks.uses == nil {
		ks.uses = map[int64]time.Time{}
	}
	if ks.uses[id].Before(at) {
		ks.uses[id] = at
	}
}

// Rename gives the user's key with a token another name.
func (ks *APIKeys) Rename(ctx context.Context, user int64, token, name string) error {
	if len(name) > maxKeyName {
		return invalid(kinds.APIKey, token, "name", "must have at most 200 bytes")
	}
	return ks.inv.withAPIKey(ctx, user, token, func(ctx context.Context, tx *store.Tx, k *APIKey) error {
		k.Name = name
		return apiKeys.update(ctx, tx, k)
	})
}

// Delete makes the user's key with a token void.
func (ks *APIKeys) Delete(ctx context.Context, user int64, token string) error {
	return ks.inv.withAPIKey(ctx, user, token, func(ctx context.Context, tx *store.Tx, k *APIKey) error {
		return apiKeys.delete(ctx, tx, k.ID)
	})
}

func (inv *Inventory) withAPIKey(ctx context.Context, user int64, token string, do func(context.Context, *store.Tx, *APIKey) error) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		k, err := apiKeys.one(ctx, tx, token, "account_id = ? AND token = ?", user, token)
		if err != nil {
			return err
		}
		return do(ctx, tx, &k)
	})
}

// Check returns the user of a key; false = the key is not valid, or no longer.
func (ks *APIKeys) Check(ctx context.Context, consumer, token, last string) (u User, ok bool, err error) {
	var k APIKey
	err = ks.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		query := "SELECT " + apiKeys.columns("k.") + ", " + users.columns("a.") + " FROM api_key k JOIN account a ON a.id = k.account_id WHERE k.consumer = ?"
		return tx.Get(ctx, query, []any{consumer}, append(apiKeys.dest(&k), users.dest(&u)...)...)
	})
	if err != nil && !notFound(err) {
		return User{}, false, err
	}
	// The comparison takes the same time for an unknown key, and without it a client could tell by
	// the time which consumer keys exist.
	right := secret.Equal(secret.HashToken(last), k.hash) && secret.Equal(token, k.Token)
	now := time.Now()
	if err != nil || !right || !k.Expires.IsZero() && !now.Before(k.Expires) {
		return User{}, false, nil
	}
	ks.mu.Lock()
	ks.used(k.ID, now)
	ks.mu.Unlock()
	return u, true, nil
}
