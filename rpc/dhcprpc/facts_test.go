package dhcprpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
)

func TestFactsTravel(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for kind, holds := range map[dhcpsrv.EventKind]bool{
		dhcpsrv.Granted: true, dhcpsrv.Renewed: true, dhcpsrv.Expired: false, dhcpsrv.Released: false,
	} {
		sent := dhcprpc.FactOf(dhcpsrv.Event{Kind: kind, Lease: dhcpsrv.Lease{
			Addr: netip.MustParseAddr("192.0.2.100"), MAC: mac, Hostname: "web", Subnet: "net", Start: start, End: start.Add(time.Hour),
		}})
		text, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		var got dhcprpc.Fact
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", kind, diff)
		}
		if got.Holds() != holds || got.HardwareAddr().String() != mac.String() || got.Event != kind.String() {
			t.Errorf("%v: holds %t, %s", kind, got.Holds(), got.HardwareAddr())
		}
	}
	if mac := (dhcprpc.Fact{MAC: "none"}).HardwareAddr(); mac != nil {
		t.Errorf("no link address is %s", mac)
	}
}

// An object that cannot be read is named; an object of an unknown kind, as a newer region sends, is passed over.
func TestObjectsThatAreNotRead(t *testing.T) {
	for _, key := range []string{"site", "subnet/net", "reservation/1"} {
		if _, _, err := dhcprpc.Snapshot(map[string][]byte{key: []byte(`"text"`)}); err == nil || !strings.Contains(err.Error(), "dhcprpc: "+key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	s, ads, err := dhcprpc.Snapshot(map[string][]byte{"future/x": []byte(`?`)})
	if err != nil || len(ads) != 0 || len(s.Subnets)+len(s.Reservations) != 0 {
		t.Errorf("%+v, %v, %v", s, ads, err)
	}
}

// What the server refuses is the caller's error, and deletions of what is not there are no change.
func TestFollowerReportsTheServersError(t *testing.T) {
	refused := errors.New("refused")
	calls := 0
	f := dhcprpc.Follow(func(context.Context, dhcpsrv.Snapshot, []radv.Advertisement) error { calls++; return refused })
	if err := f.Apply(t.Context(), nil); !errors.Is(err, refused) {
		t.Errorf("Apply: %v", err)
	}
	if err := f.Change(t.Context(), []rpc.Object{{Key: "subnet/absent", Deleted: true}}); !errors.Is(err, refused) || calls != 2 {
		t.Errorf("Change: %v after %d calls", err, calls)
	}
}
