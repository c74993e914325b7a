package secret

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

// Passwords have 8 to 1024 bytes.
const (
	MinPassword = 8
	MaxPassword = 1024
)

// defaultRounds take about a fifth of a second. More than maxRounds are not accepted from a
// database: a changed row must not occupy the processor for minutes.
const (
	defaultRounds = 600_000
	maxRounds     = 10_000_000
)

// maxHashing bounds how many passwords are hashed at a time: more would take the processor from
// everything else.
const maxHashing = 2

// Passwords hashes passwords and compares them, a few at a time. It is safe for concurrent use.
type Passwords struct {
	rounds  int
	hashing chan struct{} // holds one for each hash that is being made
}

// NewPasswords returns a Passwords whose hashes take a number of rounds; 0 = 600,000.
func NewPasswords(rounds int) *Passwords {
	if rounds == 0 {
		rounds = defaultRounds
	}
	return &Passwords{rounds, make(chan struct{}, maxHashing)}
}

// Hash returns the text to store for a password (RFC 8018): "pbkdf2-sha256$ROUNDS$SALT$HASH". It
// waits while others are being hashed, until ctx ends.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key, err := p.derive(ctx, password, salt, p.rounds)
	if err != nil {
		return "", err
	}
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("pbkdf2-sha256$%d$%s$%s", p.rounds, text(salt), text(key)), nil
}

// Check reports whether hash is that of the password. A hash that is none takes as long to refuse,
// so that the time does not tell which users exist.
func (p *Passwords) Check(ctx context.Context, hash, password string) (bool, error) {
	rounds, salt, want, known := parseHash(hash)
	if !known {
		rounds, salt, want = p.rounds, make([]byte, 16), make([]byte, sha256.Size)
	}
	if len(password) > MaxPassword {
		return false, nil
	}
	got, err := p.derive(ctx, password, salt, rounds)
	return err == nil && known && subtle.ConstantTimeCompare(got, want) == 1, err
}

func (p *Passwords) derive(ctx context.Context, password string, salt []byte, rounds int) ([]byte, error) {
	select {
	case p.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.hashing }()
	return pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
}

// IsHash reports whether text is a hash that Hash may have made.
func IsHash(text string) bool {
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
	good := err == nil && err1 == nil && err2 == nil && rounds > 0 && rounds <= maxRounds && len(salt) >= 8 && len(key) == sha256.Size
	return rounds, salt, key, good
}
