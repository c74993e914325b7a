package rpc_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/rpc"
)

// Whatever the files of a rack hold, opening them reports or works and never panics, and what opens takes updates.
func FuzzOpenFiles(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("00000000 {}\n"))
	f.Add([]byte("torn"))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := memoryDir(t)
		for _, name := range []string{"dns.state", "outbox"} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")}); err == nil {
			if err := o.Add("lease", 1); err != nil {
				t.Error(err)
			}
			o.Close()
		}
		if r, err := rpc.OpenReplica(dir); err == nil {
			if err := r.Apply(rpc.Update{Topic: "dns", Objects: []rpc.Object{{Key: "a"}}}); err != nil {
				t.Error(err)
			}
			r.Close()
		}
	})
}

// memoryDir returns a directory in memory, if the system has one: each case syncs several files, which takes 25 ms on a disk.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fuzz-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
