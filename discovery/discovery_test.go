package discovery_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

// mac makes an address from its last octet.
func mac(n byte) discovery.MAC { return discovery.MAC{2, 0, 0, 0, 0, n} }

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// frame builds an ARP request from the sender, tagged when vid is not zero.
func frame(n byte, addr string, vid uint16) []byte {
	b := discoverytest.ARP(mac(n), netip.MustParseAddr(addr), discovery.MAC{}, netip.MustParseAddr("192.0.2.1"), false)
	if vid != 0 {
		b = discoverytest.Tag(b, vid)
	}
	return b
}

func observation(n byte, addr string) discovery.Observation {
	return discovery.Observation{Addr: netip.MustParseAddr(addr), MAC: mac(n), Source: discovery.ARP}
}

func TestDecodeARP(t *testing.T) {
	odd := frame(1, "192.0.2.7", 0)
	odd[15] = 6 // IEEE 802
	group := frame(1, "192.0.2.7", 0)
	group[22] = 1
	for _, c := range []struct {
		name  string
		frame []byte
		vid   uint16
		want  string
	}{
		{"request", frame(1, "192.0.2.7", 0), 0, "192.0.2.7 02:00:00:00:00:01 0"},
		{"tagged", frame(1, "192.0.2.7", 5), 0, "192.0.2.7 02:00:00:00:00:01 5"},
		{"tag taken off", frame(1, "192.0.2.7", 0), 7, "192.0.2.7 02:00:00:00:00:01 7"},
		{"two tags", discoverytest.Tag(frame(1, "192.0.2.7", 5), 9), 0, "192.0.2.7 02:00:00:00:00:01 9"},
		{"probe", frame(1, "0.0.0.0", 0), 0, discovery.ErrNoObservation.Error()},
		{"broadcast sender", frame(1, "255.255.255.255", 0), 0, discovery.ErrNoObservation.Error()},
		{"loopback sender", frame(1, "127.0.0.1", 0), 0, discovery.ErrNoObservation.Error()},
		{"group MAC", group, 0, discovery.ErrNoObservation.Error()},
		{"other hardware", odd, 0, discovery.ErrNoObservation.Error()},
		{"cut", frame(1, "192.0.2.7", 0)[:41], 0, discovery.ErrMalformed.Error()},
		{"empty", nil, 0, discovery.ErrMalformed.Error()},
	} {
		f, err := discovery.ParseFrame(c.frame, c.vid)
		var s discovery.Observation
		if err == nil {
			s, err = discovery.DecodeARP(f)
		}
		got := fmt.Sprint(s.Addr, " ", s.MAC, " ", s.VID)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// story feeds a table and writes down what it reports.
type story struct {
	table *discovery.Table
	told  []string
}

func (s *story) see(after time.Duration, n byte, addr string) {
	if e, ok := s.table.See("eth0", observation(n, addr), start.Add(after)); ok {
		s.told = append(s.told, fmt.Sprintf("%v %s %v %v %v %d", after, e.Kind, e.Device.Addr, e.Device.MAC, e.Previous, e.Device.Count))
	}
}

func (s *story) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTableReportsChangesOnly(t *testing.T) {
	s := story{table: discovery.NewTable(discovery.TableConfig{TTL: map[discovery.Source]time.Duration{discovery.ARP: time.Hour}})}
	s.see(0, 1, "192.0.2.7")
	s.see(time.Second, 1, "192.0.2.7")
	s.see(11*time.Minute, 1, "192.0.2.7")
	s.see(12*time.Minute, 2, "192.0.2.7")
	s.see(90*time.Minute, 2, "192.0.2.7")
	s.want(t,
		"0s new 192.0.2.7 02:00:00:00:00:01  1",
		"11m0s refreshed 192.0.2.7 02:00:00:00:00:01  3",
		"12m0s moved 192.0.2.7 02:00:00:00:00:02 02:00:00:00:00:01 1",
		"1h30m0s new 192.0.2.7 02:00:00:00:00:02  1", // silent for longer than the TTL
	)
	if n := len(s.table.Devices(start.Add(4 * time.Hour))); n != 0 {
		t.Errorf("%d remembered after the TTL", n)
	}
}

func TestTwoDevicesThatUseOneAddressAreAConflict(t *testing.T) {
	s := story{table: discovery.NewTable(discovery.TableConfig{})}
	s.see(0, 1, "192.0.2.7")
	s.see(1*time.Second, 2, "192.0.2.7")
	s.see(2*time.Second, 1, "192.0.2.7")
	s.see(3*time.Second, 2, "192.0.2.7") // is known by now
	s.see(4*time.Second, 1, "192.0.2.7")
	s.see(5*time.Minute, 2, "192.0.2.7") // the other is silent
	s.want(t,
		"0s new 192.0.2.7 02:00:00:00:00:01  1",
		"1s moved 192.0.2.7 02:00:00:00:00:02 02:00:00:00:00:01 1",
		"2s conflict 192.0.2.7 02:00:00:00:00:01 02:00:00:00:00:02 2",
		"5m0s moved 192.0.2.7 02:00:00:00:00:02 02:00:00:00:00:01 3",
	)
}

func TestTentativeAddressesWaitForADefence(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{})
	asks := func(n byte, addr string) {
		s := observation(n, addr)
		s.Tentative, s.Source = true, discovery.NDP
		if e, ok := table.See("eth0", s, start); ok {
			t.Errorf("reported at once: %+v", e)
		}
	}
	asks(1, "2001:db8::1")
	asks(2, "2001:db8::2")
	asks(4, "2001:db8::4")
	asks(5, "2001:db8::4") // so does another
	defence := observation(3, "2001:db8::2")
	defence.Source = discovery.NDP
	table.See("eth0", defence, start.Add(time.Second))
	if early := table.Tick(start.Add(time.Second)); len(early) != 0 {
		t.Errorf("reported early: %+v", early)
	}
	got := table.Tick(start.Add(2 * time.Second))
	if len(got) != 1 || got[0].Kind != discovery.New || got[0].Device.MAC != mac(1) {
		t.Errorf("got %+v", got)
	}
}

func TestIgnored(t *testing.T) {
	rules, err := discovery.ParseIgnore([]string{"02:00:00:00:00:01", "06:00:00", "192.0.2.0/28", "2001:db8::7"})
	if err != nil {
		t.Fatal(err)
	}
	table := discovery.NewTable(discovery.TableConfig{})
	table.See("eth0", observation(1, "192.0.2.77"), start)
	table.SetIgnore(rules)
	if n := len(table.Devices(start)); n != 0 {
		t.Errorf("%d kept that are ignored from now on", n)
	}
	other := observation(2, "192.0.2.78")
	other.MAC[0] = 6
	for _, s := range []discovery.Observation{observation(1, "192.0.2.77"), observation(2, "192.0.2.15"), observation(2, "2001:db8::7"), other} {
		if e, ok := table.See("eth0", s, start); ok {
			t.Errorf("reported %+v", e)
		}
	}
	if _, ok := table.See("eth0", observation(2, "192.0.2.16"), start); !ok || table.Stats().Ignored != 4 {
		t.Errorf("not ignored: %v; stats %+v", !ok, table.Stats())
	}
	if _, err := discovery.ParseIgnore([]string{"hello"}); err == nil {
		t.Error("a rule that is none was taken")
	}
}

// Devices that were seen before a flood outlive it; memory is bounded; events are too.
func TestFloodIsBounded(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{Limit: 100, Reports: 10})
	table.See("eth0", observation(1, "192.0.2.7"), start)
	table.See("eth0", observation(1, "192.0.2.7"), start.Add(2*time.Second))
	reports := 0
	for i := range 10_000 {
		s := discovery.Observation{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), MAC: discovery.MAC{2, 1, 0, 0, byte(i >> 8), byte(i)}, Source: discovery.ARP}
		if _, ok := table.See("eth0", s, start.Add(3*time.Second)); ok {
			reports++
		}
	}
	stats := table.Stats()
	if stats.Kept != 100 || stats.Evicted != 9901 || reports > 100 || int(stats.Suppressed) != 10_000-reports {
		t.Errorf("%d reports, %+v", reports, stats)
	}
	if e, ok := table.See("eth0", observation(1, "192.0.2.7"), start.Add(time.Hour)); !ok || e.Kind != discovery.Refreshed {
		t.Errorf("who was there before the flood is forgotten: %+v", e)
	}
	// A device that was not reported for the flood is reported when it is seen again.
	last := discovery.Observation{Addr: netip.AddrFrom4([4]byte{10, 0, 9999 >> 8, 9999 & 0xff}), MAC: discovery.MAC{2, 1, 0, 0, 9999 >> 8, 9999 & 0xff}, Source: discovery.ARP}
	if e, ok := table.See("eth0", last, start.Add(time.Hour)); !ok || e.Kind != discovery.New {
		t.Errorf("not reported: %v %+v", ok, e)
	}
}

func TestMACPrefix(t *testing.T) {
	p, err := discovery.ParseMACPrefix("02:00:00")
	if err != nil || !p.Contains(mac(9)) || p.Contains(discovery.MAC{2, 0, 1}) {
		t.Errorf("%+v %v", p, err)
	}
	p = discovery.MACPrefix{MAC: discovery.MAC{2, 0, 0, 0x30}, Bits: 28}
	if !p.Contains(discovery.MAC{2, 0, 0, 0x3f}) || p.Contains(discovery.MAC{2, 0, 0, 0x40}) {
		t.Error("28 bits")
	}
}

func itoa(n int) string { return fmt.Sprint(n) }

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}
