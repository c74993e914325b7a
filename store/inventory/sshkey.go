package inventory

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// maxPublicKey is the longest public key in bytes; RSA with 16384 bits has less than 3 kB.
const maxPublicKey = 8 << 10

// isPublicKey reports whether a line has a type, a key of that type in base64 (RFC 4253 section
// 6.6), and optionally a comment.
func isPublicKey(line string) bool {
	words := strings.SplitN(line, " ", 3)
	if len(words) < 2 || len(line) > maxPublicKey {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil || len(blob) < 4 {
		return false
	}
	n := binary.BigEndian.Uint32(blob)
	return uint64(n) < uint64(len(blob)-4) && string(blob[4:4+n]) == words[0]
}

// SSHKey is a user's public key, as a line of an authorized_keys file.
type SSHKey struct {
	ID     int64
	UserID int64
	Key    string
}

var sshKeys = table[SSHKey]{
	kind: kinds.SSHKey, name: "ssh_key", cols: []string{"account_id", "public_key"},
	id:     func(k *SSHKey) *int64 { return &k.ID },
	fields: func(k *SSHKey) []any { return []any{&k.UserID, &k.Key} },
}

// SSHKeysOf lists a user's public keys.
func (inv *Inventory) SSHKeysOf(ctx context.Context, user int64) ([]SSHKey, error) {
	return inv.SSHKeys.where(ctx, "account_id = ?", user)
}

// keysByUser returns all public keys by name of their user.
func keysByUser(ctx context.Context, tx *store.Tx) (map[string][]string, error) {
	out := make(map[string][]string)
	const query = "SELECT a.name, k.public_key FROM ssh_key k JOIN account a ON a.id = k.account_id ORDER BY k.id"
	err := tx.Query(ctx, query, nil, func(scan func(...any) error) error {
		var user, key string
		err := scan(&user, &key)
		out[user] = append(out[user], key)
		return err
	})
	return out, err
}

var sshKeyRules = rules[SSHKey]{
	check: func(_ context.Context, _ *store.Tx, k, _ *SSHKey) error {
		k.Key = strings.Join(strings.Fields(k.Key), " ")
		if !isPublicKey(k.Key) {
			return invalid(kinds.SSHKey, "", "key", "is not a public key like ssh-ed25519 AAAA... name")
		}
		return nil
	},
	unique: func(*SSHKey) string { return "this text" },
}
