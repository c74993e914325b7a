package discovery_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gomaas/maas/discovery"
)

// hotFrames are those of a busy link: one of each kind that comes often, from devices that are known.
func hotFrames(t testing.TB) map[string][]byte {
	frames, _ := capture(t, "lab.pcap")
	out := map[string][]byte{"arp": frame(1, "192.0.2.7", 0), "tagged": frame(1, "192.0.2.7", 5)}
	for _, b := range frames {
		if f, err := discovery.ParseFrame(b, 0); err == nil {
			if s, err := discovery.DecodeNDP(f); err == nil && s.Info == nil && !s.Tentative {
				out["ndp"] = b
			}
			if _, _, err := discovery.DecodeMDNS(f, nil); err == nil && out["mdns question"] == nil {
				out["mdns question"] = b
			}
			if s, err := discovery.DecodeDHCPv4(f, nil); err == nil && s[0].Info != nil {
				out["dhcpv4"] = b
			}
		}
	}
	return out
}

// What comes often costs no memory.
func TestHotPathDoesNotAllocate(t *testing.T) {
	hot := hotFrames(t)
	table, now := discovery.NewTable(discovery.TableConfig{}), time.Now()
	d := discovery.Decoder{Counters: new(discovery.Counters)}
	var seen []discovery.Observation
	for _, name := range []string{"arp", "tagged", "ndp"} {
		handle := func() {
			seen = d.Decode(hot[name], 0, now, seen[:0])
			table.See("eth0", seen[0], now)
		}
		handle()
		if n := testing.AllocsPerRun(1000, handle); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, wire := range hotFrames(b) {
		b.Run(name, func(b *testing.B) {
			d, now := discovery.Decoder{Counters: new(discovery.Counters)}, time.Now()
			var seen []discovery.Observation
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Millisecond)
				seen = d.Decode(wire, 0, now, seen[:0])
			}
		})
	}
}

// BenchmarkSee is decoding and remembering, for one device and for as many as there can be.
func BenchmarkSee(b *testing.B) {
	for _, hosts := range []int{1, 100_000} {
		b.Run(itoa(hosts), func(b *testing.B) {
			table, now := discovery.NewTable(discovery.TableConfig{}), time.Now()
			d := discovery.Decoder{Counters: new(discovery.Counters)}
			wires := make([][]byte, hosts)
			for i := range wires {
				wires[i] = frame(1, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).Next().String(), 0)
			}
			var seen []discovery.Observation
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				seen = d.Decode(wires[i%hosts], 0, now, seen[:0])
				table.See("eth0", seen[0], now)
			}
		})
	}
}
