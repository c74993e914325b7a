package images

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// testPiece makes files of many pieces small.
const testPiece = 16 << 10

func makeFile(name string, size int) (File, []byte) {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte([]byte(name + "-----------------------------------")[:32])).Read(data)
	p := newPieces(testPiece)
	p.Write(data)
	return p.file(name), data
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func index(t testing.TB, all ...Image) *Index {
	t.Helper()
	x, err := NewIndex(all)
	ok(t, err)
	return x
}

// region supplies files and counts.
type region struct {
	files  map[Hash][]byte
	pieces atomic.Int64
	bytes  atomic.Int64
	before func(f File, piece int, data []byte) ([]byte, error) // if not nil
}

func newRegion(contents ...[]byte) *region {
	r := &region{files: make(map[Hash][]byte)}
	for _, data := range contents {
		p := newPieces(testPiece)
		p.Write(data)
		r.files[p.file("").SHA256] = data
	}
	return r
}

func (r *region) supply(_ context.Context, f File, i int) ([]byte, error) {
	data, there := r.files[f.SHA256]
	if !there {
		return nil, fs.ErrNotExist
	}
	at, size := f.Extent(i)
	r.pieces.Add(1)
	r.bytes.Add(size)
	out := bytes.Clone(data[at : at+size])
	if r.before != nil {
		return r.before(f, i, out)
	}
	return out, nil
}

func newCache(t testing.TB, cfg CacheConfig, from ...Supplier) *Cache {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Suppliers = func() []Supplier { return from }
	c, err := OpenCache(cfg)
	ok(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func readAll(t testing.TB, c *Cache, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(c, name)
	ok(t, err)
	return data
}

// settle waits until nothing is filled.
func (c *Cache) settle() {
	for {
		c.mu.Lock()
		var wait chan struct{}
		for _, fl := range c.fills {
			wait = fl.ended
		}
		c.mu.Unlock()
		if wait == nil {
			return
		}
		<-wait
	}
}

func TestCacheServesWhileItFills(t *testing.T) {
	f, data := makeFile("kernel", 5*testPiece+7)
	r := newRegion(data)
	release := make(chan struct{})
	r.before = func(_ File, i int, data []byte) ([]byte, error) {
		if i > 0 {
			<-release
		}
		return data, nil
	}
	c := newCache(t, CacheConfig{}, r.supply)
	added := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ok(t, c.Use(index(t, Image{Name: "debian/12", Added: added, Files: []File{f}}), nil))
	o, err := c.Open("debian/12/kernel")
	ok(t, err)
	defer o.Close()
	first := make([]byte, testPiece)
	_, err = io.ReadFull(o, first)
	ok(t, err)
	if !bytes.Equal(first, data[:testPiece]) || c.Usage().Files != 0 {
		t.Error("the first piece was not served before the others")
	}
	close(release)
	rest, err := io.ReadAll(o)
	ok(t, err)
	if !bytes.Equal(append(first, rest...), data) {
		t.Error("content differs")
	}
	c.settle()
	again, err := c.Open("debian/12/kernel")
	ok(t, err)
	defer again.Close()
	if _, direct := again.(syscall.Conn); !direct { // by which net sends it without a copy
		t.Errorf("%T has no file descriptor", again)
	}
	if _, plain := again.(stored); !plain {
		t.Errorf("a whole file is opened as %T", again)
	}
	info, err := again.Stat()
	ok(t, err)
	if !info.ModTime().Equal(added) || info.Size() != f.Size {
		t.Errorf("described as %v of %d bytes", info.ModTime(), info.Size())
	}
	if n := r.pieces.Load(); n != 6 {
		t.Errorf("%d pieces fetched, want 6", n)
	}
}

func TestOneFetchForManyClients(t *testing.T) {
	f, data := makeFile("kernel", 40*testPiece)
	r := newRegion(data)
	c := newCache(t, CacheConfig{}, r.supply)
	ok(t, c.Use(index(t, Image{Name: "a", Files: []File{f}}), nil))
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			o, err := c.Open("a/kernel")
			if err != nil {
				t.Error(err)
				return
			}
			defer o.Close()
			start := int64(i) * testPiece // as a client that goes on somewhere
			if _, err := o.(io.Seeker).Seek(start, io.SeekStart); err != nil {
				t.Error(err)
			}
			if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, data[start:]) {
				t.Errorf("%d bytes, error %v", len(got), err)
			}
		})
	}
	clients.Wait()
	if n := r.bytes.Load(); n != f.Size {
		t.Errorf("%d bytes fetched of a file of %d", n, f.Size)
	}
}

