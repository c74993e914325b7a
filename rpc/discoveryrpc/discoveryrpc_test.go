package discoveryrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
)

func TestFactSurvivesTheTrip(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fact := discoveryrpc.FactOf(discovery.Event{Kind: discovery.Moved, Previous: discovery.MAC{2, 0, 0, 0, 0, 2}, Device: discovery.Device{
		Interface: "eth0", VID: 5, Addr: netip.MustParseAddr("192.0.2.7"), MAC: discovery.MAC{2, 0, 0, 0, 0, 1}, First: now, Last: now.Add(time.Second),
		Expires: now.Add(time.Hour), Count: 3, Sources: discovery.ARP | discovery.MDNS, Info: discovery.Info{
			Names: []discovery.Name{{Name: "printer", Origin: discovery.MDNS}}, Services: []discovery.Service{{Type: "_ipp._tcp", Name: "Printer", Port: 631}},
			Router: &discovery.Router{Lifetime: time.Minute},
		},
	}})
	data, err := json.Marshal(fact)
	if err != nil {
		t.Fatal(err)
	}
	var got discoveryrpc.Fact
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fact, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreUnexported(discovery.Info{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.HardwareAddr().String() != "02:00:00:00:00:01" {
		t.Errorf("MAC %s", got.HardwareAddr())
	}
}

func TestPolicySurvivesTheTrip(t *testing.T) {
	want := discoveryrpc.Policy{
		Passive: true, Ignore: []string{"02:00:00"}, Resolvers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, BeaconKey: []byte("key"),
		Subnets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
	objects, err := discoveryrpc.Objects(want)
	if err != nil {
		t.Fatal(err)
	}
	var got discoveryrpc.Policy
	apply := discoveryrpc.Apply(func(_ context.Context, p discoveryrpc.Policy) error { got = p; return nil })
	if err := apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := apply(t.Context(), nil); err != nil || got.Passive {
		t.Errorf("without a policy: %+v, %v", got, err)
	}
}

type sweeper struct{}

func (sweeper) Start(_ context.Context, r discoveryrpc.ScanRequest) (discoveryrpc.ScanStatus, error) {
	if r.ID == "second" {
		return discoveryrpc.ScanStatus{}, fs.ErrExist
	}
	return discoveryrpc.ScanStatus{ID: r.ID, Running: true}, nil
}

func (sweeper) Status(context.Context, string) (discoveryrpc.ScanStatus, error) {
	return discoveryrpc.ScanStatus{}, fs.ErrNotExist
}

func (sweeper) Cancel(_ context.Context, id string) (discoveryrpc.ScanStatus, error) {
	return discoveryrpc.ScanStatus{ID: id, Error: "cancelled"}, nil
}

func TestScansAreCalled(t *testing.T) {
	methods := new(rpc.Methods)
	discoveryrpc.OfferScans(methods, sweeper{})
	if s, err := discoveryrpc.StartScan(t.Context(), methods, discoveryrpc.ScanRequest{ID: "first"}); err != nil || !s.Running || s.ID != "first" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := discoveryrpc.StartScan(t.Context(), methods, discoveryrpc.ScanRequest{ID: "second"}); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if _, err := discoveryrpc.StatusOfScan(t.Context(), methods, "first"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if s, err := discoveryrpc.CancelScan(t.Context(), methods, "first"); err != nil || s.Error != "cancelled" {
		t.Errorf("%+v, %v", s, err)
	}
}
