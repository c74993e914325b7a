package discovery_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/discovery"
)

// frame builds an ARP request from the sender, tagged when vid is not zero.
func frame(mac string, addr string, vid uint16) []byte {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		panic(err)
	}
	b := append([]byte{255, 255, 255, 255, 255, 255}, hw...)
	if vid != 0 {
		b = binary.BigEndian.AppendUint16(append(b, 0x81, 0), vid)
	}
	b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	b = append(b, hw...)
	b = append(b, netip.MustParseAddr(addr).AsSlice()...)
	return append(b, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1)
}

const mac1, mac2 = "02:00:00:00:00:01", "02:00:00:00:00:02"

func TestDecodeARP(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"request", frame(mac1, "192.0.2.7", 0), "192.0.2.7 " + mac1 + " 0"},
		{"tagged", frame(mac1, "192.0.2.7", 5), "192.0.2.7 " + mac1 + " 5"},
		{"probe", frame(mac1, "0.0.0.0", 0), discovery.ErrNoSighting.Error()},
		{"broadcast sender", frame(mac1, "255.255.255.255", 0), discovery.ErrNoSighting.Error()},
		{"multicast MAC", frame("01:00:5e:00:00:01", "192.0.2.7", 0), discovery.ErrNoSighting.Error()},
		{"cut", frame(mac1, "192.0.2.7", 0)[:41], "discovery: frame is too short for ARP"},
		{"empty", nil, "discovery: frame is too short for ARP"},
	} {
		s, err := discovery.DecodeARP(c.frame)
		got := fmt.Sprint(s.Addr, " ", s.MAC, " ", s.VID)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTableReportsChangesOnly(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{Refresh: 10 * time.Minute, TTL: time.Hour})
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var got []string
	see := func(after time.Duration, mac, addr string) {
		s, err := discovery.DecodeARP(frame(mac, addr, 0))
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := table.See("eth0", s, start.Add(after)); ok {
			got = append(got, fmt.Sprintln(after, e.Kind, e.Observation.Addr, e.Observation.MAC, e.Previous, e.Observation.Count))
		}
	}
	see(0, mac1, "192.0.2.7")
	see(time.Second, mac1, "192.0.2.7")
	see(11*time.Minute, mac1, "192.0.2.7")
	see(12*time.Minute, mac2, "192.0.2.7")
	see(90*time.Minute, mac2, "192.0.2.7")
	want := []string{
		"0s new 192.0.2.7 " + mac1 + "  1\n",
		"11m0s refreshed 192.0.2.7 " + mac1 + "  3\n",
		"12m0s moved 192.0.2.7 " + mac2 + " " + mac1 + " 1\n",
		"1h30m0s new 192.0.2.7 " + mac2 + "  1\n", // silent for longer than the TTL
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(table.Observations(start.Add(4 * time.Hour))); n != 0 {
		t.Errorf("%d remembered after the TTL", n)
	}
}

func TestFloodIsBounded(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{Limit: 100})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10_000 {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		table.See("eth0", discovery.Sighting{Addr: addr, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, now)
	}
	if n := len(table.Observations(now)); n != 100 || table.Evicted() != 9900 {
		t.Errorf("%d kept, %d evicted", n, table.Evicted())
	}
}

func FuzzDecodeARP(f *testing.F) {
	f.Add(frame(mac1, "192.0.2.7", 0))
	f.Add(frame(mac1, "192.0.2.7", 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := discovery.DecodeARP(b)
		if err == nil && (!s.Addr.Is4() || len(s.MAC) != 6) {
			t.Errorf("half a sighting: %+v", s)
		}
		if err != nil && errors.Is(err, discovery.ErrNoSighting) && len(b) < 42 {
			t.Errorf("%d bytes cannot be a whole ARP frame", len(b))
		}
	})
}

func BenchmarkSee(b *testing.B) {
	table := discovery.NewTable(discovery.TableConfig{})
	wire := frame(mac1, "192.0.2.7", 0)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		s, err := discovery.DecodeARP(wire)
		if err != nil {
			b.Fatal(err)
		}
		table.See("eth0", s, now)
	}
}
