package inventory

import (
	"context"
	"fmt"

	"github.com/gomaas/maas/store/inventory/internal/secret"
)

// HashPassword returns the text to store for a password: "pbkdf2-sha256$ROUNDS$SALT$HASH" (RFC 8018). It
// waits while others are being hashed, until ctx ends, and must not be called in a transaction.
func (inv *Inventory) HashPassword(ctx context.Context, password string) (string, error) {
	if len(password) < secret.MinPassword || len(password) > secret.MaxPassword {
		return "", invalid(KindUser, "", "password", fmt.Sprintf("must have %d to %d bytes", secret.MinPassword, secret.MaxPassword))
	}
	return inv.passwords.Hash(ctx, password)
}

// CheckPassword reports whether the name is that of a user with the password. It takes as long when there is no such user.
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
