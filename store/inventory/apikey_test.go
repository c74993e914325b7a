package inventory_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

func TestAPIKeys(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	ada := must[inventory.User](t)(inv.Users.Create(ctx, inventory.User{Name: "ada", Role: inventory.RoleOperator}))
	bob := must[inventory.User](t)(inv.Users.Create(ctx, inventory.User{Name: "bob", Role: inventory.RoleReadOnly}))
	k, text, err := inv.APIKeys.Create(ctx, ada.ID, "laptop", time.Time{})
	ok(t, err)
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] != k.Consumer || parts[1] != k.Token {
		t.Fatalf("key %q of %+v", text, k)
	}
	for name, test := range map[string]struct {
		consumer, token, secret string
		user                    string
	}{
		"right":            {parts[0], parts[1], parts[2], "ada"},
		"unknown consumer": {"x", parts[1], parts[2], ""},
		"wrong token":      {parts[0], "x", parts[2], ""},
		"wrong secret":     {parts[0], parts[1], parts[1], ""},
		"no secret":        {parts[0], parts[1], "", ""},
		"nothing":          {},
	} {
		u, valid, err := inv.APIKeys.Check(ctx, test.consumer, test.token, test.secret)
		if err != nil || valid != (test.user != "") || u.Name != test.user {
			t.Errorf("%s: %q, %v, %v", name, u.Name, valid, err)
		}
	}
	// A key is its user's: others neither rename nor delete it.
	for name, err := range map[string]error{
		"rename": inv.APIKeys.Rename(ctx, bob.ID, k.Token, "mine"), "delete": inv.APIKeys.Delete(ctx, bob.ID, k.Token),
		"create": third(inv.APIKeys.Create(ctx, 99, "nobody's", time.Time{})),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s by another user: %v", name, err)
		}
	}
	ok(t, inv.APIKeys.Rename(ctx, ada.ID, k.Token, "desktop"))
	if all := must[[]inventory.APIKey](t)(inv.APIKeys.List(ctx, ada.ID)); len(all) != 1 || all[0].Name != "desktop" {
		t.Errorf("keys %+v", all)
	}
	for _, err := range []error{inv.APIKeys.Rename(ctx, ada.ID, k.Token, strings.Repeat("n", 201)), third(inv.APIKeys.Create(ctx, ada.ID, strings.Repeat("n", 201), time.Time{}))} {
		refused(t, err, "must have at most 200 bytes")
	}
	ok(t, inv.APIKeys.Delete(ctx, ada.ID, k.Token))
	if _, valid, err := inv.APIKeys.Check(ctx, parts[0], parts[1], parts[2]); valid || err != nil {
		t.Errorf("a deleted key is valid: %v", err)
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

// The hundred-and-first key takes the place of the oldest, and keys end with their user.
func TestOldestKeyMakesRoom(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	ada := must[inventory.User](t)(inv.Users.Create(ctx, inventory.User{Name: "ada", Role: inventory.RoleOperator}))
	for i := range 102 {
		_, _, err := inv.APIKeys.Create(ctx, ada.ID, fmt.Sprint(i), time.Time{})
		ok(t, err)
	}
	all := must[[]inventory.APIKey](t)(inv.APIKeys.List(ctx, ada.ID))
	if len(all) != 100 || all[0].Name != "2" || all[99].Name != "101" {
		t.Errorf("%d keys from %s to %s", len(all), all[0].Name, all[len(all)-1].Name)
	}
	ok(t, inv.Users.Delete(ctx, ada.ID))
	if all := must[[]inventory.APIKey](t)(inv.APIKeys.List(ctx, ada.ID)); len(all) != 0 {
		t.Errorf("%d keys of no user", len(all))
	}
}

func TestSSHKeysAreLines(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	key := func(kind, inside string) string {
		blob := append([]byte{0, 0, 0, byte(len(inside))}, inside...)
		return kind + " " + base64.StdEncoding.EncodeToString(append(blob, make([]byte, 40)...))
	}
	good := key("ssh-ed25519", "ssh-ed25519")
	k := must[inventory.SSHKey](t)(inv.SSHKeys.Create(ctx, inventory.SSHKey{UserID: 1, Key: "  " + good + "   ada@laptop \n"}))
	if k.Key != good+" ada@laptop" {
		t.Errorf("stored %q", k.Key)
	}
	if all := must[[]inventory.SSHKey](t)(inv.SSHKeysOf(ctx, 1)); len(all) != 1 || all[0].ID != k.ID {
		t.Errorf("keys %+v", all)
	}
	for name, line := range map[string]string{
		"empty": "", "a word": "ssh-ed25519", "no base64": "ssh-ed25519 AAAA*", "of another type": key("ssh-rsa", "ssh-ed25519"),
		"cut short": "ssh-ed25519 AAAAC3", "a length beyond the end": "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte{255, 255, 255, 255, 1}),
		"too long": key("ssh-rsa", "ssh-rsa") + " " + strings.Repeat("c", 9<<10),
	} {
		if _, err := inv.SSHKeys.Create(ctx, inventory.SSHKey{UserID: 1, Key: line}); err == nil || !strings.Contains(err.Error(), "is not a public key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of two requests with one key, the second gets the answer of the first; each user has keys of
// their own.
func TestAnswersToRepeatedRequests(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	first, begun, err := inv.Answers.Begin(ctx, inventory.Answer{User: "ada", Key: "k1", Request: "r1"})
	ok(t, err)
	if !begun || first.ID == 0 {
		t.Fatalf("begun %v, %+v", begun, first)
	}
	if running, begun, err := inv.Answers.Begin(ctx, inventory.Answer{User: "ada", Key: "k1", Request: "r1"}); begun || err != nil || running.Status != 0 {
		t.Errorf("while the first runs: %+v, %v, %v", running, begun, err)
	}
	if _, begun, err := inv.Answers.Begin(ctx, inventory.Answer{User: "bob", Key: "k1", Request: "r1"}); !begun || err != nil {
		t.Errorf("another user's key: %v, %v", begun, err)
	}
	first.Status, first.Type, first.Body = 200, "application/json", []byte(`{"id":1}`)
	ok(t, inv.Answers.End(ctx, first))
	if old, begun, err := inv.Answers.Begin(ctx, inventory.Answer{User: "ada", Key: "k1", Request: "r2"}); begun || err != nil || old.Request != "r1" || string(old.Body) != `{"id":1}` || old.Status != 200 {
		t.Errorf("after the answer: %+v, %v, %v", old, begun, err)
	}
	failed, _, err := inv.Answers.Begin(ctx, inventory.Answer{User: "ada", Key: "k2", Request: "r3"})
	ok(t, err)
	ok(t, inv.Answers.End(ctx, failed)) // status 0: it failed, and may be tried again
	if _, begun, err := inv.Answers.Begin(ctx, inventory.Answer{User: "ada", Key: "k2", Request: "r3"}); !begun || err != nil {
		t.Errorf("after a failure: %v, %v", begun, err)
	}
}

// The last use of a key is written at intervals, on either engine, and no reader of the site is told; expired keys are removed.
func TestUsesOfAPIKeys(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.DB, inv *inventory.Inventory) {
		ctx := t.Context()
		ada := must[inventory.User](t)(inv.Users.Create(ctx, inventory.User{Name: "ada", Role: inventory.RoleAdmin}))
		k, text, err := inv.APIKeys.Create(ctx, ada.ID, "ci", time.Now().Add(time.Hour))
		ok(t, err)
		parts := strings.Split(text, ":")
		_, valid, err := inv.APIKeys.Check(ctx, parts[0], parts[1], parts[2])
		if err != nil || !valid {
			t.Fatal(valid, err)
		}
		if _, valid, _ := inv.APIKeys.Check(ctx, parts[0], parts[1], "wrong"); valid {
			t.Error("a wrong secret is valid")
		}
		before := must[int64](t)(inv.Revision(ctx))
		ok(t, inv.APIKeys.NoteUses(ctx))
		ok(t, inv.APIKeys.NoteUses(ctx)) // there is nothing to write
		if after := must[int64](t)(inv.Revision(ctx)); after != before {
			t.Errorf("a use is change %d of the site", after)
		}
		other := must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{}))
		keys := must[[]inventory.APIKey](t)(other.APIKeys.List(ctx, ada.ID))
		if len(keys) != 1 || time.Since(keys[0].Used) > time.Minute || !keys[0].Expires.Equal(k.Expires.Truncate(time.Microsecond)) {
			t.Errorf("%+v", keys)
		}
		ok(t, inv.APIKeys.DeleteExpired(ctx, time.Now().Add(59*time.Minute)))
		if n := len(must[[]inventory.APIKey](t)(inv.APIKeys.List(ctx, ada.ID))); n != 1 {
			t.Errorf("before the hour: %d keys", n)
		}
		ok(t, inv.APIKeys.DeleteExpired(ctx, time.Now().Add(time.Hour)))
		if n := len(must[[]inventory.APIKey](t)(inv.APIKeys.List(ctx, ada.ID))); n != 0 {
			t.Errorf("after an hour: %d keys", n)
		}
	})
}
