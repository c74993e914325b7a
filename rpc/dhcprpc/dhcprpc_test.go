package dhcprpc_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
)

var snapshot = dhcpsrv.Snapshot{
	Options: dhcpsrv.Options{{Code: 252, Data: []byte("x"), Always: true}},
	Subnets: []dhcpsrv.Subnet{{
		Name: "net", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: netip.MustParseAddr("192.0.2.1"),
		Pools:     []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.200")}},
		Routers:   []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		LeaseTime: 10 * time.Minute,
	}},
	Reservations: []dhcpsrv.Reservation{
		{DUID: []byte{0, 4, 1}, Hostname: "six"}, {DUID: []byte{0, 4, 2}, Hostname: "seven"},
		{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("192.0.2.7"), Hostname: "web"},
		{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Hostname: "db"},
	},
	Classes: []dhcpsrv.Class{
		{Name: "phones", VendorClass: "Phone", UserClass: "x", Arch: []uint16{7}, MACPrefix: net.HardwareAddr{2, 0}, CircuitID: []byte{0, 4}, Ignore: true},
		{Name: "a", CircuitID: []byte("port1"), Options: dhcpsrv.Options{{Code: 66, Data: []byte("y")}}, Options6: dhcpsrv.Options{{Code: 31, Data: make([]byte, 16)}}},
	},
	Options6: dhcpsrv.Options{{Code: 31, Data: []byte("y")}},
	Partners: []failover.Partner{{Name: "rack2", Self: "rack1", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}},
}

var advertisements = []radv.Advertisement{{Link: "eth0", Managed: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")}}}

func TestSnapshotSurvivesTheTrip(t *testing.T) {
	objects, err := dhcprpc.Objects(snapshot, advertisements)
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 10 {
		t.Errorf("%d objects, want one each for both sites, classes, subnet, advertisement, partner and four reservations", len(objects))
	}
	got, ads, err := dhcprpc.Snapshot(objects)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(advertisements, ads, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("advertisements (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(snapshot, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestApplyServesIt(t *testing.T) {
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dhcprpc.Objects(snapshot, advertisements)
	if err != nil {
		t.Fatal(err)
	}
	follower := dhcprpc.Follow(func(_ context.Context, s dhcpsrv.Snapshot, _ []radv.Advertisement) error { return server.Update(s) })
	if err := follower.Apply(t.Context(), objects); err != nil {
		t.Error(err)
	}
	objects["subnet/net"] = []byte(`{"Name":"net"}`)
	if err := follower.Apply(t.Context(), objects); err == nil {
		t.Error("a subnet without a prefix was accepted")
	}
}

// Following changes one by one leads where the whole does.
func TestChangeIsApply(t *testing.T) {
	var got dhcpsrv.Snapshot
	follower := dhcprpc.Follow(func(_ context.Context, s dhcpsrv.Snapshot, _ []radv.Advertisement) error { got = s; return nil })
	objects, err := dhcprpc.Objects(snapshot, advertisements)
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	after := []dhcpsrv.Reservation{
		{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("192.0.2.8"), Hostname: "web"},
		{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Hostname: "db2"},
	}
	upserts, deletes, err := dhcprpc.ReservationObjects(snapshot.Reservations[2:], after)
	if err != nil {
		t.Fatal(err)
	}
	if len(upserts) != 2 || len(deletes) != 1 {
		t.Errorf("%d upserts, %d deletes", len(upserts), len(deletes))
	}
	var changed []rpc.Object
	for key, value := range upserts {
		changed = append(changed, rpc.Object{Key: key, Value: value})
		objects[key] = value
	}
	for _, key := range deletes {
		changed = append(changed, rpc.Object{Key: key, Deleted: true})
		delete(objects, key)
	}
	if err := follower.Change(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	want, _, err := dhcprpc.Snapshot(objects)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := follower.Change(t.Context(), []rpc.Object{{Key: "subnet/x", Value: []byte("?")}}); err == nil {
		t.Error("what is no object was accepted")
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add("subnet/net", []byte(`{"Name":"net","Prefix":"192.0.2.0/24"}`))
	f.Add("reservation/1", []byte(`{"MAC":"AgAAAAAB"}`))
	f.Add("site", []byte(`[{"Code":1}]`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		s, ads, err := dhcprpc.Snapshot(map[string][]byte{key: value})
		if err != nil {
			return
		}
		if _, err := dhcprpc.Objects(s, ads); err != nil {
			t.Errorf("decoded but cannot be encoded: %v", err)
		}
	})
}