// A supplier may send anything: what clients read is right or an error.
func TestCorruptPiecesAreNeverServed(t *testing.T) {
	f, data := makeFile("kernel", 20*testPiece)
	good := newRegion(data)
	spoil := map[string]func([]byte) []byte{
		"a byte": func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b }, "short": func(b []byte) []byte { return b[:len(b)-1] },
		"long": func(b []byte) []byte { return append(b, 0) }, "empty": func([]byte) []byte { return nil },
	}
	for name, how := range spoil {
		bad := newRegion(data) // a worker of an ended read may still ask the former one
		bad.before = func(_ File, i int, b []byte) ([]byte, error) { return how(b), nil }
		c := newCache(t, CacheConfig{Patience: time.Nanosecond}, bad.supply)
		ok(t, c.Use(index(t, Image{Name: "a", Files: []File{f}}), nil))
		if got, err := fs.ReadFile(c, "a/kernel"); err == nil || len(got) > 0 {
			t.Errorf("%s: %d bytes, error %v", name, len(got), err)
		}
		// Another supplier makes up for it.
		c = newCache(t, CacheConfig{}, bad.supply, good.supply)
		ok(t, c.Use(index(t, Image{Name: "a", Files: []File{f}}), nil))
		if !bytes.Equal(readAll(t, c, "a/kernel"), data) {
			t.Errorf("%s: content differs", name)
		}
	}
}

// What changes on the disk of the cache, while it runs or while it does not, is fetched again.
func TestCorruptContentOnDiskIsNeverServed(t *testing.T) {
	f, data := makeFile("kernel", 20*testPiece)
	x := index(t, Image{Name: "a", Files: []File{f}})
	for what, spoil := range map[string]func(path string) error{
		"byte": func(path string) error {
			w, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer w.Close()
			_, err = w.WriteAt([]byte{data[3*testPiece] ^ 1}, 3*testPiece)
			return err
		},
		"short": func(path string) error { return os.Truncate(path, 5*testPiece+1) },
		"long":  func(path string) error { return os.Truncate(path, f.Size+1) },
		"gone":  os.Remove,
	} {
		for _, restart := range []bool{false, true} {
			r := newRegion(data)
			dir := t.TempDir()
			c := newCache(t, CacheConfig{Dir: dir}, r.supply)
			ok(t, c.Use(x, nil))
			readAll(t, c, "a/kernel")
			c.settle()
			ok(t, spoil(filepath.Join(dir, blobDir, f.SHA256.String())))
			if restart {
				ok(t, c.Close())
				c = newCache(t, CacheConfig{Dir: dir}, r.supply)
				ok(t, c.Use(x, nil))
			}
			if !bytes.Equal(readAll(t, c, "a/kernel"), data) {
				t.Errorf("%s, restart %v: content differs", what, restart)
			}
			c.settle()
			if !bytes.Equal(readAll(t, c, "a/kernel"), data) {
				t.Errorf("%s, restart %v: content differs the second time", what, restart)
			}
		}
	}
}

// A fill that ends in the middle goes on with the pieces that are missing or damaged.
func TestFillGoesOnAfterARestart(t *testing.T) {
	f, data := makeFile("kernel", 20*testPiece)
	x := index(t, Image{Name: "a", Files: []File{f}})
	r := newRegion(data)
	dir := t.TempDir()
	half := filepath.Join(dir, partialDir, f.SHA256.String())
	c := newCache(t, CacheConfig{Dir: dir}, r.supply)
	torn := append(bytes.Clone(data[:10*testPiece]), make([]byte, 3)...)
	torn[testPiece] ^= 1
	ok(t, os.WriteFile(half, torn, 0o644))
	ok(t, c.Use(x, nil))
	if !bytes.Equal(readAll(t, c, "a/kernel"), data) || r.pieces.Load() != 11 {
		t.Errorf("content differs, or %d pieces fetched, want 11", r.pieces.Load())
	}
}

