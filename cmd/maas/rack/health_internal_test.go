package rack

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
)

// A rack that finds the port of DHCPv6 taken reports that for as long as it is.
func TestAPortThatIsTakenIsReported(t *testing.T) {
	if taken, err := net.ListenPacket("udp6", "[::1]:"+port6); err == nil { // else it cannot be had anyway
		defer taken.Close()
	}
	r, err := New(Config{
		Dir: t.TempDir(), Interfaces: []string{"lo"},
		Dial: func(context.Context) (rpc.Conn, error) { return nil, errors.New("no region") },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	report := func() (status, info string) {
		for _, s := range r.Report().Services {
			if s.Name == "dhcp6" {
				return s.Status, s.Info
			}
		}
		return "", ""
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.serve6Later(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if status, _ := report(); status != "off" {
		t.Errorf("without an address it is %s", status)
	}
	r.first6()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if status, _ := report(); status != "off" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it tells nothing")
		}
	}
	for range 100 { // so that it is tried again
		if status, info := report(); status != "dead" || info == "" {
			t.Fatalf("it is %q: %s", status, info)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A resolver that rests is reported until it has answered again, also while it is tried in between.
func TestSilentUpstreams(t *testing.T) {
	var h health
	at := time.Date(2026, 3, 1, 10, 4, 0, 0, time.UTC)
	look := func(asked, failed uint64, resting bool) map[string]string {
		at = at.Add(time.Minute)
		return h.troubles([]dnssrv.UpstreamStats{{Server: netip.MustParseAddrPort("192.0.2.53:53"), Asked: asked, Failed: failed, Resting: resting}}, at)
	}
	for i, step := range []struct {
		asked, failed uint64
		resting       bool
		want          string
	}{
		{10, 1, false, ""},
		{13, 4, true, "does not answer since 10:06:00"},
		{13, 4, false, "does not answer since 10:06:00"}, // it will be tried
		{14, 5, true, "does not answer since 10:06:00"},
		{16, 5, false, ""},
		{17, 6, true, "does not answer since 10:10:00"},
	} {
		if got := look(step.asked, step.failed, step.resting)["upstream 192.0.2.53"]; got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	if got := h.troubles(nil, at); got != nil || len(h.silent) > 0 {
		t.Errorf("without upstreams: %v", got)
	}
}
