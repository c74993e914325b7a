package images

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Supplier returns a piece of a file from elsewhere: another rack, or the region. It need not
// verify it. The error of one that does not have the file is fs.ErrNotExist. It is called
// concurrently, and ends with its context.
type Supplier func(ctx context.Context, f File, piece int) ([]byte, error)

// CacheConfig configures a Cache. Dir is required.
type CacheConfig struct {
	// Dir is the directory of the content. OpenCache makes it.
	Dir string
	// Suppliers returns those to ask for a piece, in that order. If nil, the cache serves what it
	// has.
	Suppliers func() []Supplier
	// Limit bounds the content in bytes. Zero means 20 GiB.
	Limit int64
	// Parallel is the number of pieces of one file that are fetched at a time. Zero means 3.
	Parallel int
	// Patience bounds the time in which no piece of a file arrives, before its clients receive an
	// error. Zero means 20 seconds: a region that restarts is back by then.
	Patience time.Duration
	// Log receives what was fetched and what failed. If nil, it is discarded.
	Log *slog.Logger
}

// Cache is an fs.FS of images that are elsewhere. It fetches a file when a client first opens it,
// and keeps what profiles name.
type Cache struct {
	cfg     CacheConfig
	log     *slog.Logger
	store   *Store
	cancel  context.CancelFunc
	spawn   func(func(context.Context)) // runs a function until Close
	places  chan struct{}               // holds one for each piece that is fetched
	fetched atomic.Int64                // bytes
	refused atomic.Int64                // pieces
	running sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	closed  bool
	newest  *Index           // what the region has
	serving *Index           // what clients are served
	current map[string]Image // of serving, by name
	next    map[string]Image // images whose former version is served until they are whole
	pinned  []string         // names that profiles have
	held    map[Hash]*held
	fills   map[Hash]*fill
	failed  map[Hash]failure
	changed chan struct{} // closed and replaced when other images are served or kept
}

// held describes content on disk.
type held struct {
	size int64
	// modified is the time of change that the file had when it was verified, and when it was last
	// used; another one means that something else wrote to it.
	modified time.Time
	verified bool // since the cache was opened
}

// failure is the last error of a file, so that the clients of a crowd do not each wait for it.
type failure struct {
	err   error
	until time.Time
}

// failedFor bounds the time in which clients receive the error of a fill without another attempt.
const failedFor = 3 * time.Second

// maxPlaces bounds the pieces that are fetched at a time, of all files, and so the memory they
// take.
const maxPlaces = 16

// OpenCache opens a cache with all it had. It starts nothing.
func OpenCache(cfg CacheConfig) (*Cache, error) {
	if cfg.Limit == 0 {
		cfg.Limit = 20 << 30
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = 3
	}
	if cfg.Patience == 0 {
		cfg.Patience = 20 * time.Second
	}
	if cfg.Suppliers == nil {
		cfg.Suppliers = func() []Supplier { return nil }
	}
	store, err := OpenStore(cfg.Dir)
	if err != nil {
		return nil, err
	}
	// Fills outlive the requests that begin them: what one client asked for, others will.
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cache{
		cfg: cfg, log: cfg.Log, store: store, cancel: cancel, held: make(map[Hash]*held), fills: make(map[Hash]*fill), failed: make(map[Hash]failure),
		current: make(map[string]Image), next: make(map[string]Image), changed: make(chan struct{}), places: make(chan struct{}, maxPlaces),
	}
	c.spawn = func(f func(context.Context)) { c.running.Go(func() { f(ctx) }) }
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	entries, err := os.ReadDir(filepath.Join(cfg.Dir, blobDir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		h, err := ParseHash(e.Name())
		info, ierr := e.Info()
		if err == nil && ierr == nil {
			c.held[h] = &held{size: info.Size(), modified: info.ModTime()}
		}
	}
	c.restore()
	return c, nil
}

// Close ends all fills, which go on where they ended after the next start, and waits for them.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
	return nil
}

// Serve fetches ahead what profiles name, and new versions of what the cache has, until ctx ends.
// Then it returns nil.
func (c *Cache) Serve(ctx context.Context) error {
	const again = 30 * time.Second
	for ctx.Err() == nil {
		c.mu.Lock()
		changed, files := c.changed, c.ahead()
		c.mu.Unlock()
		failed := false
		// One after the other: machines that boot now share the line with what may be needed later.
		for _, f := range files {
			if err := c.fetch(ctx, f); err != nil && ctx.Err() == nil {
				failed = true
				c.log.Warn("file not fetched ahead", "file", f.Name, "retry_in", again, "err", err)
			}
		}
		if len(files) > 0 && !failed {
			continue // what it fetched may have changed what is left
		}
		var retry <-chan time.Time
		if failed {
			retry, changed = time.After(again), nil
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-retry:
		}
	}
	return nil
}

