package bootlog_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"

	"github.com/gomaas/maas/pxe/bootlog"
)

// Debian's logger in both formats, busybox' syslogd and plain lines of a shell are understood. Busybox' syslogd
// is the one of Debian's installer; it has a /dev of its own here.
func TestRealSenders(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("logger", "bsdutils"), netlab.Program("busybox", "busybox-static"), netlab.Program("unshare", "util-linux"))
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 64)
	s, err := bootlog.New(bootlog.Config{
		Identify: func(a netip.Addr) (net.HardwareAddr, bool) { return hw(1), a.IsLoopback() },
		Batches: func(b bootlog.Batch) {
			for _, line := range b.Lines {
				lines <- line
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Follow(hw(1), time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = s.Serve(ctx, conn) })
	done.Go(func() { _ = s.Run(ctx) })
	defer done.Wait()
	defer cancel()
	port := conn.LocalAddr().(*net.UDPAddr).Port
	for _, tt := range []struct{ name, script, want string }{
		{"logger, RFC 3164", "logger -n 127.0.0.1 -P PORT -d --rfc3164 -t tag 'one two'", "tag: one two"},
		{"logger, RFC 5424", "logger -n 127.0.0.1 -P PORT -d --rfc5424 -t tag --sd-id a@1 --sd-param 'b=\"c\"' 'three four'", "tag: three four"},
		{"logger, RFC 5424 with its process", "logger -i -n 127.0.0.1 -P PORT -d --rfc5424 -t tag five", "]: five"},
		{"plain text, as netconsole sends it", `bash -c 'printf "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n" >/dev/udp/127.0.0.1/PORT'`, "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs"},
		// The socket in its /dev says when the daemon takes lines. A shell reads /dev/null for what it runs
		// beside itself.
		{"busybox syslogd", "timeout 60 unshare -m sh -c 'mount -t tmpfs none /dev && touch /dev/null && { busybox syslogd -n -R 127.0.0.1:PORT -O /dev/messages & p=$!; while ! test -S /dev/log; do sleep 0.1; done; busybox logger -t tag six; while ! test -e DONE; do sleep 0.1; done; kill $p; }'", "tag: six"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			end := filepath.Join(t.TempDir(), "end")
			cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.NewReplacer("PORT", fmt.Sprint(port), "DONE", end).Replace(tt.script))
			cmd.WaitDelay = time.Second
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := os.WriteFile(end, nil, 0o600); err != nil {
					t.Error(err)
				}
				if err := cmd.Wait(); err != nil && !strings.Contains(tt.script, "kill") {
					t.Error(err)
				}
			}()
			for {
				select {
				case line := <-lines:
					if strings.HasPrefix(line, "syslogd") || strings.Contains(line, "syslogd started") {
						continue
					}
					if line != tt.want && !strings.HasSuffix(line, tt.want) {
						t.Errorf("got %q, want %q", line, tt.want)
					}
					return
				case <-time.After(30 * time.Second):
					t.Fatal("nothing arrived")
				}
			}
		})
	}
}
