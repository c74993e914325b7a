package objects

import (
	"errors"
	"os"
	"syscall"
)

// keepSize is FALLOC_FL_KEEP_SIZE of linux/falloc.h: the file's size grows with what is written.
const keepSize = 1

// allocate takes the room of a body from the disk, so that a disk that runs full fails before the
// body arrives, when a response can still pass through. It reports whether the room is taken: some
// file systems cannot do that, and then only a write shows whether there is room.
func allocate(f *os.File, n int64) (bool, error) {
	err := syscall.Fallocate(int(f.Fd()), keepSize, 0, n)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return false, &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
	return err == nil, nil
}
