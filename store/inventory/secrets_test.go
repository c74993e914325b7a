package inventory_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
)

const password = "hunter2"

// However a machine with a password is printed, the password is not.
func TestSecretsAreNotShown(t *testing.T) {
	m := inventory.Machine{Power: inventory.Power{Type: "ipmi", Secrets: inventory.Secrets{"power_pass": password}}}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&b, verb, m)
		fmt.Fprintf(&b, verb, &m)
		fmt.Fprintf(&b, verb, m.Power.Secrets)
	}
	text, err := json.Marshal(m)
	ok(t, err)
	b.Write(text)
	slog.New(slog.NewTextHandler(&b, nil)).Info("machine", "m", m, "secrets", m.Power.Secrets)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("machine", "m", m, "secrets", m.Power.Secrets)
	if strings.Contains(b.String(), password) || strings.Contains(b.String(), fmt.Sprintf("%x", password)) {
		t.Errorf("the password is in:\n%s", b.String())
	}
}

func TestSecretsAreSealed(t *testing.T) {
	url, ctx := "sqlite://"+filepath.Join(t.TempDir(), "maas.db"), t.Context()
	open := func(key string) *inventory.Inventory {
		db, err := store.Open(ctx, url, schema.FS)
		ok(t, err)
		t.Cleanup(func() { db.Close() })
		inv, err := inventory.Open(ctx, db, inventory.Config{Key: []byte(key)})
		ok(t, err)
		return inv
	}
	key := strings.Repeat("k", 32)
	inv := open(key)
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Power: inventory.Power{Type: "ipmi", Secrets: inventory.Secrets{"power_pass": password}}}))
	if p := must[map[string]string](t)(inv.PowerParams(ctx, m.ID)); p["power_pass"] != password {
		t.Errorf("read back %v", p)
	}
	_, err := open("").PowerParams(ctx, m.ID)
	refused(t, err, "are sealed, and there is no key")
	db, err := store.Open(ctx, url, schema.FS)
	ok(t, err)
	defer db.Close()
	if _, err := inventory.Open(ctx, db, inventory.Config{Key: []byte(strings.Repeat("x", 32))}); !errors.Is(err, inventory.ErrOtherKey) {
		t.Errorf("with another key: %v", err)
	}
	if marked := must[bool](t)(inventory.KeyMarked(ctx, db)); !marked {
		t.Error("the key left no mark")
	}
	if _, err := inventory.Open(ctx, db, inventory.Config{Key: []byte("short")}); err == nil {
		t.Error("a short key was accepted")
	}
}

func TestDigestTakesTheKey(t *testing.T) {
	digest := func(key, text string) string {
		db, err := store.Open(t.Context(), "memory:", schema.FS)
		ok(t, err)
		defer db.Close()
		return must[*inventory.Inventory](t)(inventory.Open(t.Context(), db, inventory.Config{Key: []byte(key)})).Answers.Digest([]byte(text))
	}
	one, two := strings.Repeat("1", 32), strings.Repeat("2", 32)
	want := digest(one, "x")
	if digest(one, "x") != want || digest(one, "y") == want || digest(two, "x") == want || digest("", "x") == want {
		t.Error("the digest follows from something else than key and data")
	}
}
