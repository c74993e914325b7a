package rack

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

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
