package dhcprpc_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
)

// Changes of reservations reach the server without a snapshot, two clients that exchange their addresses included.
func TestReservationsChangeSingly(t *testing.T) {
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		t.Fatal(err)
	}
	wholes := 0
	follower := dhcprpc.Follow(func(_ context.Context, s dhcpsrv.Snapshot, _ []radv.Advertisement) error {
		wholes++
		return server.Update(s)
	}).ReserveIn(server)
	reservation := func(n byte, addr string) dhcpsrv.Reservation {
		return dhcpsrv.Reservation{MAC: net.HardwareAddr{2, 0, 0, 0, 0, n}, Addr: netip.MustParseAddr(addr)}
	}
	have := []dhcpsrv.Reservation{reservation(1, "192.0.2.11"), reservation(2, "192.0.2.12")}
	objects, err := dhcprpc.Objects(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "net", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: netip.MustParseAddr("192.0.2.1"),
	}}, Reservations: have}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		after  []dhcpsrv.Reservation
		wholes int
		ok     bool
	}{
		{"exchanged", []dhcpsrv.Reservation{reservation(1, "192.0.2.12"), reservation(2, "192.0.2.11")}, 1, true},
		{"one less", []dhcpsrv.Reservation{reservation(1, "192.0.2.12")}, 1, true},
		{"one more", []dhcpsrv.Reservation{reservation(1, "192.0.2.12"), reservation(3, "192.0.2.11")}, 1, true},
		{"refused", []dhcpsrv.Reservation{reservation(1, "192.0.2.12"), reservation(3, "192.0.2.11"), reservation(4, "192.0.2.11")}, 2, false},
		{"whole after a refusal", []dhcpsrv.Reservation{reservation(1, "192.0.2.12")}, 3, true},
		{"single again", []dhcpsrv.Reservation{reservation(1, "192.0.2.13")}, 3, true},
	} {
		upserts, deletes, err := dhcprpc.ReservationObjects(have, step.after)
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
		if err := follower.Change(t.Context(), changed); (err == nil) != step.ok || wholes != step.wholes {
			t.Errorf("%s: %v after %d snapshots, want %d", step.name, err, wholes, step.wholes)
		}
		have = step.after
		if !step.ok {
			continue
		}
		for _, r := range have {
			if err := server.Unreserve(r); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			if err := server.Reserve(r); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
		}
	}
}
