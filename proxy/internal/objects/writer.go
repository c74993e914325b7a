package objects

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A Writer is an object while its body comes in, in any order. Its methods may be called
// concurrently until it ends with [Writer.Commit], [Writer.KeepPartial] or [Writer.Abort]; any
// number may read with [Writer.Open] meanwhile.
type Writer struct {
	s  *Store
	id uint64
	f  *os.File

	mu    sync.Mutex // guards the fields below
	bytes int64      // written, counting what was written twice
	taken int64      // from the disk before it was written
	room  int64      // bytes that the store keeps free for the body, with those written
	next  int64      // end of what was written from the beginning on, without a leap
	size  int64      // end of what was written
	sum   uint32     // of the bytes up to next
	ended bool       // the sidecar is final
	noted Extents    // the parts that the sidecar lists
	asOf  time.Time  // when that description was received or validated
}

// ErrNoRoom says that a body would exceed the limit of the store, with all others that come in, or
// leave less free space than it must.
var ErrNoRoom = errors.New("the cache has no room")

// reserveStep is the number of bytes that a body of unknown length reserves at a time.
const reserveStep = 1 << 20

// reserve keeps n more bytes free for bodies that come in, which count as used. It evicts what is
// in their way, and nothing if that does not suffice.
func (s *Store) reserve(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved+n > s.queues.limit {
		return ErrNoRoom
	}
	if s.space != nil && s.space()-(s.reserved-s.written.Load())-n < 0 {
		return ErrNoRoom
	}
	s.reserved += n
	s.shrink()
	return nil
}

// release undoes the reservations of a body.
func (w *Writer) release() {
	w.mu.Lock()
	room, bytes := w.room, max(w.bytes, w.taken)
	w.room, w.bytes, w.taken = 0, 0, 0
	w.mu.Unlock()
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.reserved -= room
	w.s.written.Add(-bytes)
}

// Create starts an object of which at least so many bytes will be written, and takes their room
// from the disk. It fails with [ErrNoRoom] if the cache has no room for them, and with the error of
// the disk if that is full.
func (s *Store) Create(expect int64) (*Writer, error) {
	if err := s.reserve(expect); err != nil {
		return nil, err
	}
	w, err := s.create()
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reserved -= expect
		return nil, err
	}
	w.room = expect
	if expect == 0 {
		return w, nil
	}
	took, err := allocate(w.f, expect)
	if err != nil {
		w.Abort()
		return nil, err
	}
	if took { // free space is less by all of it at once
		w.taken = expect
		s.written.Add(expect)
	}
	return w, nil
}

func (s *Store) create() (*Writer, error) {
	id := s.next.Add(1) - 1
	path := s.path(id, bodySuffix)
	f, err := create(path)
	// Subdirectories are made when they are first needed: an empty cache has none.
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = create(path)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Writer{s: s, id: id, f: f}, nil
}

func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// Resume takes an incomplete object out of the store to complete it. Its parts are in the
// description.
func (s *Store) Resume(o *Object) (*Writer, *Meta, error) {
	s.mu.Lock()
	// Two requests may find it at once; one of them gets it.
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
	w := &Writer{s: s, id: o.id, f: f, noted: slices.Clone(m.Parts), asOf: m.Received}
	// What exists stays whatever the limits say; more of it must have room.
	w.room = Extents(m.Parts).Bytes()
	w.bytes = w.room
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved += w.room
	s.written.Add(w.room)
	return w, m, nil
}

// WriteAt puts bytes at their place in the body.
func (w *Writer) WriteAt(b []byte, offset int64) (int, error) {
	if err := w.makeRoom(int64(len(b))); err != nil {
		return 0, err
	}
	n, err := w.f.WriteAt(b, offset)
	w.mu.Lock()
	defer w.mu.Unlock()
	before := max(w.bytes, w.taken)
	w.bytes += int64(n)
	w.s.written.Add(max(w.bytes, w.taken) - before)
	// Most bodies arrive in order: their checksum costs no second reading.
	if offset == w.next {
		w.sum = crc32.Update(w.sum, castagnoli, b[:n])
		w.next += int64(n)
	}
	w.size = max(w.size, offset+int64(n))
	return n, err
}

