package objects

import (
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// A Fill is an object while its body comes in. One goroutine writes; any number may read with [Fill.Open] meanwhile.
type Fill struct {
	s    *Store
	id   uint64
	f    *os.File
	size int64
	sum  uint32
}

// Create starts an object. It ends with [Fill.Commit] or [Fill.Abort].
func (s *Store) Create() (*Fill, error) {
	id := s.next.Add(1) - 1
	path := s.path(id, bodySuffix)
	f, err := create(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = create(path)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Fill{s: s, id: id, f: f}, nil
}

func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// Write appends to the body.
func (f *Fill) Write(b []byte) (int, error) {
	n, err := f.f.Write(b)
	f.sum = crc32.Update(f.sum, castagnoli, b[:n])
	f.size += int64(n)
	return n, err
}

// Open opens the body as far as it is there. Callers open it before the fill ends, or it may be gone.
func (f *Fill) Open() (*os.File, error) { return os.Open(f.f.Name()) }

// Commit makes the object visible, in the place of what it replaces, unless outdated says at that moment that it must not be.
// Whatever was removed after outdated said so stays removed. It completes m.
func (f *Fill) Commit(m *Meta, outdated func() bool) error {
	m.Size, m.Sum, m.Boot = f.size, f.sum, f.s.boot
	if err := f.f.Close(); err != nil {
		return errors.Join(err, os.Remove(f.f.Name()))
	}
	if err := f.s.writeSidecar(f.id, m); err != nil {
		return errors.Join(err, os.Remove(f.f.Name()))
	}
	o := newObject(f.id, m)
	o.trusted.Store(true)
	f.s.add(o, outdated)
	return nil
}

// Abort removes what was written.
func (f *Fill) Abort() {
	f.f.Close()
	_ = os.Remove(f.f.Name())
}

// Size is how much was written.
func (f *Fill) Size() int64 { return f.size }
