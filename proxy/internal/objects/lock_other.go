//go:build !unix

package objects

import (
	"os"
	"path/filepath"
)

func lockDir(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
}
