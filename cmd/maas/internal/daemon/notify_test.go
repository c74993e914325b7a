package daemon_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/daemon"
)

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	ctx, stop := context.WithCancel(t.Context())
	daemon.Notify(ctx)()
	stop()
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		text := make([]byte, 64)
		if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := manager.Read(text)
		if err != nil || string(text[:n]) != want {
			t.Errorf("the manager heard %q, %v, want %q", text[:n], err, want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	daemon.Notify(t.Context())() // is not minded
}