// ahead returns the files to fetch ahead.
func (c *Cache) ahead() (out []File) {
	add := func(f File, known bool) {
		if known && c.held[f.SHA256] == nil && !slices.ContainsFunc(out, func(o File) bool { return o.SHA256 == f.SHA256 }) {
			out = append(out, f)
		}
	}
	for _, name := range c.pinned {
		add(c.serving.File(name))
		add(c.newest.File(name))
	}
	for _, m := range c.next {
		for _, f := range m.Files {
			add(f, true)
		}
	}
	return out
}

// fetch waits until a file is on disk.
func (c *Cache) fetch(ctx context.Context, f File) error {
	c.mu.Lock()
	if c.held[f.SHA256] != nil {
		c.mu.Unlock()
		return nil
	}
	fl, err := c.join(f)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	defer c.leave(fl)
	select {
	case <-fl.ended:
		return fl.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Open opens a file by name. It returns at once: reads wait for pieces that have not arrived yet.
func (c *Cache) Open(name string) (fs.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.serving.find(name)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	info := fileInfo{*e.file, e.image.Added}
	if f := c.openHeld(*e.file); f != nil {
		return stored{f, info}, nil
	}
	// Content of an earlier start is joined, too: it is served once its pieces are verified.
	fl, err := c.join(*e.file)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &reader{cache: c, fill: fl, info: info}, nil
}

// Stat describes a file without fetching it.
func (c *Cache) Stat(name string) (fs.FileInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.serving.find(name)
	if !ok {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return fileInfo{*e.file, e.image.Added}, nil
}

// touchEvery is the precision of the time of last use.
const touchEvery = time.Minute

// openHeld opens verified content; nil if it has to be filled or verified first.
func (c *Cache) openHeld(want File) *os.File {
	h := c.held[want.SHA256]
	if h == nil || !h.verified {
		return nil
	}
	f, err := c.store.Open(want.SHA256)
	if err != nil {
		delete(c.held, want.SHA256)
		return nil
	}
	info, err := f.Stat()
	// A look at each boot is cheap, and a hash of a gigabyte is not.
	if err != nil || info.Size() != want.Size || !info.ModTime().Equal(h.modified) {
		c.log.Warn("content changed on disk, verifying it", "file", want.Name)
		f.Close()
		h.verified = false
		return nil
	}
	c.touch(want.SHA256, h)
	return f
}

// touch notes a use, on disk so that it outlives a restart.
func (c *Cache) touch(hash Hash, h *held) {
	now := time.Now()
	if now.Sub(h.modified) < touchEvery || os.Chtimes(c.store.blob(hash), time.Time{}, now) != nil {
		return
	}
	if info, err := os.Stat(c.store.blob(hash)); err == nil {
		h.modified = info.ModTime() // as the file system keeps it
	}
}

// Piece returns a piece of content for another rack, if the cache has it. It fetches nothing. Else
// the error is fs.ErrNotExist.
func (c *Cache) Piece(h Hash, i int) ([]byte, error) {
	c.mu.Lock()
	file, known := c.byHash(h)
	fl := c.fills[h]
	has := c.held[h] != nil
	if known && fl != nil {
		fl.refs++
	}
	c.mu.Unlock()
	switch {
	case !known || i < 0 || i >= len(file.Pieces):
		return nil, fs.ErrNotExist
	case fl != nil:
		defer c.leave(fl)
		if !fl.has(i) {
			return nil, fs.ErrNotExist
		}
		return readPiece(fl.f, file, i)
	case has:
		return c.store.Piece(file, i)
	}
	return nil, fs.ErrNotExist
}

// byHash finds a file of the images by its content.
func (c *Cache) byHash(h Hash) (File, bool) {
	// Both: a neighbor may still fetch a version that is replaced here, or already the next one.
	for _, x := range []*Index{c.serving, c.newest} {
		for _, m := range x.Images() {
			for _, f := range m.Files {
				if f.SHA256 == h {
					return f, true
				}
			}
		}
	}
	return File{}, false
}

// Usage describes the content of a cache.
type Usage struct {
	Files        int   // that are whole
	Bytes, Limit int64 // whole and partial
	Filling      int
	Missing      int   // that profiles name and that are not whole
	Fetched      int64 // bytes that suppliers sent since the start
	Refused      int64 // pieces that were not what the index says
}

// Usage returns what the cache has now.
func (c *Cache) Usage() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Usage{Files: len(c.held), Missing: len(c.ahead()), Bytes: c.total(), Limit: c.cfg.Limit, Filling: len(c.fills), Fetched: c.fetched.Load(), Refused: c.refused.Load()}
}
