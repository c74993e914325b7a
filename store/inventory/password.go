package inventory

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// passwordCost is how many rounds of PBKDF2 with HMAC-SHA-256 a password takes, and maxCost what is accepted from a
// database.
const (
	passwordCost = 600_000
	maxCost      = 10_000_000
)

// Passwords have 8 to 1024 bytes.
const (
	minPassword = 8
	maxPassword = 1024
)

// maxHashing is how many passwords are hashed at a time: more would take the processor from everything else.
const maxHashing = 2

// HashPassword returns what is kept of a password (RFC 8018): "pbkdf2-sha256$ROUNDS$SALT$HASH". It waits while others are
// being hashed, until ctx ends, and must not be called in a transaction.
func (inv *Inventory) HashPassword(ctx context.Context, password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", invalid(KindUser, "", "password", fmt.Sprintf("must have %d to %d bytes", minPassword, maxPassword))
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	key, err := inv.derive(ctx, password, salt, inv.cost)
	if err != nil {
		return "", err
	}
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("pbkdf2-sha256$%d$%s$%s", inv.cost, text(salt), text(key)), nil
}

// CheckPassword reports whether the name is that of a user with the password. It takes as long when there is no such user.
func (inv *Inventory) CheckPassword(ctx context.Context, name, password string) (User, bool, error) {
	u, err := inv.UserByName(ctx, name)
	if err != nil && !notFound(err) {
		return User{}, false, err
	}
	rounds, salt, want, known := parseHash(u.Password)
	if !known {
		rounds, salt, want = inv.cost, make([]byte, 16), make([]byte, sha256.Size)
	}
	if len(password) > maxPassword {
		return User{}, false, nil
	}
	got, err := inv.derive(ctx, password, salt, rounds)
	if err != nil {
		return User{}, false, err
	}
	if subtle.ConstantTimeCompare(got, want) != 1 || !known {
		return User{}, false, nil
	}
	return u, true, nil
}

func (inv *Inventory) derive(ctx context.Context, password string, salt []byte, rounds int) ([]byte, error) {
	select {
	case inv.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-inv.hashing }()
	return pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
}

func isPasswordHash(text string) bool {
	_, _, _, ok := parseHash(text)
	return ok
}

func parseHash(text string) (rounds int, salt, key []byte, ok bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 4 || parts[0] != "pbkdf2-sha256" {
		return 0, nil, nil, false
	}
	rounds, err := strconv.Atoi(parts[1])
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[2])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[3])
	good := err == nil && err1 == nil && err2 == nil && rounds > 0 && rounds <= maxCost && len(salt) >= 8 && len(key) == sha256.Size
	return rounds, salt, key, good
}
