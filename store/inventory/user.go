package inventory

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/internal/secret"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Role is the set of a user's rights.
type Role string

// The roles. Each may do what the next one may.
const (
	RoleAdmin    Role = "admin"     // everything
	RoleOperator Role = "operator"  // switch machines, take them and give them back, reserve addresses, have devices
	RoleReadOnly Role = "read-only" // look
)

// Roles are all roles, the strongest first.
var Roles = []Role{RoleAdmin, RoleOperator, RoleReadOnly}

// User is a user of the API.
type User struct {
	ID      int64
	Version int64  // counts changes; an update must carry the one that was read
	Name    string // unique
	Email   string // "" = none
	Role    Role   // "" = RoleOperator
	// Password is a hash that HashPassword made; "" = cannot log in with a password.
	Password string
	Created  time.Time
	// KeepKeys leaves the user's API keys valid in an update that changes the password, which ends
	// them otherwise: the former password may be known to others, and so may keys made with it. It
	// is not stored.
	KeepKeys bool
}

var users = table[User]{
	kind: kinds.User, name: "account", cols: []string{"name", "email", "role", "password", "created"},
	id: func(u *User) *int64 { return &u.ID }, version: func(u *User) *int64 { return &u.Version },
	label:  func(u *User) string { return u.Name },
	fields: func(u *User) []any { return []any{&u.Name, &u.Email, &u.Role, &u.Password, asTime{&u.Created}} },
}

var userName = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,150}$`)

func (u *User) check() error {
	if u.Role == "" {
		u.Role = RoleOperator
	}
	switch {
	case !userName.MatchString(u.Name):
		return invalid(kinds.User, u.Name, "username", "must be 1 to 150 letters, digits and _ . @ + -")
	case !slices.Contains(Roles, u.Role):
		return invalid(kinds.User, u.Name, "role", fmt.Sprintf("must be one of %q", Roles))
	case len(u.Email) > 254 || u.Email != "" && !strings.Contains(u.Email, "@"):
		return invalid(kinds.User, u.Name, "email", "is not an address like ada@example.org")
	case u.Password != "" && !secret.IsHash(u.Password):
		return invalid(kinds.User, u.Name, "password", "must be hashed before it is stored")
	}
	return nil
}

// otherAdmin sees to it that there is an administrator besides u.
func otherAdmin(ctx context.Context, tx *store.Tx, u User) error {
	var n int
	if err := tx.Get(ctx, "SELECT COUNT(*) FROM account WHERE role = ? AND id <> ?", []any{string(RoleAdmin), u.ID}, &n); err != nil {
		return err
	}
	if n == 0 {
		return &InUseError{Kind: kinds.User, Name: u.Name, Remedy: "it is the only administrator; make another one first"}
	}
	return nil
}

// userRules: the last administrator stays one. A user is deleted with their keys, unless machines
// or addresses are theirs.
var userRules = rules[User]{
	check: func(ctx context.Context, tx *store.Tx, u, old *User) error {
		if err := u.check(); err != nil {
			return err
		}
		if old == nil {
			u.Created = time.Now()
			return nil
		}
		if u.Role != RoleAdmin {
			if err := otherAdmin(ctx, tx, *u); err != nil {
				return err
			}
		}
		if old.Password != "" && u.Password != old.Password && !u.KeepKeys {
			return apiKeys.deleteWhere(ctx, tx, "account_id = ?", u.ID)
		}
		return nil
	},
	unique: func(u *User) string { return "name " + u.Name },
	key:    "name",
	keep: func(ctx context.Context, tx *store.Tx, u *User) error {
		if err := otherAdmin(ctx, tx, *u); err != nil {
			return err
		}
		by, err := namesOf(ctx, tx, "machine ", "SELECT hostname FROM node WHERE owner = ? AND kind = 'machine' ORDER BY hostname", u.Name)
		if err != nil {
			return err
		}
		held, err := namesOf(ctx, tx, "address ", "SELECT ip FROM allocation WHERE owner = ? AND ip IS NOT NULL ORDER BY ip", u.Name)
		if err != nil {
			return err
		}
		if err := inUse(kinds.User, u.Name, "release them first", append(by, held...)); err != nil {
			return err
		}
		return apiKeys.deleteWhere(ctx, tx, "account_id = ?", u.ID)
	},
}

// HashPassword returns the text to store for a password: "pbkdf2-sha256$ROUNDS$SALT$HASH" (RFC
// 8018). It waits while others are being hashed, until ctx ends, and must not be called in a
// transaction.
func (inv *Inventory) HashPassword(ctx context.Context, password string) (string, error) {
	if len(password) < secret.MinPassword || len(password) > secret.MaxPassword {
		return "", invalid(kinds.User, "", "password", fmt.Sprintf("must have %d to %d bytes", secret.MinPassword, secret.MaxPassword))
	}
	return inv.passwords.Hash(ctx, password)
}

// CheckPassword returns the user with that name and password. It takes as long if there is no such
// user, so that the time does not reveal names.
func (inv *Inventory) CheckPassword(ctx context.Context, name, password string) (User, bool, error) {
	u, err := inv.Users.Find(ctx, name)
	if err != nil && !notFound(err) {
		return User{}, false, err
	}
	right, err := inv.passwords.Check(ctx, u.Password, password)
	if err != nil || !right {
		return User{}, false, err
	}
	return u, true, nil
}
