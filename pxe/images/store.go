package images

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Store keeps content by its SHA-256 in a directory. A name appears there only after the content is
// verified and on disk, so that a crash at any moment leaves whole files and remains that are
// filled later. One process uses a directory at a time; the methods may be called concurrently.
type Store struct {
	dir string

	mu    sync.Mutex // guards locks
	locks map[string]*sync.Mutex
}

// OpenStore opens a store, and makes its directory if it does not exist.
func OpenStore(dir string) (*Store, error) {
	s := &Store{dir: dir, locks: make(map[string]*sync.Mutex)}
	// Both are on one file system, or the rename of commit would fail.
	for _, sub := range []string{blobDir, partialDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("images: store: %w", err)
		}
	}
	return s, nil
}

const (
	blobDir    = "sha256"
	partialDir = "partial" // of downloads and fills that go on after a restart
)

func (s *Store) blob(h Hash) string { return filepath.Join(s.dir, blobDir, h.String()) }

func (s *Store) partial(name string) string { return filepath.Join(s.dir, partialDir, name) }

// lock keeps a second fill of the same remains away until unlock.
func (s *Store) lock(name string) (unlock func()) {
	s.mu.Lock()
	l := s.locks[name]
	if l == nil {
		l = new(sync.Mutex)
		s.locks[name] = l
	}
	s.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// Open opens content for reading. Absent content is fs.ErrNotExist.
func (s *Store) Open(h Hash) (*os.File, error) { return os.Open(s.blob(h)) }

// Has reports whether all content of an image is stored.
func (s *Store) Has(m Image) bool {
	for _, f := range m.Files {
		info, err := os.Stat(s.blob(f.SHA256))
		if err != nil || info.Size() != f.Size {
			return false
		}
	}
	return true
}

// Piece reads one piece of a file and verifies it, since a disk may change what it holds.
func (s *Store) Piece(f File, i int) ([]byte, error) {
	if i < 0 || i >= len(f.Pieces) {
		return nil, fmt.Errorf("images: %s has no piece %d: %w", f.SHA256, i, fs.ErrNotExist)
	}
	r, err := s.Open(f.SHA256)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readPiece(r, f, i)
}

// readPiece reads a piece of a file and verifies it.
func readPiece(r io.ReaderAt, f File, i int) ([]byte, error) {
	offset, size := f.Extent(i)
	data := make([]byte, size)
	// A file that is cut off leaves zeros, which the hash refuses.
	if _, err := r.ReadAt(data, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !f.Verify(i, data) {
		return nil, fmt.Errorf("images: piece %d of %s: %w", i, f.SHA256, errCorrupt)
	}
	return data, nil
}

// Write stores what r has and returns its description under a name.
func (s *Store) Write(ctx context.Context, name string, r io.Reader) (File, error) {
	tmp, err := os.CreateTemp(filepath.Join(s.dir, partialDir), "new-*")
	if err != nil {
		return File{}, err
	}
	defer os.Remove(tmp.Name()) // gone if it was stored
	defer tmp.Close()
	p := newPieces(PieceSize)
	if _, err := io.Copy(io.MultiWriter(tmp, p), contextReader{ctx, r}); err != nil {
		return File{}, fmt.Errorf("images: store %s: %w", name, err)
	}
	f := p.file(name)
	if err := f.check(); err != nil {
		return File{}, fmt.Errorf("images: %w", err)
	}
	return f, s.commit(tmp, f.SHA256)
}

// commit gives verified content its name: content first, then the name, then the directory.
func (s *Store) commit(tmp *os.File, h Hash) error {
	// Temporary files are their owner's alone; boot files are public, and backups read them.
	if err := tmp.Chmod(0o644); err != nil {
		return err
	}
	// The other way round, a power cut could leave the name with zeros behind it.
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), s.blob(h)); err != nil {
		return err
	}
	return syncDir(filepath.Join(s.dir, blobDir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// abandoned is the age from which GC removes the remains of a download.
const abandoned = 7 * 24 * time.Hour

// GC removes content that none of the images has and that is older than an age, and remains that
// nothing has added to for a week. Content younger than the age may belong to an image that is
// being added. It returns the bytes that were freed.
func (s *Store) GC(keep []Image, age time.Duration) (freed int64, err error) {
	kept := make(map[string]bool)
	for _, m := range keep {
		for _, f := range m.Files {
			kept[f.SHA256.String()] = true
		}
	}
	remove := func(dir string, age time.Duration) error {
		entries, err := os.ReadDir(filepath.Join(s.dir, dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || dir == blobDir && kept[e.Name()] || time.Since(info.ModTime()) < age {
				continue
			}
			if err := os.Remove(filepath.Join(s.dir, dir, e.Name())); err != nil {
				return err
			}
			freed += info.Size()
		}
		return nil
	}
	return freed, errors.Join(remove(blobDir, age), remove(partialDir, abandoned))
}

// FS serves the files of an index that the store has.
func (s *Store) FS(x *Index) fs.FS { return storeFS{s, x} }

type storeFS struct {
	store *Store
	index *Index
}

// Open opens a file by name.
func (s storeFS) Open(name string) (fs.File, error) {
	f, ok := s.index.File(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return s.store.Open(f.SHA256)
}

// pieces hashes what is written to it, as a whole and by pieces.
type pieces struct {
	size   int64 // of a piece
	total  int64
	whole  hash.Hash
	piece  hash.Hash
	filled int64 // of the piece
	done   []Hash
}

func newPieces(size int64) *pieces {
	return &pieces{size: size, whole: sha256.New(), piece: sha256.New()}
}

// Write implements io.Writer. It never fails.
func (p *pieces) Write(b []byte) (int, error) {
	n := len(b)
	p.whole.Write(b)
	p.total += int64(n)
	for len(b) > 0 {
		part := b[:min(int64(len(b)), p.size-p.filled)]
		p.piece.Write(part)
		p.filled += int64(len(part))
		if b = b[len(part):]; p.filled == p.size {
			p.end()
		}
	}
	return n, nil
}

func (p *pieces) end() {
	p.done = append(p.done, Hash(p.piece.Sum(nil)))
	p.piece.Reset()
	p.filled = 0
}

// file returns the description of what was written.
func (p *pieces) file(name string) File {
	if p.filled > 0 {
		p.end()
	}
	return File{Name: name, Size: p.total, SHA256: Hash(p.whole.Sum(nil)), Piece: p.size, Pieces: p.done}
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