// makeRoom reserves more if n bytes exceed what was reserved.
func (w *Writer) makeRoom(n int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes+n <= w.room {
		return nil
	}
	step := max(w.bytes+n-w.room, reserveStep)
	err := w.s.reserve(step)
	if err != nil && step > w.bytes+n-w.room {
		step = w.bytes + n - w.room
		err = w.s.reserve(step)
	}
	if err == nil {
		w.room += step
	}
	return err
}

// Open opens the body as far as it has arrived. Callers open it before the writer ends, because
// Abort removes the file.
func (w *Writer) Open() (*os.File, error) { return os.Open(w.f.Name()) }

// trim gives back what was taken from the disk and not written.
func (w *Writer) trim() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken <= w.size {
		return nil
	}
	return w.f.Truncate(w.size)
}

// ErrNotKept says that a body is whole, and readers that have it open can read it, but it could not
// be made an object.
var ErrNotKept = errors.New("the body was not kept")

// Commit makes the object visible with a whole body of size bytes, in place of the object that it
// replaces, unless outdated returns true at that moment. An object that was removed after outdated
// returned true stays removed. An error that wraps [ErrNotKept] leaves the body to its readers.
func (w *Writer) Commit(m *Meta, size int64, outdated func() bool) error {
	sum, err := w.checksum(size)
	// Closed before the sidecar is written: an error of a full disk may come only now.
	err = errors.Join(err, w.trim(), w.f.Close())
	whole := *m
	whole.Size, whole.Sum, whole.Boot, whole.Parts = size, sum, w.s.boot, nil
	w.end()
	if err == nil {
		if err = w.s.writeSidecar(w.id, &whole); err != nil {
			err = fmt.Errorf("%w: %w", ErrNotKept, err)
		}
	}
	if err != nil {
		w.remove()
		return err
	}
	w.release()
	o := newObject(w.id, &whole)
	// This process wrote it, so that its pages are what it wrote.
	o.trusted.Store(true)
	w.s.add(o, outdated)
	return nil
}

// end keeps later notes from what is written now.
func (w *Writer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}

// checksum returns the sum of the whole body. A body that did not arrive from beginning to end is
// read again.
func (w *Writer) checksum(size int64) (uint32, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == size {
		return w.sum, nil
	}
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, io.NewSectionReader(w.f, 0, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return sum.Sum32(), err
}

// SaveParts writes down the present parts of a body of m.Size bytes, so that they outlive a kill.
func (w *Writer) SaveParts(m *Meta, parts Extents) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	// An unchanged list need not be written again.
	if w.ended || slices.Equal(parts, w.noted) && w.asOf.Equal(m.Received) {
		return nil
	}
	part := *m
	part.Parts, part.Sum, part.Boot = slices.Clone(parts), 0, w.s.boot
	if err := w.s.writeSidecar(w.id, &part); err != nil {
		return err
	}
	w.noted, w.asOf = part.Parts, m.Received
	return nil
}

// KeepPartial keeps the present parts for [Store.Resume], unless outdated returns true.
func (w *Writer) KeepPartial(m *Meta, parts Extents, outdated func() bool) error {
	err := errors.Join(w.SaveParts(m, parts), w.trim(), w.f.Close())
	w.end()
	// Without a description no later request could use the parts.
	if err != nil || len(parts) == 0 {
		w.remove()
		return err
	}
	w.release()
	part := *m
	part.Parts = slices.Clone(parts)
	w.s.add(newObject(w.id, &part), outdated)
	return nil
}

// Abort removes what was written.
func (w *Writer) Abort() {
	w.end()
	w.f.Close()
	w.remove()
}

// remove unlinks the files, the sidecar first.
func (w *Writer) remove() {
	w.release()
	_ = os.Remove(w.s.path(w.id, sidecarSuffix))
	_ = os.Remove(w.f.Name())
}
