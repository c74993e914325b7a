package discovery_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

// overhear sweeps prefixes from an interface with addresses, and returns the questions as others on the link see them.
func overhear(t *testing.T, cfg discovery.SweepConfig, addrs ...string) (questions []discovery.Frame, p discovery.SweepProgress) {
	t.Helper()
	segment := discoverytest.NewSegment()
	segment.Host(mac(7), netip.MustParseAddr("192.0.2.2"))
	eyes := segment.Port(discovery.Interface{})
	cfg.Conn = segment.Port(discovery.Interface{Name: "eth0", MAC: mac(1), Addrs: prefixes(addrs...)})
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			err := eyes.Receive(func(frame []byte, vid uint16) {
				if f, err := discovery.ParseFrame(append([]byte{}, frame...), vid); err == nil && f.Src == mac(1) {
					questions = append(questions, f)
				}
			})
			if err != nil {
				return
			}
		}
	}()
	p, err := discovery.Sweep(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	eyes.Close()
	<-read
	return questions, p
}

// sum is the ones' complement sum of an IPv6 packet's payload and pseudo-header, 0xffff if the checksum in it is right.
func sum(p []byte) uint16 {
	total := uint32(binary.BigEndian.Uint16(p[4:])) + uint32(p[6])
	for b := p[8:]; len(b) > 0; b = b[min(2, len(b)):] {
		if len(b) == 1 {
			b = []byte{b[0], 0}
		}
		total += uint32(binary.BigEndian.Uint16(b))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

// Silent addresses are asked twice, the answered one and the rack's own are not.
func TestQuestionsOfAnIPv4Sweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := map[string]int{}
		questions, p := overhear(t, discovery.SweepConfig{Prefixes: prefixes("192.0.2.0/29"), Rate: 10}, "192.0.2.1/24")
		for _, q := range questions {
			if q.Type != 0x0806 || q.Dst != (discovery.MAC{255, 255, 255, 255, 255, 255}) || string(q.Payload[14:18]) != "\xc0\x00\x02\x01" {
				t.Errorf("not an ARP question of the rack: %+v", q)
			}
			asked[netip.AddrFrom4([4]byte(q.Payload[24:28])).String()]++
		}
		for addr, want := range map[string]int{"192.0.2.0": 0, "192.0.2.1": 0, "192.0.2.2": 1, "192.0.2.3": 2, "192.0.2.6": 2, "192.0.2.7": 0} {
			if asked[addr] != want {
				t.Errorf("%s was asked %d times, want %d", addr, asked[addr], want)
			}
		}
		if p.Total != 10 || p.Done != 10 || p.Found != 1 {
			t.Errorf("%+v", p)
		}
	})
}

// A small IPv6 prefix is asked by solicitations and all devices by echoes, all with right checksums.
func TestQuestionsOfAnIPv6Sweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		questions, _ := overhear(t, discovery.SweepConfig{Prefixes: prefixes("2001:db8::/126"), Rate: 100}, "2001:db8::1/64")
		echoes, odd, solicited := 0, 0, map[string]int{}
		for _, q := range questions {
			p := q.Payload
			if q.Type != 0x86dd || q.Dst[0] != 0x33 || q.Dst[1] != 0x33 || string(q.Dst[2:]) != string(p[36:40]) || p[7] != 255 {
				t.Errorf("not to a group of this link: %+v", q)
			}
			switch {
			case p[6] == 60: // destination options: what follows is the echo
				odd++
			case p[40] == 128:
				echoes++
			default:
				m, err := ndp.ParseMessage(p[40:])
				ns, ok := m.(*ndp.NeighborSolicitation)
				if err != nil || !ok || len(ns.Options) != 1 || !strings.HasSuffix(ns.Options[0].(*ndp.LinkLayerAddress).Addr.String(), ":01") {
					t.Errorf("not a solicitation: %+v, %v", m, err)
					continue
				}
				solicited[ns.TargetAddress.String()]++
			}
			if p[6] == 58 && sum(p) != 0xffff {
				t.Errorf("wrong checksum %x in %x", sum(p), p)
			}
		}
		if echoes != 2 || odd != 2 || len(solicited) != 3 || solicited["2001:db8::2"] != 2 || solicited["2001:db8::1"] != 0 {
			t.Errorf("%d echoes, %d with an unknown option, solicited %v", echoes, odd, solicited)
		}
	})
}

