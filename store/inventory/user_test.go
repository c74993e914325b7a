package inventory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

func TestUsers(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		_, err := inv.Users.Create(ctx, inventory.User{Name: "a b"})
		refused(t, err, "username must be 1 to 150 letters")
		_, err = inv.Users.Create(ctx, inventory.User{Name: "ada", Role: "king"})
		refused(t, err, "role must be one of")
		_, err = inv.Users.Create(ctx, inventory.User{Name: "ada", Password: "readable"})
		refused(t, err, "must be hashed")
		ada := must[inventory.User](t)(inv.Users.Create(ctx, inventory.User{Name: "ada"}))
		_, err = inv.Users.Create(ctx, inventory.User{Name: "ada"})
		refused(t, err, "there is already a user with name ada")
		if ada.Role != inventory.RoleOperator {
			t.Errorf("role = %s", ada.Role)
		}
		admin := must[inventory.User](t)(inv.Users.Find(ctx, inventory.DefaultUser))
		refused(t, inv.Users.Delete(ctx, admin.ID), "only administrator")
		admin.Role = inventory.RoleReadOnly
		refused(t, errOf(inv.Users.Update(ctx, admin)), "only administrator")

		_, text, err := inv.APIKeys.Create(ctx, ada.ID, "ci", time.Time{})
		ok(t, err)
		parts := strings.Split(text, ":")
		u, good, err := inv.APIKeys.Check(ctx, parts[0], parts[1], parts[2])
		if err != nil || !good || u.Name != "ada" {
			t.Errorf("key of %s: %t, %v", u.Name, good, err)
		}
		for range 105 {
			_, _, err := inv.APIKeys.Create(ctx, ada.ID, "more", time.Time{})
			ok(t, err)
		}
		if keys := must[[]inventory.APIKey](t)(inv.APIKeys.List(ctx, ada.ID)); len(keys) != 100 {
			t.Errorf("%d keys", len(keys))
		}
		if _, good, err := inv.APIKeys.Check(ctx, parts[0], parts[1], parts[2]); good || err != nil {
			t.Errorf("the oldest key is still good: %v", err)
		}
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Owner: "ada"}))
		refused(t, inv.Users.Delete(ctx, ada.ID), "in the way are machine node1")
		ok(t, inv.Machines.Delete(ctx, m.ID))
		ok(t, inv.Users.Delete(ctx, ada.ID))
		refused(t, inv.APIKeys.Rename(ctx, ada.ID, "x", "y"), "api-key x does not exist")
	})
}
