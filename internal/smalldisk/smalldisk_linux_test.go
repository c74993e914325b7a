package smalldisk_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gomaas/maas/internal/smalldisk"
)

func TestDisk(t *testing.T) {
	smalldisk.Run(t, 1<<20, func(disk smalldisk.Disk) {
		path := filepath.Join(disk.Dir, "file")
		write := func() error { return os.WriteFile(path, make([]byte, 100_000), 0o600) }
		for range 2 {
			if err := write(); err != nil {
				t.Fatal(err)
			}
			disk.Fill()
			if err := os.WriteFile(path+"2", []byte{1}, 0o600); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("on a full disk: %v", err)
			}
			disk.Empty()
			disk.ReadOnly(func() {
				if err := write(); !errors.Is(err, syscall.EROFS) {
					t.Errorf("on a read-only disk: %v", err)
				}
				if b, err := os.ReadFile(path); len(b) != 100_000 {
					t.Errorf("%d octets, %v", len(b), err)
				}
			})
		}
	})
}
