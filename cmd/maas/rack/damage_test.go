package rack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// A damaged octet in any file that a rack has as a copy, or can make again, does not keep it from starting: the file is kept beside, and
// the rack's health names it.
func TestDamagedCopiesKeepNoRackFromStarting(t *testing.T) {
	dir := t.TempDir()
	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	state := rpc.NewState()
	for _, topic := range []string{dhcprpc.Topic, dnsrpc.Topic, pxerpc.Topic, proxyrpc.Topic} {
		for i := range 3 {
			state.Set(topic, map[string][]byte{fmt.Sprint("later/", i): []byte(`{"of":"another version"}`)})
			u, err := state.Next(t.Context(), topic, replica.Position(topic))
			if err != nil {
				t.Fatal(err)
			}
			if err := replica.Apply(u); err != nil {
				t.Fatal(err)
			}
		}
	}
	replica.Close()
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	if err != nil {
		t.Fatal(err)
	}
	if err := outbox.Add(pxerpc.FactKind, 1, 2, 3); err != nil {
		t.Fatal(err)
	}
	outbox.Close()
	if _, err := dnssrv.OpenSerials(filepath.Join(dir, "serials")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "state", "*.state"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range append(files, filepath.Join(dir, "outbox"), filepath.Join(dir, "serials")) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; at < len(whole)-1; at += 1 + len(whole)/40 {
				spoiled := bytes.Clone(whole)
				spoiled[at] ^= 0x40
				if err := os.WriteFile(file, spoiled, 0o600); err != nil {
					t.Fatal(err)
				}
				r, err := rack.New(rack.Config{Dir: dir, Dial: func(context.Context) (rpc.Conn, error) { return nil, errors.New("no region") }})
				if err != nil {
					t.Fatalf("octet %d: %v", at, err)
				}
				if got := r.Report().Troubles[filepath.Base(file)]; !strings.Contains(got, file+".damaged-") {
					t.Errorf("octet %d: health has %q", at, got)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := os.WriteFile(file, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}
