package dhcprpc_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomaas/maas/dhcpsrv"
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
	Options6:       dhcpsrv.Options{{Code: 31, Data: []byte("y")}},
	Advertisements: []dhcpsrv.Advertisement{{Link: "eth0", Managed: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")}}},
}

func TestSnapshotSurvivesTheTrip(t *testing.T) {
	objects, err := dhcprpc.Objects(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 8 {
		t.Errorf("%d objects, want one each for both sites, subnet, advertisement and four reservations", len(objects))
	}
	got, err := dhcprpc.Snapshot(objects)
	if err != nil {
		t.Fatal(err)
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
	objects, err := dhcprpc.Objects(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := dhcprpc.Apply(server)(t.Context(), objects); err != nil {
		t.Error(err)
	}
	objects["subnet/net"] = []byte(`{"Name":"net"}`)
	if err := dhcprpc.Apply(server)(t.Context(), objects); err == nil {
		t.Error("a subnet without a prefix was accepted")
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add("subnet/net", []byte(`{"Name":"net","Prefix":"192.0.2.0/24"}`))
	f.Add("reservation/1", []byte(`{"MAC":"AgAAAAAB"}`))
	f.Add("site", []byte(`[{"Code":1}]`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		s, err := dhcprpc.Snapshot(map[string][]byte{key: value})
		if err != nil {
			return
		}
		if _, err := dhcprpc.Objects(s); err != nil {
			t.Errorf("decoded but cannot be encoded: %v", err)
		}
	})
}
