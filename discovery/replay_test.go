package discovery_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
	"github.com/gomaas/maas/discovery/oui"
)

// pcap writes frames with their times, as pcap in an order of bytes and with a unit of time.
func pcap(order binary.AppendByteOrder, magic uint32, unit time.Duration, frames ...timed) []byte {
	b := order.AppendUint32(nil, magic)
	b = append(b, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0)
	b = order.AppendUint32(b, 1)
	for _, f := range frames {
		b = order.AppendUint32(b, uint32(f.at.Unix()))
		b = order.AppendUint32(b, uint32(f.at.Nanosecond()/int(unit)))
		b = order.AppendUint32(b, uint32(len(f.frame)))
		b = order.AppendUint32(b, uint32(len(f.frame)))
		b = append(b, f.frame...)
	}
	return b
}

// pcapng writes frames as pcapng with nanoseconds.
func pcapng(order binary.AppendByteOrder, frames ...timed) (out []byte) {
	block := func(kind uint32, body []byte) {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		out = order.AppendUint32(out, kind)
		out = order.AppendUint32(out, uint32(len(body)+12))
		out = append(out, body...)
		out = order.AppendUint32(out, uint32(len(body)+12))
	}
	block(0x0a0d0d0a, append(order.AppendUint32(nil, 0x1a2b3c4d), 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255))
	idb := order.AppendUint16(nil, 1)
	idb = append(idb, 0, 0, 0, 0, 0, 0)
	idb = order.AppendUint16(order.AppendUint16(idb, 9), 1)
	block(1, append(idb, 9, 0, 0, 0, 0, 0, 0, 0))
	block(0x0bad, []byte("of no interest"))
	for _, f := range frames {
		at := uint64(f.at.UnixNano())
		body := order.AppendUint32(nil, 0)
		body = order.AppendUint32(order.AppendUint32(body, uint32(at>>32)), uint32(at))
		body = order.AppendUint32(order.AppendUint32(body, uint32(len(f.frame))), uint32(len(f.frame)))
		block(6, append(body, f.frame...))
	}
	return out
}

type timed struct {
	frame []byte
	at    time.Time
}

func TestReplayReadsAllFormats(t *testing.T) {
	began := time.Date(2026, 1, 1, 12, 0, 0, 5000, time.UTC)
	arp := func(n byte) []byte {
		return discoverytest.ARP(mac(n), netip.AddrFrom4([4]byte{192, 0, 2, n}), discovery.MAC{}, netip.MustParseAddr("192.0.2.1"), false)
	}
	frames := []timed{{arp(7), began}, {arp(8), began.Add(time.Minute)}, {arp(8), began.Add(24 * time.Hour)}}
	for name, capture := range map[string][]byte{
		"pcap":                     pcap(binary.LittleEndian, 0xa1b2c3d4, time.Microsecond, frames...),
		"pcap, big endian":         pcap(binary.BigEndian, 0xa1b2c3d4, time.Microsecond, frames...),
		"pcap with nanoseconds":    pcap(binary.LittleEndian, 0xa1b23c4d, time.Nanosecond, frames...),
		"pcapng":                   pcapng(binary.LittleEndian, frames...),
		"pcapng, big endian":       pcapng(binary.BigEndian, frames...),
		"pcapng with two sections": append(pcapng(binary.BigEndian, frames[:1]...), pcapng(binary.LittleEndian, frames[1:]...)...),
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			cfg := discovery.Config{Sink: func(e discovery.Event) {
				got = append(got, fmt.Sprint(e.Kind, " ", e.Device.Interface, " ", e.Device.Addr, " ", e.Device.Last.Sub(began)))
			}}
			if err := discovery.Replay(bytes.NewReader(capture), cfg); err != nil {
				t.Fatal(err)
			}
			want := []string{"new capture 192.0.2.7 0s", "new capture 192.0.2.8 1m0s", "expired capture 192.0.2.7 0s", "expired capture 192.0.2.8 1m0s", "new capture 192.0.2.8 24h0m0s"}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got\n%s", strings.Join(got, "\n"))
			}
			for n := range capture { // cut anywhere
				err := discovery.Replay(bytes.NewReader(capture[:n]), cfg)
				if err != nil && n > 4 && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("cut to %d bytes: %v", n, err)
				}
			}
		})
	}
}

func TestReplayRefuses(t *testing.T) {
	sink := func(discovery.Event) {}
	wifi := pcap(binary.LittleEndian, 0xa1b2c3d4, time.Microsecond)
	wifi[20] = 105
	huge := append(pcap(binary.LittleEndian, 0xa1b2c3d4, time.Microsecond), bytes.Repeat([]byte{255}, 16)...)
	for want, capture := range map[string]string{
		"not a capture": "\x7fELF and so on", "link type 105": string(wifi), "a packet of 4294967295 bytes": string(huge), "EOF": "",
	} {
		if err := discovery.Replay(strings.NewReader(capture), discovery.Config{Sink: sink}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := discovery.Replay(strings.NewReader(""), discovery.Config{}); err == nil || !strings.Contains(err.Error(), "needs a Sink") {
		t.Errorf("%v", err)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add(pcap(binary.LittleEndian, 0xa1b2c3d4, time.Microsecond, timed{make([]byte, 60), time.Unix(1, 0)}))
	f.Add(pcapng(binary.BigEndian, timed{make([]byte, 60), time.Unix(1, 0)}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = discovery.Replay(bytes.NewReader(b), discovery.Config{Sink: func(discovery.Event) {}})
	})
}

// A capture of tcpdump is read in its own time, and shows who made the devices in it.
func ExampleReplay() {
	f, err := os.Open("testdata/lab.pcap")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	vendors := map[string]int{}
	err = discovery.Replay(f, discovery.Config{Sink: func(e discovery.Event) {
		if e.Kind == discovery.New {
			mac := e.Device.MAC
			vendors[oui.Lookup(mac[:])]++
		}
	}})
	fmt.Println(len(vendors) > 0, err)
	// Output: true <nil>
}