func TestWithoutSuppliersWhatExistsIsServed(t *testing.T) {
	f, data := makeFile("kernel", 20*testPiece)
	g, _ := makeFile("initrd", 20*testPiece)
	dir := t.TempDir()
	c := newCache(t, CacheConfig{Dir: dir}, newRegion(data).supply)
	x := index(t, Image{Name: "a", Files: []File{f, g}})
	ok(t, c.Use(x, nil))
	readAll(t, c, "a/kernel")
	c.settle()
	ok(t, c.Close())
	c = newCache(t, CacheConfig{Dir: dir, Patience: time.Nanosecond})
	if !bytes.Equal(readAll(t, c, "a/kernel"), data) { // also before the first Use
		t.Error("content differs")
	}
	if _, err := fs.ReadFile(c, "a/initrd"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := c.Open("a/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// A new version replaces the old one when all its files have arrived, not one by one, and not before.
func TestVersionsChangeAsAWhole(t *testing.T) {
	k1, d1 := makeFile("kernel", 3*testPiece)
	i1, e1 := makeFile("initrd", 3*testPiece)
	k2, d2 := makeFile("kernel2", 3*testPiece)
	i2, e2 := makeFile("initrd2", 3*testPiece)
	k2.Name, i2.Name = "kernel", "initrd"
	r := newRegion(d1, e1, d2)
	c := newCache(t, CacheConfig{Patience: time.Nanosecond}, r.supply)
	first := index(t, Image{Name: "a", Files: []File{k1, i1}})
	ok(t, c.Use(first, []string{"a/kernel", "a/initrd"}))
	for _, f := range c.ahead() {
		ok(t, c.fetch(t.Context(), f))
	}
	ok(t, c.Use(index(t, Image{Name: "a", Files: []File{k2, i2}}), []string{"a/kernel", "a/initrd"}))
	errs := 0
	for _, f := range c.ahead() {
		if c.fetch(t.Context(), f) != nil {
			errs++ // the region does not have the second file
		}
	}
	if errs != 1 || !bytes.Equal(readAll(t, c, "a/kernel"), d1) || !bytes.Equal(readAll(t, c, "a/initrd"), e1) {
		t.Errorf("%d errors, or the former version is no longer served", errs)
	}
	r.files[i2.SHA256] = e2
	clear(c.failed)
	for _, f := range c.ahead() {
		ok(t, c.fetch(t.Context(), f))
	}
	c.settle()
	if !bytes.Equal(readAll(t, c, "a/kernel"), d2) || !bytes.Equal(readAll(t, c, "a/initrd"), e2) {
		t.Error("the new version is not served")
	}
	if len(c.held) != 2 {
		t.Errorf("%d files kept, want 2", len(c.held))
	}
}

func TestServeFetchesAheadWhatProfilesName(t *testing.T) {
	f, data := makeFile("kernel", 3*testPiece)
	g, other := makeFile("other", 3*testPiece)
	r := newRegion(data, other)
	c := newCache(t, CacheConfig{}, r.supply)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- c.Serve(ctx) }()
	fetched := make(chan struct{})
	var once sync.Once
	r.before = func(_ File, i int, b []byte) ([]byte, error) {
		once.Do(func() { close(fetched) })
		return b, nil
	}
	ok(t, c.Use(index(t, Image{Name: "a", Files: []File{f, g}}), []string{"a/kernel"}))
	<-fetched
	c.settle()
	cancel()
	ok(t, <-served)
	if c.held[f.SHA256] == nil || c.held[g.SHA256] != nil {
		t.Error("fetched ahead is not what is pinned")
	}
}

func TestEviction(t *testing.T) {
	var files []File
	var contents [][]byte
	for _, name := range []string{"pinned", "old", "young", "new"} {
		f, data := makeFile(name, testPiece)
		files, contents = append(files, f), append(contents, data)
	}
	r := newRegion(contents...)
	c := newCache(t, CacheConfig{Limit: 3 * testPiece}, r.supply)
	ok(t, c.Use(index(t, Image{Name: "a", Files: files}), []string{"a/pinned"}))
	for i, name := range []string{"a/pinned", "a/old", "a/young"} {
		readAll(t, c, name)
		c.settle()
		h := c.held[files[i].SHA256]
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		ok(t, os.Chtimes(c.store.blob(files[i].SHA256), at, at))
		h.modified = at
	}
	readAll(t, c, "a/old") // used again, so that young is the oldest
	readAll(t, c, "a/new")
	c.settle()
	for i, want := range []bool{true, true, false, true} {
		if got := c.held[files[i].SHA256] != nil; got != want {
			t.Errorf("%s kept: %v, want %v", files[i].Name, got, want)
		}
	}
	if u := c.Usage(); u.Bytes > u.Limit {
		t.Errorf("usage %+v", u)
	}
	ok(t, c.Use(c.newest, []string{"a/pinned", "a/old", "a/new"}))
	if _, err := c.Open("a/young"); err == nil {
		t.Error("a file was taken in beyond the limit")
	}
	readAll(t, c, "a/pinned")
}

func TestPiecesForOtherRacks(t *testing.T) {
	f, data := makeFile("kernel", 3*testPiece)
	r := newRegion(data)
	c := newCache(t, CacheConfig{}, r.supply)
	ok(t, c.Use(index(t, Image{Name: "a", Files: []File{f}}), nil))
	if _, err := c.Piece(f.SHA256, 0); !errors.Is(err, fs.ErrNotExist) || r.pieces.Load() != 0 {
		t.Errorf("error %v; a question of another rack made the cache fetch", err)
	}
	readAll(t, c, "a/kernel")
	c.settle()
	for _, i := range []int{-1, 3, 1 << 40} {
		if _, err := c.Piece(f.SHA256, i); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("piece %d: error %v", i, err)
		}
	}
	if got, err := c.Piece(f.SHA256, 2); err != nil || !bytes.Equal(got, data[2*testPiece:]) {
		t.Errorf("error %v", err)
	}
}