// The devices that answered are asked for their names by multicast DNS.
func TestQuestionsForNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		questions, _ := overhear(t, discovery.SweepConfig{Prefixes: prefixes("192.0.2.0/29"), Rate: 100, Names: true}, "192.0.2.1/24")
		var names []string
		for _, q := range questions {
			if q.Type != 0x0800 {
				continue
			}
			var m dns.Msg
			if err := m.Unpack(q.Payload[28:]); err != nil {
				t.Fatal(err)
			}
			names = append(names, m.Question[0].Name)
		}
		if len(names) != 1 || names[0] != "2.2.0.192.in-addr.arpa." {
			t.Errorf("asked about %v", names)
		}
	})
}

// Progress is reported after each question, and ends where the sweep does.
func TestProgressOfASweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps []discovery.SweepProgress
		began := time.Now()
		_, last := overhear(t, discovery.SweepConfig{
			Prefixes: prefixes("192.0.2.0/29"), Rate: 10, Wait: 2 * time.Second, Progress: func(p discovery.SweepProgress) { steps = append(steps, p) },
		}, "192.0.2.1/24")
		for i, p := range steps {
			if p.Done != i+1 || p.Total != 10 {
				t.Errorf("step %d: %+v", i, p)
			}
		}
		if len(steps) != 10 || last.Done != 10 {
			t.Errorf("%d steps, last %+v", len(steps), last)
		}
		if took := time.Since(began); took < 3*time.Second || took > 5*time.Second {
			t.Errorf("took %s: waits of 1 and 2 s, and 9 questions at 10 a second", took)
		}
	})
}

func TestDecodeMDNSFrames(t *testing.T) {
	good := announcement(t, "printer.local. 120 IN A 192.0.2.7")
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"announcement":        {func(b []byte) []byte { return b }, "192.0.2.7 02:00:00:00:00:07 name=printer"},
		"question":            {func(b []byte) []byte { b[42+2] &^= 0x80; return b }, "192.0.2.7 02:00:00:00:00:07"},
		"question to one":     {func(b []byte) []byte { b[42+2] &^= 0x80; b[30] = 192; return b }, discovery.ErrNoObservation.Error()},
		"from another port":   {func(b []byte) []byte { b[34]++; return b }, discovery.ErrMalformed.Error()},
		"without an address":  {func(b []byte) []byte { copy(b[26:30], make([]byte, 4)); return b }, discovery.ErrNoObservation.Error()},
		"from a group":        {func(b []byte) []byte { b[6] |= 1; return b }, discovery.ErrNoObservation.Error()},
		"a fragment":          {func(b []byte) []byte { b[20] |= 0x20; return b }, discovery.ErrMalformed.Error()},
		"a broken name":       {func(b []byte) []byte { b[42+12] = 0xc0; b[42+13] = 12; return b }, discovery.ErrMalformed.Error()},
		"cut":                 {func(b []byte) []byte { return b[:len(b)-1] }, discovery.ErrMalformed.Error()},
		"another IP version":  {func(b []byte) []byte { b[14] = 0x55; return b }, discovery.ErrMalformed.Error()},
		"a short UDP length":  {func(b []byte) []byte { b[38], b[39] = 0, 7; return b }, discovery.ErrMalformed.Error()},
		"a short IP header":   {func(b []byte) []byte { b[14] = 0x44; return b }, discovery.ErrMalformed.Error()},
		"a long IP header":    {func(b []byte) []byte { b[14] = 0x4f; return b }, discovery.ErrMalformed.Error()},
		"another IP protocol": {func(b []byte) []byte { b[23] = 6; return b }, discovery.ErrMalformed.Error()},
	} {
		seen, _, err := discovery.DecodeMDNS(parsed(t, c.change(append([]byte{}, good...))), nil)
		if got := told(seen, err); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
