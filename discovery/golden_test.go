package discovery_test

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/discovery"
)

var update = flag.Bool("update", false, "write the golden files anew")

// capture reads the frames of a pcap file with microseconds, as tcpdump writes it.
func capture(t testing.TB, name string) (frames [][]byte, times []time.Time) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint32(b) != 0xa1b2c3d4 {
		t.Fatal("not a pcap file")
	}
	for b = b[24:]; len(b) >= 16; {
		length := binary.LittleEndian.Uint32(b[8:])
		times = append(times, time.Unix(int64(binary.LittleEndian.Uint32(b)), int64(binary.LittleEndian.Uint32(b[4:]))*1000).UTC())
		frames = append(frames, b[16:16+length])
		b = b[16+length:]
	}
	return frames, times
}

// The capture holds arping, ping, avahi-daemon, dnsmasq with router advertisements, dhclient for both families and lldpd.
func TestGoldenCapture(t *testing.T) {
	frames, times := capture(t, "lab.pcap")
	counters := new(discovery.Counters)
	d := discovery.Decoder{Counters: counters}
	table := discovery.NewTable(discovery.TableConfig{})
	var out strings.Builder
	for i, frame := range frames {
		for _, s := range d.Decode(frame, 0, times[i], nil) {
			info, _ := json.Marshal(s.Info)
			fmt.Fprintf(&out, "%d %s %s %s tentative=%v gone=%v hearsay=%v %s\n", i+1, s.Source, s.Addr, s.MAC, s.Tentative, s.Gone, s.Hearsay, info)
			if e, ok := table.See("eth0", s, times[i]); ok {
				fmt.Fprintf(&out, "    %s %s\n", e.Kind, e.Previous)
			}
		}
	}
	fmt.Fprintln(&out, "malformed", counters.Malformed.Load(), "silent", counters.Silent.Load(), "foreign", counters.Foreign.Load())
	golden := filepath.Join("testdata", "lab.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
