package discoveryrpc_test

import (
	"encoding/json"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc/discoveryrpc"
)

func TestFactSurvivesTheTrip(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	fact := discoveryrpc.FactOf(discovery.Event{Kind: discovery.Moved, Observation: discovery.Observation{
		Interface: "eth0", VID: 5, Addr: netip.MustParseAddr("192.0.2.7"), MAC: mac, First: now, Last: now.Add(time.Second),
	}})
	data, err := json.Marshal(fact)
	if err != nil {
		t.Fatal(err)
	}
	var got discoveryrpc.Fact
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fact, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || got.HardwareAddr().String() != mac.String() {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
