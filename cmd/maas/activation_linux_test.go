package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// A service manager that holds the sockets starts the region when the first client comes, who is served and not refused.
func TestSocketsOfTheServiceManager(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("systemd-socket-activate", "systemd"), netlab.Program("curl", "curl"))
	ns := netlab.New(t).NS("site")
	ns.Addr("lo", "192.0.2.1/32")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	manager := ns.Command(ctx, "systemd-socket-activate", "-l", "5240", "-l", "192.0.2.1:5250", build(t),
		"region", "run", "--data", t.TempDir(), "--racks", "192.0.2.1:5250", "--log-format", "text")
	var log strings.Builder
	manager.Stdout, manager.Stderr = &log, &log
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		manager.Process.Kill()
		manager.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	eventually(t, "the API answers", func() bool {
		out, err := ns.Command(ctx, "curl", "--silent", "--show-error", "http://192.0.2.1:5240/MAAS/api/2.0/version/").CombinedOutput()
		return err == nil && strings.Contains(string(out), "version")
	})
	// A handshake without a certificate ends, but it begins: racks are heard on the other socket.
	out, _ := ns.Command(ctx, "curl", "--silent", "--insecure", "--verbose", "https://192.0.2.1:5250/").CombinedOutput()
	if !strings.Contains(string(out), "Connected to 192.0.2.1") || !strings.Contains(string(out), "Server hello") {
		t.Errorf("a rack meets:\n%s", out)
	}
}
