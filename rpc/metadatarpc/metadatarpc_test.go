package metadatarpc_test

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/metadata"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/metadatarpc"
)

func machine(id string, n byte, user string) metadatarpc.Machine {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, n}
	return metadatarpc.Machine{
		Instance: metadata.Instance{ID: id, MAC: mac, Hostname: "host-" + id, Addrs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, n})}},
		MACs:     []string{mac.String()}, User: user,
	}
}

// asks returns the name and the user data of the machine with a number, by both ways; "" = none.
func asks(t *testing.T, table *metadatarpc.Table, n byte) string {
	t.Helper()
	a, errA := table.ByMAC(t.Context(), net.HardwareAddr{2, 0, 0, 0, 0, n})
	b, errB := table.ByAddr(t.Context(), netip.AddrFrom4([4]byte{192, 0, 2, n}))
	if a.ID != b.ID || (errA == nil) != (errB == nil) || errA != nil && !errors.Is(errA, fs.ErrNotExist) {
		t.Errorf("machine %d: %v %v, %v %v", n, a, errA, b, errB)
	}
	if errA != nil {
		return ""
	}
	return a.Hostname + " " + string(a.UserData)
}

func TestTable(t *testing.T) {
	users := map[string][]byte{"u1": []byte("one"), "u2": []byte("two"), "unused": []byte("secret of others")}
	before := []metadatarpc.Machine{machine("a", 1, "u1"), machine("b", 2, "u1"), machine("c", 3, "")}
	objects, err := metadatarpc.Objects(before, users)
	if err != nil || len(objects) != 4 {
		t.Fatalf("%v, objects %q", err, objects)
	}
	var table metadatarpc.Table
	if got := asks(t, &table, 1); got != "" {
		t.Errorf("the zero table knows %q", got)
	}
	check := func(when string, want ...string) {
		t.Helper()
		for i, w := range want {
			if got := asks(t, &table, byte(i+1)); got != w {
				t.Errorf("%s: machine %d reads %q, want %q", when, i+1, got, w)
			}
		}
	}
	if err := table.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	check("whole", "host-a one", "host-b one", "host-c ", "")
	// b leaves, c gets the address of b, a gets other user data.
	moved := machine("c", 2, "u1")
	after := []metadatarpc.Machine{machine("a", 1, "u2"), moved}
	upserts, deletes, err := metadatarpc.Difference(before, after, users)
	if err != nil {
		t.Fatal(err)
	}
	var changed []rpc.Object
	for key, value := range upserts {
		changed = append(changed, rpc.Object{Key: key, Value: value})
	}
	for _, key := range deletes {
		changed = append(changed, rpc.Object{Key: key, Deleted: true})
	}
	if err := table.Change(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	check("changed", "host-a two", "host-c one", "", "")
	bad := []rpc.Object{{Key: "machine/a", Deleted: true}, {Key: "machine/z", Value: []byte("{")}}
	if err := table.Change(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "machine/z") {
		t.Errorf("a broken object: %v", err)
	}
	if err := table.Apply(t.Context(), map[string][]byte{"machine/z": []byte("[]")}); err == nil {
		t.Error("a broken object was applied")
	}
	check("after broken objects", "host-a two", "host-c one", "", "")
	if err := table.Apply(t.Context(), nil); err != nil {
		t.Error(err)
	}
	check("emptied", "", "", "")
}

func FuzzTable(f *testing.F) {
	f.Add("machine/a", []byte(`{"instance":{"id":"a","mac":"AgAAAAAB","addrs":["192.0.2.1"]},"macs":["02:00:00:00:00:01"],"user":"u"}`))
	f.Add("user/u", []byte("x"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		var table metadatarpc.Table
		_ = table.Apply(t.Context(), map[string][]byte{key: value})
		_ = table.Change(t.Context(), []rpc.Object{{Key: key, Value: value}})
		_ = table.Change(t.Context(), []rpc.Object{{Key: key, Deleted: true}})
		if asks(t, &table, 1) != "" {
			t.Error("a deleted machine is known")
		}
	})
}
