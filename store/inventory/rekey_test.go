package inventory_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// A site with a secret of each kind has its key replaced twice: by one who has the old one, and by one who has lost it.
func TestReplaceKey(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.DB, _ *inventory.Inventory) {
		ctx := t.Context()
		first, second, third := []byte(strings.Repeat("1", 32)), []byte(strings.Repeat("2", 32)), []byte(strings.Repeat("3", 32))
		open := func(key []byte) *inventory.Inventory {
			return must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{Key: key}))
		}
		inv := open(first)
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{
			Hostname: "node1", Interfaces: []inventory.Interface{nic(1)},
			Power: inventory.Power{Type: "ipmi", Params: map[string]string{"power_address": "192.0.2.9"}, Secrets: inventory.Secrets{"power_pass": "hush"}},
		}))
		must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "xfer", Secret: "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}))
		must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "lab.example", Signed: true}))
		authority := func(inv *inventory.Inventory) string {
			_, key, err := inv.Enrolment.CA(ctx, func() (cert, key []byte, err error) { return []byte("cert"), []byte("new"), nil })
			ok(t, err)
			return string(key)
		}
		authority(inv)
		enrol := func(inv *inventory.Inventory, serial string) error {
			must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: serial, Expires: time.Now().Add(time.Hour)}))
			next, err := inv.Enrolment.Examine(ctx, serial, "far")
			if err != nil {
				return err
			}
			return inv.Enrolment.Admit(ctx, serial, generation(next, serial, "far"))
		}
		ok(t, enrol(inv, "1"))

		r := must[inventory.Rekeyed](t)(inventory.ReplaceKey(ctx, db, first, second))
		if r.Kept != 3 || r.LostPower != nil || r.LostTSIG != nil || r.LostCA || !slices.Equal(r.Signed, []string{"lab.example"}) {
			t.Errorf("with the old key: %+v", r)
		}
		if _, err := inventory.Open(ctx, db, inventory.Config{Key: first}); err == nil {
			t.Error("the old key still opens")
		}
		if fits := must[bool](t)(inventory.FitsKey(ctx, db, second)); !fits {
			t.Error("the new key does not fit")
		}
		inv = open(second)
		refused(t, enrol(inv, "x"), "is enrolled already")
		if got := must[map[string]string](t)(inv.PowerParams(ctx, m.ID)); got["power_pass"] != "hush" {
			t.Errorf("power: %v", got)
		}
		if got := must[[]dnssrv.Key](t)(inv.DNSKeys(model(t, inv))); len(got) != 1 || got[0].Secret != "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" {
			t.Errorf("TSIG: %d keys", len(got))
		}

		r = must[inventory.Rekeyed](t)(inventory.ReplaceKey(ctx, db, nil, third))
		if r.Kept != 0 || !slices.Equal(r.LostPower, []string{"node1"}) || !slices.Equal(r.LostTSIG, []string{"xfer"}) || !r.LostCA {
			t.Errorf("without it: %+v", r)
		}
		inv = open(third)
		if got := must[map[string]string](t)(inv.PowerParams(ctx, m.ID)); got["power_pass"] != "" || got["power_address"] != "192.0.2.9" {
			t.Errorf("power: %v", got)
		}
		if got := must[[]dnssrv.Key](t)(inv.DNSKeys(model(t, inv))); len(got) != 1 || got[0].Secret == "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" || got[0].Check() != nil {
			t.Errorf("TSIG: %d keys, or one that is known or of no use", len(got))
		}
		ok(t, enrol(inv, "2")) // the same rack again, without a revocation of the first certificate
		if got := authority(inv); got != "new" {
			t.Errorf("the authority's key is %q", got)
		}
	})
}
