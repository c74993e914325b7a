package objects

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A Fill is an object while its body comes in, in any order. Its methods may be called concurrently until it ends with
// [Fill.Commit], [Fill.Park] or [Fill.Abort]; any number may read with [Fill.Open] meanwhile.
type Fill struct {
	s  *Store
	id uint64
	f  *os.File

	mu    sync.Mutex // guards following
	next  int64      // end of what was written from the beginning on, without a leap
	size  int64      // end of what was written
	sum   uint32     // of the bytes up to next
	ended bool       // the sidecar is final
	noted Extents    // what the sidecar says is there
	asOf  time.Time  // when that description was received or validated
}

// Create starts an object.
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
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// Resume takes an incomplete object out of the store to go on with it. Its parts are those of the description.
func (s *Store) Resume(o *Object) (*Fill, *Meta, error) {
	s.mu.Lock()
	mine := s.partial[o.URL] == o
	if mine {
		delete(s.partial, o.URL)
		s.queues.remove(o)
	}
	s.mu.Unlock()
	if !mine {
		return nil, nil, fs.ErrNotExist
	}
	m, err := readSidecar(s.path(o.id, sidecarSuffix))
	if err != nil {
		s.unlink(o)
		return nil, nil, err
	}
	f, err := os.OpenFile(s.path(o.id, bodySuffix), os.O_RDWR, 0)
	if err != nil {
		s.unlink(o)
		return nil, nil, err
	}
	return &Fill{s: s, id: o.id, f: f, noted: slices.Clone(m.Parts), asOf: m.Received}, m, nil
}

// WriteAt puts bytes at their place in the body.
func (f *Fill) WriteAt(b []byte, offset int64) (int, error) {
	n, err := f.f.WriteAt(b, offset)
	f.mu.Lock()
	defer f.mu.Unlock()
	if offset == f.next {
		f.sum = crc32.Update(f.sum, castagnoli, b[:n])
		f.next += int64(n)
	}
	f.size = max(f.size, offset+int64(n))
	return n, err
}

// Open opens the body as far as it is there. Callers open it before the fill ends, or it may be gone.
func (f *Fill) Open() (*os.File, error) { return os.Open(f.f.Name()) }

// Commit makes the object visible with a body of size bytes, all of which are there, in the place of what it replaces, unless
// outdated says at that moment that it must not be. Whatever was removed after outdated said so stays removed.
func (f *Fill) Commit(m *Meta, size int64, outdated func() bool) error {
	sum, err := f.checksum(size)
	err = errors.Join(err, f.f.Close())
	whole := *m
	whole.Size, whole.Sum, whole.Boot, whole.Parts = size, sum, f.s.boot, nil
	f.end()
	if err == nil {
		err = f.s.writeSidecar(f.id, &whole)
	}
	if err != nil {
		f.remove()
		return err
	}
	o := newObject(f.id, &whole)
	o.trusted.Store(true)
	f.s.add(o, outdated)
	return nil
}

// end keeps later notes from what is written now.
func (f *Fill) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
}

// checksum is that of the whole body, which is read again when it did not come from its beginning to its end.
func (f *Fill) checksum(size int64) (uint32, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == size {
		return f.sum, nil
	}
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, io.NewSectionReader(f.f, 0, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return sum.Sum32(), err
}

// Note writes down which parts of the body, of m.Size bytes in all, are there, so that they outlive a kill.
func (f *Fill) Note(m *Meta, parts Extents) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || slices.Equal(parts, f.noted) && f.asOf.Equal(m.Received) {
		return nil
	}
	part := *m
	part.Parts, part.Sum, part.Boot = slices.Clone(parts), 0, f.s.boot
	if err := f.s.writeSidecar(f.id, &part); err != nil {
		return err
	}
	f.noted, f.asOf = part.Parts, m.Received
	return nil
}

// Park keeps the parts that are there, to be taken up by [Store.Resume], unless outdated says that they must not be.
func (f *Fill) Park(m *Meta, parts Extents, outdated func() bool) error {
	err := errors.Join(f.Note(m, parts), f.f.Close())
	f.end()
	if err != nil || len(parts) == 0 {
		f.remove()
		return err
	}
	part := *m
	part.Parts = slices.Clone(parts)
	f.s.add(newObject(f.id, &part), outdated)
	return nil
}

// Abort removes what was written.
func (f *Fill) Abort() {
	f.end()
	f.f.Close()
	f.remove()
}

// remove unlinks the files, the sidecar first.
func (f *Fill) remove() {
	_ = os.Remove(f.s.path(f.id, sidecarSuffix))
	_ = os.Remove(f.f.Name())
}
