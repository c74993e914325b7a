package boottest

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// TestDigests writes files in pieces, beside known contents that begin alike, and compares with
// SHA-256.
func TestDigests(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	base := make([]byte, 5_000)
	for i := range base {
		base[i] = byte(random.Uint32())
	}
	fork := append(append([]byte{}, base[:2_000]...), base[1_000:]...)
	known := []*Content{NewContent(base), NewContent(fork), NewContent(base[:3_000])}
	changed := append([]byte{}, base...)
	changed[4_999] ^= 1
	for name, file := range map[string][]byte{
		"known": base, "fork": fork, "short": base[:3_000], "empty": nil, "cut": base[:2_500], "longer": append(base[:5_000:5_000], 1),
		"changed": changed, "other": fork[2_000:],
	} {
		for range 50 {
			d := &digest{known: known}
			for rest := file; len(rest) > 0; {
				n := 1 + random.IntN(min(len(rest), 1_500))
				if written, err := d.Write(rest[:n]); written != n || err != nil {
					t.Fatal(written, err)
				}
				rest = rest[n:]
			}
			want := sha256.Sum256(file)
			if got := d.sum(); got != hex.EncodeToString(want[:]) {
				t.Fatalf("%s: %s", name, got)
			}
			if d.hash != nil && (name == "known" || name == "fork" || name == "short") {
				t.Fatalf("%s was hashed", name)
			}
		}
	}
}
