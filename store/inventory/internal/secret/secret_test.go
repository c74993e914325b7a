package secret_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gomaas/maas/store/inventory/internal/secret"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func seal(t *testing.T, b byte) *secret.Seal {
	t.Helper()
	s, err := secret.NewSeal(key(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeal(t *testing.T) {
	one, other := seal(t, 1), seal(t, 2)
	row := one.Close([]byte("hunter2"), "node 7")
	if bytes.Contains(row, []byte("hunter2")) || bytes.Equal(row, one.Close([]byte("hunter2"), "node 7")) {
		t.Errorf("sealed as %q, and the same each time", row)
	}
	open := (*secret.Seal)(nil).Close([]byte("hunter2"), "node 7")
	for _, tt := range []struct {
		name   string
		seal   *secret.Seal
		sealed []byte
		owner  string
		why    string // "" = it opens
	}{
		{"own", one, row, "node 7", ""},
		{"in the open", nil, open, "node 7", ""},
		{"in the open, with a key", one, open, "node 7", "in the open, and the site has a key"},
		{"another key", other, row, "node 7", "do not open with this key"},
		{"another owner", one, row, "node 8", "do not open with this key"},
		{"no key", nil, row, "node 7", "are sealed, and there is no key"},
		{"empty", one, nil, "node 7", "are empty"},
		{"cut in the nonce", one, row[:9], "node 7", "are cut short"},
		{"cut in the text", one, row[:len(row)-1], "node 7", "do not open with this key"},
		{"unknown method", one, append([]byte{'z'}, row[1:]...), "node 7", "that this version does not know"},
	} {
		text, err := tt.seal.Open(tt.sealed, tt.owner)
		switch {
		case tt.why == "" && (err != nil || string(text) != "hunter2"):
			t.Errorf("%s: %q, %v", tt.name, text, err)
		case tt.why != "" && (err == nil || !strings.Contains(err.Error(), tt.why)):
			t.Errorf("%s: %q, %v; want an error with %q", tt.name, text, err, tt.why)
		}
	}
	if _, err := secret.NewSeal(key(1)[:31]); err == nil {
		t.Error("a key of 31 bytes seals")
	}
}

func TestKeys(t *testing.T) {
	if !secret.Marked(secret.Mark(key(1)), key(1)) || secret.Marked(secret.Mark(key(1)), key(2)) {
		t.Error("a mark is not of its key alone")
	}
	a, err := secret.Derive(key(1), "zones")
	b, err2 := secret.Derive(key(1), "digests")
	if err != nil || err2 != nil || len(a) != 32 || bytes.Equal(a, b) {
		t.Errorf("derived %x and %x (%v, %v)", a, b, err, err2)
	}
	if secret.Digest(a, []byte("x")) == secret.Digest(b, []byte("x")) {
		t.Error("a digest does not depend on its key")
	}
}

func TestPasswords(t *testing.T) {
	p, ctx := secret.NewPasswords(1000), t.Context()
	hash, err := p.Hash(ctx, "correct horse")
	if err != nil || !strings.HasPrefix(hash, "pbkdf2-sha256$1000$") || !secret.IsHash(hash) {
		t.Fatalf("hash %q, %v", hash, err)
	}
	long := strings.Repeat("x", secret.MaxPassword+1)
	for _, tt := range []struct {
		hash, password string
		want           bool
	}{
		{hash, "correct horse", true},
		{hash, "correct horsf", false},
		{hash, "", false},
		{hash, long, false},
		{"", "", false},
		{strings.Replace(hash, "$1000$", "$1001$", 1), "correct horse", false},
		{strings.Replace(hash, "$1000$", "$99999999$", 1), "correct horse", false}, // would take minutes
		{strings.Replace(hash, "sha256", "sha1", 1), "correct horse", false},
	} {
		if got, err := p.Check(ctx, tt.hash, tt.password); got != tt.want || err != nil {
			t.Errorf("Check(%q, %.20q) = %v, %v", tt.hash, tt.password, got, err)
		}
	}
	for _, text := range []string{"", "secret", "pbkdf2-sha256$0$AAAAAAAAAAA$x", "pbkdf2-sha256$1$AA$AA", hash + "$"} {
		if secret.IsHash(text) {
			t.Errorf("%q is taken for a hash", text)
		}
	}
}

// A caller that gives up while the processor is busy with other passwords gets its context's error.
func TestPasswordsWaitTheirTurn(t *testing.T) {
	p := secret.NewPasswords(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	refused := 0
	for range 100 { // a free place and an ended context: either may be seen first
		if _, err := p.Hash(ctx, "correct horse"); errors.Is(err, context.Canceled) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("never refused")
	}
	if _, err := p.Hash(t.Context(), "correct horse"); err != nil { // no place was lost
		t.Error(err)
	}
}

func TestHashToken(t *testing.T) {
	if a := secret.HashToken("a"); len(a) != 64 || secret.Equal(a, secret.HashToken("b")) || !secret.Equal(a, secret.HashToken("a")) {
		t.Errorf("hash of a: %q", a)
	}
}
