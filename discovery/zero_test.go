package discovery_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
	"github.com/gomaas/maas/discovery/oui"
)

func TestRequiredFieldsAreNamed(t *testing.T) {
	port := discoverytest.NewSegment().Port(discovery.Interface{Name: "eth0", MAC: mac(1), Addrs: prefixes("192.0.2.1/24")})
	sink := func(discovery.Event) {}
	sweep := func(cfg discovery.SweepConfig) error {
		_, err := discovery.Sweep(t.Context(), cfg)
		return err
	}
	for want, err := range map[string]error{
		"needs a Conn":     sweep(discovery.SweepConfig{}),
		"never ends":       sweep(discovery.SweepConfig{Conn: port, Rate: -1, Prefixes: prefixes("192.0.2.0/24")}),
		"nothing to sweep": sweep(discovery.SweepConfig{Conn: port}),
		"cannot be swept":  sweep(discovery.SweepConfig{Conn: port, Prefixes: make([]netip.Prefix, 1)}),
		"::ffff:":          sweep(discovery.SweepConfig{Conn: port, Prefixes: prefixes("::ffff:192.0.2.0/120")}),
		"needs a Sink":     discovery.Watch(t.Context(), discovery.Config{}),
		"needs Interfaces": discovery.Watch(t.Context(), discovery.Config{Sink: sink, Open: func(string) (discovery.Conn, error) { return port, nil }}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Zero values of everything else work, and negative numbers count as none.
func TestZeroValuesDoNotPanic(t *testing.T) {
	var d discovery.Decoder
	if seen := d.Decode(frame(1, "192.0.2.7", 0), 0, start, nil); len(seen) != 1 || d.Counters == nil {
		t.Errorf("a decoder without counters saw %+v", seen)
	}
	if seen := d.Decode(nil, 0, start, nil); seen != nil {
		t.Errorf("an empty frame showed %+v", seen)
	}
	for _, table := range []*discovery.Table{{}, discovery.NewTable(discovery.TableConfig{Limit: -1, Reports: -1, Refresh: -1})} {
		table.SetIgnore(discovery.Ignore{})
		if e, ok := table.See("eth0", observation(1, "192.0.2.7"), start); !ok || e.Kind != discovery.New {
			t.Errorf("not reported: %+v", e)
		}
		if n := len(table.Devices(start)) + len(table.Tick(start)) + table.Stats().Kept; n != 2 {
			t.Errorf("%d, want one device twice", n)
		}
		if e := table.Name(netip.MustParseAddr("192.0.2.7"), "node", start); len(e) != 1 {
			t.Errorf("no name was taken: %+v", e)
		}
	}
	var none *oui.Table
	if none.Lookup(make([]byte, 6)) != "" || new(oui.Table).Lookup([]byte{0, 0, 0, 0, 0, 1}) != "" || new(oui.Table).Len() != 0 {
		t.Error("an empty register knows a vendor")
	}
	if _, err := discovery.BeaconKey(nil).Decode(discovery.Frame{}, start); err == nil {
		t.Error("a nil key takes beacons")
	}
	if got := discovery.Choose(nil); got != nil {
		t.Errorf("chosen of none: %+v", got)
	}
	if len(discovery.Filter(0)) == 0 {
		t.Error("a filter for nothing has no instruction")
	}
	var r discovery.Reverse
	if name, ok := r.Lookup(t.Context(), netip.MustParseAddr("192.0.2.7")); ok {
		t.Errorf("no server knows %q", name)
	}
}

// A look-up rate that no ticker can have does not end the watch.
func TestAnyRateOfLookups(t *testing.T) {
	for _, rate := range []int{-1, 0, 2_000_000_000} {
		synctest.Test(t, func(t *testing.T) {
			segment := discoverytest.NewSegment()
			cfg := discovery.Config{
				Interfaces: []string{"eth0"}, Open: segment.Open(discovery.Interface{MAC: mac(1)}), Sink: func(discovery.Event) {},
				Reverse: discovery.NewReverse(discovery.ReverseConfig{Rate: rate, Again: -1}),
			}
			watch(t, cfg)
			time.Sleep(time.Second)
		})
	}
}
