package images

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// reader reads a file while it is filled.
type reader struct {
	cache *Cache
	fill  *fill
	info  fileInfo
	at    int64
	once  sync.Once
}

// Read waits for the piece at the place of reading and returns some of it.
func (r *reader) Read(b []byte) (int, error) {
	f := r.fill.file
	if r.at >= f.Size {
		return 0, io.EOF
	}
	i := int(r.at / f.Piece)
	if err := r.fill.wait(i); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.Name, Err: err}
	}
	at, size := f.Extent(i)
	n, err := r.fill.f.ReadAt(b[:min(int64(len(b)), at+size-r.at)], r.at)
	r.at += int64(n)
	if errors.Is(err, io.EOF) && n > 0 {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.fill.file.Size
	}
	if offset < 0 {
		return r.at, fs.ErrInvalid
	}
	r.at = offset
	return offset, nil
}

// Stat implements fs.File.
func (r *reader) Stat() (fs.FileInfo, error) { return r.info, nil }

// Close implements fs.File. The fill goes on: what one client asked for, others will.
func (r *reader) Close() error {
	r.once.Do(func() { r.cache.leave(r.fill) })
	return nil
}

// stored is verified content. It keeps the methods of os.File, by which the kernel sends it without
// a copy.
type stored struct {
	*os.File
	info fileInfo
}

// Stat has the time that the file has at all racks.
func (s stored) Stat() (fs.FileInfo, error) { return s.info, nil }

// fileInfo implements fs.FileInfo.
type fileInfo struct {
	file  File
	added time.Time
}

// Name returns the name inside the image.
func (i fileInfo) Name() string { return filepath.Base(i.file.Name) }

// Size returns the size of the whole file.
func (i fileInfo) Size() int64 { return i.file.Size }

// Mode is of a regular file.
func (fileInfo) Mode() fs.FileMode { return 0o444 }

// ModTime returns the time when the region stored the file.
func (i fileInfo) ModTime() time.Time { return i.added }

// IsDir returns false.
func (fileInfo) IsDir() bool { return false }

// Sys returns nil.
func (fileInfo) Sys() any { return nil }
