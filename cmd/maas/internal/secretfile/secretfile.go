// Package secretfile reads and writes files with keys, which only their owner may read.
//
//	key, err := secretfile.Read(path)  // refused if others can read it
//	err = secretfile.Write(path, key)  // whole or not at all, also at a power cut
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Write replaces a file. It is on disk when Write returns: data that is sealed with a key may reach
// the disk before the key otherwise, and a power cut in between would leave it unreadable.
func Write(path string, data []byte) error {
	if err := renameio.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path)) // renameio syncs the file, but not its name
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read reads a file, unless other users may read or change it.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := check(f); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// Check returns an error if other users may read or change a file. One that does not exist is
// right.
func Check(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return check(f)
}

// check refuses and does not mend, as ssh does: the key may have been read already, and an
// administrator has to know.
func check(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s: has mode %04o, so that other users of this host can use what it holds; run: chmod 600 %s, and take it for known if they may have read it", f.Name(), mode, f.Name())
	}
	return nil
}
