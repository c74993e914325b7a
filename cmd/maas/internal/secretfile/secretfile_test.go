package secretfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
)

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	for _, text := range []string{"first", "second"} {
		if err := secretfile.Write(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := secretfile.Read(path); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
	if _, err := secretfile.Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := secretfile.Check(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	if err := secretfile.Write(filepath.Join(dir, "none", "key"), nil); err == nil {
		t.Error("written into no directory")
	}
}

// A file that others may read, change or even only execute is refused with the cure.
func TestModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := secretfile.Write(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for mode := range fs.FileMode(0o1000) {
		if mode&0o400 == 0 {
			continue // not even its owner can read it
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, readErr := secretfile.Read(path)
		for _, err := range []error{readErr, secretfile.Check(path)} {
			if (err != nil) != (mode&0o077 != 0) || err != nil && !strings.Contains(err.Error(), "chmod 600 "+path) {
				t.Errorf("mode %04o: %v", mode, err)
			}
		}
	}
}
