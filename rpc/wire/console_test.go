package wire_test

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/ssh"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/rpc/rpctest"
)

// A console goes through a rack of another process: what is typed, what is printed, and its end.
func TestConsole(t *testing.T) {
	bmc, err := powersim.ServeSSH(&powersim.Chassis{}, "root", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ssh.Kind())})
	if err != nil {
		t.Fatal(err)
	}
	methods := new(rpc.Methods)
	consoles := powerrpc.OfferConsoles(methods, c)
	region := rpc.NewRegion(rpc.RegionConfig{})
	s := newSite(t, region)
	dir := t.TempDir()
	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	if err != nil {
		t.Fatal(err)
	}
	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Methods: methods, Dial: s.dialer(s.identity(t, rpctest.Rack)).Dial})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- rack.Serve(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
		consoles.Close()
		replica.Close()
		outbox.Close()
	})
	if err := region.Await(t.Context(), rpctest.Rack); err != nil {
		t.Fatal(err)
	}
	console, err := powerrpc.Console(t.Context(), region.Rack(rpctest.Rack), powerrpc.ConsoleRequest{Target: bmc.Target()})
	if err != nil {
		t.Fatal(err)
	}
	typed := strings.Repeat("0123456789", 1000) + "\r"
	if _, err := io.WriteString(console, typed); err != nil {
		t.Fatal(err)
	}
	shown := ""
	buf := make([]byte, 1000)
	for !strings.Contains(shown, typed) {
		n, err := console.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, shown)
		}
		shown += string(buf[:n])
	}
	if err := console.Close(); err != nil {
		t.Error(err)
	}
	if _, err := console.Read(buf); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}
