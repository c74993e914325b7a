package proxy

import (
	"path/filepath"
	"syscall"
)

// spaceFor is how many bytes the disk has for a directory that may not be there yet. Unknown is enough for the default
// limit.
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
