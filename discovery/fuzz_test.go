package discovery_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

// beaconFrame is one that is right at the start of the tests' time.
func beaconFrame() []byte {
	return discovery.BeaconKey("secret").Encode(mac(1), discovery.Beacon{Rack: "rack-1", Interface: "eth0", Time: start})
}

// decoder is one protocol's, for frames that fuzzing changes.
type decoder func(discovery.Frame) ([]discovery.Observation, error)

func one(s discovery.Observation, err error) ([]discovery.Observation, error) {
	return []discovery.Observation{s}, err
}

// fuzz throws frames at a decoder. What it makes of them is whole, is its own memory, and comes through the kernel's filter.
func fuzz(f *testing.F, source discovery.Source, decode decoder) {
	frames, _ := capture(f, "lab.pcap")
	for _, frame := range append(frames, beaconFrame()) {
		if p, err := discovery.ParseFrame(frame, 0); err == nil {
			if _, err := decode(p); err == nil {
				f.Add(frame)
				f.Add(discoverytest.Tag(frame, 5))
			}
		}
	}
	vm, err := bpf.NewVM(discovery.Filter(source))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := discovery.ParseFrame(b, 0)
		if err != nil {
			return
		}
		seen, err := decode(p)
		if err != nil {
			return
		}
		before, _ := json.Marshal(seen)
		for _, s := range seen {
			if !s.MAC.Unicast() && s.MAC != (discovery.MAC{}) || s.Source != source || s.VID > 4095 || s.Addr.IsMulticast() || s.Addr.IsUnspecified() {
				t.Errorf("not a sighting: %+v", s)
			}
			if s.Info != nil && slices.ContainsFunc(s.Info.Names, func(n discovery.Name) bool { return n.Name == "" || len(n.Name) > 255 }) {
				t.Errorf("not names: %q", s.Info.Names)
			}
		}
		if n, err := vm.Run(b); err != nil || n == 0 {
			t.Errorf("the filter drops it: %v", err)
		}
		clear(b)
		if after, _ := json.Marshal(seen); !bytes.Equal(before, after) {
			t.Errorf("%s became %s with the frame", before, after)
		}
	})
}

func FuzzDecodeARP(f *testing.F) {
	fuzz(f, discovery.ARP, func(p discovery.Frame) ([]discovery.Observation, error) { return one(discovery.DecodeARP(p)) })
}

func FuzzDecodeNDP(f *testing.F) {
	fuzz(f, discovery.NDP, func(p discovery.Frame) ([]discovery.Observation, error) { return one(discovery.DecodeNDP(p)) })
}

func FuzzDecodeDHCPv4(f *testing.F) {
	fuzz(f, discovery.DHCPv4, func(p discovery.Frame) ([]discovery.Observation, error) { return discovery.DecodeDHCPv4(p, nil) })
}

func FuzzDecodeDHCPv6(f *testing.F) {
	fuzz(f, discovery.DHCPv6, func(p discovery.Frame) ([]discovery.Observation, error) { return discovery.DecodeDHCPv6(p, nil) })
}

func FuzzDecodeMDNS(f *testing.F) {
	fuzz(f, discovery.MDNS, func(p discovery.Frame) ([]discovery.Observation, error) {
		seen, _, err := discovery.DecodeMDNS(p, nil)
		return seen, err
	})
}

func FuzzDecodeLLDP(f *testing.F) {
	fuzz(f, discovery.LLDP, func(p discovery.Frame) ([]discovery.Observation, error) { return one(discovery.DecodeLLDP(p)) })
}

func FuzzDecodeBeacon(f *testing.F) {
	fuzz(f, discovery.Beacons, func(p discovery.Frame) ([]discovery.Observation, error) {
		return one(discovery.BeaconKey("secret").Decode(p, start))
	})
}

func TestBeaconIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b []byte)
		late   time.Duration
	}{
		"another sender": {func(b []byte) { b[11]++ }, 0},
		"another rack":   {func(b []byte) { b[31]++ }, 0},
		"another key":    {func(b []byte) { b[len(b)-1]++ }, 0},
		"played back":    {func([]byte) {}, discovery.BeaconSkew + time.Second},
	} {
		b := beaconFrame()
		c.change(b)
		f, err := discovery.ParseFrame(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := discovery.BeaconKey("secret").Decode(f, start.Add(c.late)); err == nil {
			t.Errorf("%s: taken: %+v", name, s)
		}
	}
	f, _ := discovery.ParseFrame(beaconFrame(), 0)
	if s, err := discovery.BeaconKey("secret").Decode(f, start); err != nil || s.Info.Beacon.Rack != "rack-1" {
		t.Errorf("%+v, %v", s, err)
	}
}
