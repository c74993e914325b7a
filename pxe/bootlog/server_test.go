package bootlog_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe/bootlog"
)

// macOf gives 192.0.2.N the machine N; other addresses have none.
func macOf(a netip.Addr) (net.HardwareAddr, bool) {
	if !netip.MustParsePrefix("192.0.2.0/24").Contains(a) {
		return nil, false
	}
	return hw(a.As4()[3]), true
}

func hw(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }

func addr(n byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, n}) }

// server returns a server that runs until the end of the test, and what it handed out.
func server(t *testing.T, machines int) (*bootlog.Server, func() map[string][]string) {
	t.Helper()
	var mu sync.Mutex
	got := map[string][]string{}
	s, err := bootlog.New(bootlog.Config{Identify: macOf, Machines: machines, Batches: func(b bootlog.Batch) {
		mu.Lock()
		defer mu.Unlock()
		got[b.MAC.String()] = append(got[b.MAC.String()], b.Lines...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, func() map[string][]string {
		mu.Lock()
		defer mu.Unlock()
		out := got
		got = map[string][]string{}
		return out
	}
}

// Machines are heard while they boot, by their addresses alone.
func TestBootingMachinesAreHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got := server(t, 0)
		s.Follow(hw(1), time.Now().Add(time.Minute))
		s.Follow(nil, time.Now().Add(time.Minute))
		for _, tt := range []struct {
			from  netip.Addr
			heard bool
		}{
			{addr(1), true}, {netip.AddrFrom16(addr(1).As16()), true}, {addr(2), false}, {netip.MustParseAddr("198.51.100.1"), false}, {netip.Addr{}, false},
		} {
			if s.Handle([]byte("<13>tag: text"), tt.from) != tt.heard {
				t.Errorf("heard %v: %v", tt.from, !tt.heard)
			}
		}
		time.Sleep(3 * time.Second)
		if diff := cmp.Diff(map[string][]string{hw(1).String(): {"tag: text", "tag: text"}}, got()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		s.Follow(hw(1), time.Now().Add(10*time.Second))
		time.Sleep(11 * time.Second)
		if s.Handle([]byte("late"), addr(1)) {
			t.Error("heard after its boot")
		}
		if n := s.Stats(); n != (bootlog.Stats{Taken: 2, Dropped: 4}) {
			t.Errorf("%+v", n)
		}
	})
}

// Netconsole sends a line in pieces. A packet of syslog between them is a line of its own.
func TestPiecesOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got := server(t, 0)
		s.Follow(hw(1), time.Now().Add(time.Hour))
		for _, p := range []string{"[ 1.0] Waiting for ", "root", "<13>tag: between", " ... done\nsecond\nthi", "rd\nno end"} {
			s.Handle([]byte(p), addr(1))
		}
		time.Sleep(3 * time.Second)
		want := []string{"tag: between", "[ 1.0] Waiting for root ... done", "second", "third", "no end"}
		if diff := cmp.Diff(want, got()[hw(1).String()]); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A flood of one machine costs neither memory nor the others: its last lines remain, and the one
// that says why its boot failed.
func TestFloodsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got := server(t, 2)
		s.Follow(hw(1), time.Now().Add(time.Hour))
		s.Follow(hw(2), time.Now().Add(2*time.Hour))
		taken := 0
		s.Handle([]byte("<13>Initramfs unpacking failed: write error"), addr(1))
		for n := range 100_000 {
			if s.Handle(fmt.Appendf(nil, "<13>line %d %s", n, strings.Repeat("x", 3000)), addr(1)) {
				taken++
			}
		}
		if taken != 2999 {
			t.Errorf("%d packets of a flood taken", taken)
		}
		if !s.Handle([]byte("<13>quiet"), addr(2)) {
			t.Error("another machine is not heard")
		}
		time.Sleep(3 * time.Second)
		lines := got()[hw(1).String()]
		if n := sizeOf(lines); n > 4096 || lines[0] != "Initramfs unpacking failed: write error" || !strings.HasPrefix(lines[len(lines)-1], "line 2998 ") {
			t.Errorf("%d bytes, %.60q ... %.60q", n, lines[0], lines[len(lines)-1])
		}
		s.Follow(hw(3), time.Now().Add(3*time.Hour)) // a third one takes the place of the first
		if s.Handle([]byte("x"), addr(1)) || !s.Handle([]byte("x"), addr(2)) || !s.Handle([]byte("x"), addr(3)) {
			t.Error("the machine that is heard for the shortest time did not give way")
		}
	})
}

// Serve ends with its context, and the last lines are handed out.
func TestServe(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan bootlog.Batch, 1)
	s, err := bootlog.New(bootlog.Config{
		Identify: func(a netip.Addr) (net.HardwareAddr, bool) { return hw(1), a.IsLoopback() },
		Batches:  func(b bootlog.Batch) { heard <- b },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Follow(hw(1), time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Serve(ctx, conn); err != nil {
			t.Error(err)
		}
	})
	client, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("<13>tag: text")); err != nil {
		t.Fatal(err)
	}
	done.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	if b := <-heard; b.MAC.String() != hw(1).String() || b.Addr != netip.MustParseAddr("127.0.0.1") || b.Time.IsZero() || len(b.Lines) != 1 || b.Lines[0] != "tag: text" {
		t.Errorf("%+v", b)
	}
	cancel()
	done.Wait()
	if err := s.Serve(t.Context(), conn); err == nil {
		t.Error("a closed socket is served")
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []bootlog.Config{{}, {Identify: macOf}, {Batches: func(bootlog.Batch) {}}, {Identify: macOf, Batches: func(bootlog.Batch) {}, Machines: -1}} {
		if _, err := bootlog.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func BenchmarkHandle(b *testing.B) {
	for name, packet := range map[string]string{
		"rfc3164":    "<30>Dec  1 01:44:00 node1 systemd[1]: Started Network Time Service.",
		"rfc5424":    `<30>1 2026-01-02T03:04:05.003Z node1 systemd 1 - - Started Network Time Service.`,
		"netconsole": "[    2.123456] e1000e 0000:00:19.0 eth0: NIC Link is Up 1000 Mbps Full Duplex\n",
		"stranger":   "<13>tag: text",
	} {
		b.Run(name, func(b *testing.B) {
			s, err := bootlog.New(bootlog.Config{Identify: macOf, Batches: func(bootlog.Batch) {}})
			if err != nil {
				b.Fatal(err)
			}
			for n := range 250 {
				s.Follow(hw(byte(n)), time.Now().Add(time.Hour))
			}
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				from := addr(byte(n % 250))
				if n++; name == "stranger" {
					from = netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})
				}
				s.Handle([]byte(packet), from)
			}
		})
	}
}
