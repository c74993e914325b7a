package inventory_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// User data is sealed at rest, goes with its machine, and a machine reads its own before that of its tags and of the site.
func TestUserData(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.DB, _ *inventory.Inventory) {
		ctx := t.Context()
		inv := must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{Key: bytes.Repeat([]byte("k"), 32)}))
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Status: inventory.StatusReady, Interfaces: []inventory.Interface{nic(1)}}))
		tag := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "gpu"}))
		_, _, err := inv.Tags.MarkNodes(ctx, tag.ID, []int64{m.ID}, nil)
		ok(t, err)
		reads := func(status inventory.Status) string {
			t.Helper()
			model := must[*inventory.Model](t)(inv.Model(ctx))
			contents := must[map[string][]byte](t)(inv.UserData.Contents(ctx))
			machine := model.Machines[0]
			machine.Status = status
			return string(contents[plan.UserDataOf(model, &machine)])
		}
		const site, tagged, own = "#cloud-config\npassword: of-the-site", "of-the-tag", "of-the-machine"
		ok(t, inv.UserData.Set(ctx, inventory.BootTarget{}, []byte(site)))
		if got := reads(inventory.StatusReady); got != site {
			t.Errorf("reads %q", got)
		}
		if got := reads(inventory.StatusNew); got != "" {
			t.Errorf("a machine that no user took up reads %q", got)
		}
		ok(t, inv.UserData.Set(ctx, inventory.BootTarget{TagID: tag.ID}, []byte(tagged)))
		if got := reads(inventory.StatusNew); got != tagged {
			t.Errorf("reads %q", got)
		}
		ok(t, inv.UserData.Set(ctx, inventory.BootTarget{MachineID: m.ID}, []byte("first")))
		ok(t, inv.UserData.Set(ctx, inventory.BootTarget{MachineID: m.ID}, []byte(own)))
		if got := reads(inventory.StatusReady); got != own {
			t.Errorf("reads %q", got)
		}
		var names []string
		for _, u := range must[[]inventory.UserData](t)(inv.UserData.List(ctx)) {
			names = append(names, u.Name)
		}
		if got := strings.Join(names, ","); got != ",gpu,a.maas" {
			t.Errorf("listed %q", got)
		}
		if dump := dumpOf(t, db); strings.Contains(dump, "of-the") {
			t.Error("a backup shows user data")
		}
		r := must[inventory.Rekeyed](t)(inventory.ReplaceKey(ctx, db, bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("n"), 32)))
		if r.Kept != 3 || r.LostUserData != nil {
			t.Errorf("rekeyed %+v", r)
		}
		inv = must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{Key: bytes.Repeat([]byte("n"), 32)}))
		if got := reads(inventory.StatusReady); got != own {
			t.Errorf("after a change of the key it reads %q", got)
		}
		refused(t, inv.UserData.Set(ctx, inventory.BootTarget{}, make([]byte, inventory.MaxUserData+1)), "want at most 65536")
		refused(t, inv.UserData.Set(ctx, inventory.BootTarget{MachineID: 999}, []byte("x")), "999")
		ok(t, inv.Machines.Delete(ctx, m.ID))
		ok(t, inv.Tags.Delete(ctx, tag.ID))
		if left := must[[]inventory.UserData](t)(inv.UserData.List(ctx)); len(left) != 1 {
			t.Errorf("left %+v", left)
		}
		ok(t, inv.UserData.Set(ctx, inventory.BootTarget{}, nil))
		if data := must[[]byte](t)(inv.UserData.Get(ctx, inventory.BootTarget{})); data != nil {
			t.Errorf("removed, and still %q", data)
		}
	})
}

// A machine counts as configured from its first report until it gets another profile.
func TestConfigured(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx, at := t.Context(), time.Unix(1e9, 0).UTC()
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Interfaces: []inventory.Interface{nic(1)}}))
	ok(t, inv.Boots.Configured(ctx, nic(1).MAC, at))
	ok(t, inv.Boots.Configured(ctx, nic(1).MAC, at.Add(time.Hour)))
	ok(t, inv.Boots.Configured(ctx, nic(9).MAC, at)) // of no machine
	m = must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID))
	if !m.Configured.Equal(at) {
		t.Errorf("configured %v", m.Configured)
	}
	m.Description = "another"
	if m = must[inventory.Machine](t)(inv.Machines.Update(ctx, m)); !m.Configured.Equal(at) {
		t.Errorf("after another change: %v", m.Configured)
	}
	m.Profile = &pxe.Profile{Name: "p", Kernel: "vmlinuz"}
	if m = must[inventory.Machine](t)(inv.Machines.Update(ctx, m)); !m.Configured.IsZero() {
		t.Errorf("with another profile: %v", m.Configured)
	}
}
