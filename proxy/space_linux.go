package proxy

import (
	"path/filepath"
	"syscall"
)

// spaceFor returns the free bytes of the disk of a directory that may not exist yet. If they are
// not known, the default limit holds.
func spaceFor(dir string) int64 {
	for {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(dir, &fs); err == nil {
			return int64(fs.Bavail) * int64(fs.Bsize)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return 2 * defaultLimit
		}
		dir = parent
	}
}

// sizeOf returns the bytes of the disk of a directory, 0 if they are not known.
func sizeOf(dir string) int64 {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0
	}
	return int64(fs.Blocks) * int64(fs.Bsize)
}
