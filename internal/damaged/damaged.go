// Package damaged moves files aside that cannot be read.
//
//	kept, err := damaged.MoveAside("/var/lib/gomaas/outbox") // now outbox.damaged-1
//
// What can be fetched or made again must not keep a daemon from starting, and may still be wanted
// by the people who look for the reason. At most three files are kept for each name.
package damaged

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// most is the number of files that are kept: a disk that damages a file again and again must not be
// filled by the copies.
const most = 3

// MoveAside renames a file to the first free of the names with .damaged-1 to .damaged-3 added, and
// to the last of them if none is free. It returns the new name.
func MoveAside(path string) (string, error) {
	to := ""
	for n := 1; n <= most; n++ {
		to = fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return to, os.Rename(path, to)
}
