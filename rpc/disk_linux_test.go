package rpc_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/internal/smalldisk"
	"github.com/gomaas/maas/rpc"
)

// An outbox on a full or read-only disk refuses facts that it could not keep, and loses none that it
// took, whether it lives on or is opened again.
func TestOutboxOnAFullDisk(t *testing.T) {
	smalldisk.Run(t, 256<<10, func(disk smalldisk.Disk) {
		cfg := rpc.OutboxConfig{Path: filepath.Join(disk.Dir, "outbox")}
		o := openOutbox(t, cfg)
		var took []string
		last := 0
		offer := func() bool {
			last++
			text := fmt.Sprint(last, strings.Repeat("x", 500))
			if o.Add("lease", text) != nil {
				return false
			}
			took = append(took, fmt.Sprintf("lease%q", text))
			return true
		}
		for round := range 3 {
			if !offer() {
				t.Fatalf("round %d: refused with room on the disk", round)
			}
			disk.Fill()
			refused := 0
			for range 20 { // some still fit into the last page of the file
				if !offer() {
					refused++
				}
			}
			if refused == 0 {
				t.Fatalf("round %d: facts are taken on a full disk", round)
			}
			if err := o.Ack(uint64(round + 1)); err == nil {
				t.Logf("round %d: the acknowledgement fitted", round)
			}
			took = took[1:]
			if round == 1 { // as after a crash; what it could not note as acknowledged is sent again
				o.Close()
				o = openOutbox(t, cfg)
				if err := o.Ack(uint64(round + 1)); err == nil {
					t.Logf("round %d: the acknowledgement fitted", round)
				}
			}
			disk.Empty()
			if !offer() {
				t.Errorf("round %d: refused with room again", round)
			}
			if diff := cmp.Diff(took, pending(t, o)); diff != "" {
				t.Errorf("round %d (-want +got):\n%s", round, diff)
			}
		}
		o.Close()
		disk.ReadOnly(func() {
			if _, err := rpc.OpenOutbox(cfg); err == nil {
				t.Error("an outbox opens that cannot be written")
			}
		})
		if diff := cmp.Diff(took, slices.DeleteFunc(pending(t, openOutbox(t, cfg)), func(s string) bool { return !slices.Contains(took, s) })); diff != "" {
			t.Errorf("opened again (-want +got):\n%s", diff)
		}
	})
}

// A replica on a full or read-only disk keeps the state that it has, refuses what it could not keep,
// and takes the same update later.
func TestReplicaOnAFullDisk(t *testing.T) {
	smalldisk.Run(t, 256<<10, func(disk smalldisk.Disk) {
		dir := filepath.Join(disk.Dir, "state")
		r, err := rpc.OpenReplica(dir)
		if err != nil {
			t.Fatal(err)
		}
		state, have := rpc.NewState(), map[string][]byte{}
		next := func(key string) error { // which the replica takes or refuses
			value := []byte(strings.Repeat(key, 500))
			state.Change("dns", map[string][]byte{key: value}, nil)
			u, err := state.Next(t.Context(), "dns", r.Position("dns"))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Apply(u); err != nil {
				return err
			}
			for _, o := range u.Objects { // those refused before, too
				have[o.Key] = o.Value
			}
			return nil
		}
		check := func(when string) {
			t.Helper()
			if got := r.Objects("dns"); !maps.EqualFunc(got, have, func(a, b []byte) bool { return string(a) == string(b) }) {
				t.Errorf("%s: %d objects instead of %d", when, len(got), len(have))
			}
		}
		reopen := func() {
			t.Helper()
			r.Close()
			if r, err = rpc.OpenReplica(dir); err != nil {
				t.Fatal(err)
			}
		}
		troubles := map[string]func(f func()){
			"full":      func(f func()) { disk.Fill(); f(); disk.Empty() },
			"read-only": disk.ReadOnly,
		}
		if err := next("first"); err != nil {
			t.Fatal(err)
		}
		for name, trouble := range troubles {
			trouble(func() {
				refused := 0
				for i := range 20 {
					if next(fmt.Sprint(name, i)) != nil {
						refused++
					}
				}
				if name == "full" && refused == 0 {
					t.Error("updates are taken on a full disk")
				}
				state.Set("new", map[string][]byte{"a": {1}}) // a topic without a file
				if u, err := state.Next(t.Context(), "new", r.Position("new")); err != nil || name == "read-only" && r.Apply(u) == nil {
					t.Errorf("%s: a file was made, %v", name, err)
				}
				check(name)
			})
			if err := next(name + " over"); err != nil {
				t.Errorf("after %s: %v", name, err)
			}
			check("after " + name)
			reopen()
			check("opened again after " + name)
		}
		r.Close()
	})
}
