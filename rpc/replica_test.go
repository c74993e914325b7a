package rpc_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/rpc"
)

// Whichever octet of a topic's file is damaged, the replica opens, has what reads, and the region sends the topic again.
func TestDamagedReplicaIsFetchedAgain(t *testing.T) {
	dir := t.TempDir()
	replica, err := rpc.OpenReplica(dir)
	if err != nil {
		t.Fatal(err)
	}
	state := rpc.NewState()
	catchUp := func(r *rpc.Replica) {
		t.Helper()
		u, err := state.Next(t.Context(), "dns", r.Position("dns"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Apply(u); err != nil {
			t.Fatal(err)
		}
	}
	want := make(map[string][]byte)
	for i := range 6 {
		want[fmt.Sprint("host-", i)] = fmt.Append(nil, i)
		state.Set("dns", maps.Clone(want))
		catchUp(replica)
	}
	replica.Close()
	path := filepath.Join(dir, "dns.state")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(whole) - 1 {
		spoiled := bytes.Clone(whole)
		spoiled[at] ^= 0x20
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := rpc.OpenReplica(dir)
		if err != nil {
			t.Fatalf("octet %d: %v", at, err)
		}
		had := r.Objects("dns")
		if len(r.Damaged()) != 1 || r.Position("dns") != (rpc.Position{}) || len(had) < 4 {
			t.Fatalf("octet %d: damaged %v, position %v, %d objects", at, r.Damaged(), r.Position("dns"), len(had))
		}
		r.Close()
		if r, err = rpc.OpenReplica(dir); err != nil || len(r.Damaged()) != 0 || len(r.Objects("dns")) != len(had) {
			t.Fatalf("octet %d: opened again %v, %v", at, r.Objects("dns"), err)
		}
		catchUp(r)
		if got := r.Objects("dns"); !maps.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("octet %d: fetched again %q", at, got)
		}
		r.Close()
	}
	if names, _ := filepath.Glob(path + "*"); len(names) != 4 {
		t.Errorf("files are left: %v", names)
	}
}
