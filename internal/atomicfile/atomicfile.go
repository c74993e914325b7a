// Package atomicfile replaces a file on disk whole or not at all.
//
//	f, err := atomicfile.Replace(path, data) // path holds all of data, after a crash too
//	err = f.Close()
//
// renameio does the same, but closes the file that linelog goes on to append to, and does not build
// for Windows.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes data to path, with mode 0600, and returns the new file, open behind its last byte.
// With an error the file is nil and the old one unchanged. Only when the directory cannot be synced
// are both returned: the new file is in place then, but may be gone after a crash.
func Replace(path string, data []byte) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	_, err = f.Write(data)
	if err == nil {
		// Before the rename: without it a crash can leave the new name with an empty file (ext4,
		// XFS).
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	// The rename is in the directory, which has pages of its own to write.
	return f, syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
