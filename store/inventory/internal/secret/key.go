package secret

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Mark returns a value that follows from the site's key and reveals nothing of it: a database that
// holds the mark recognizes the key.
func Mark(key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("mark of the site's key"))
	return h.Sum(nil)
}

// Marked reports whether mark is that of the key, in constant time.
func Marked(mark, key []byte) bool { return hmac.Equal(mark, Mark(key)) }

// Derive returns a secret for one purpose that follows from the site's key and reveals nothing of
// it.
func Derive(key []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, key, nil, purpose, sha256.Size)
}

// Digest returns a keyed hash of data. Without the key the data cannot be found by trial.
func Digest(key, data []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
