package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// fill brings one file to disk, for all clients that read it meanwhile.
type fill struct {
	file  File
	f     *os.File
	whole bool  // f has its name already and is only verified
	there int64 // bytes that f had at the beginning
	ended chan struct{}
	refs  int // readers and the fill itself; guarded by Cache.mu

	mu      sync.Mutex    // guards the fields below
	have    []bool        // verified pieces
	taken   []bool        // pieces of which a worker takes care
	wanted  int           // the piece that a reader waits for
	moved   chan struct{} // closed and replaced as pieces arrive
	arrived time.Time     // when the last piece did
	err     error
}

// join returns the fill of a file, begun if there is none. The caller leaves it.
func (c *Cache) join(f File) (*fill, error) {
	if fl := c.fills[f.SHA256]; fl != nil {
		fl.refs++
		return fl, nil
	}
	if bad, ok := c.failed[f.SHA256]; ok && time.Now().Before(bad.until) {
		return nil, bad.err
	}
	if c.closed {
		return nil, fs.ErrClosed
	}
	delete(c.failed, f.SHA256)
	fl := &fill{
		file: f, refs: 2, // the caller's, and run's
		ended: make(chan struct{}), have: make([]bool, len(f.Pieces)), taken: make([]bool, len(f.Pieces)),
		moved: make(chan struct{}), arrived: time.Now(),
	}
	if err := c.openFill(fl); err != nil {
		return nil, err
	}
	c.fills[f.SHA256] = fl
	c.spawn(func(ctx context.Context) { c.run(ctx, fl) })
	return fl, nil
}

// openFill opens what exists of the file. Content that has its name since an earlier start is
// verified before it is served, and repaired in place.
func (c *Cache) openFill(fl *fill) (err error) {
	at := c.store.partial(fl.file.SHA256.String())
	if fl.whole = c.held[fl.file.SHA256] != nil; fl.whole {
		at = c.store.blob(fl.file.SHA256)
	} else if err := c.makeRoom(fl.file); err != nil {
		return err
	}
	if fl.f, err = os.OpenFile(at, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return err
	}
	info, err := fl.f.Stat()
	if err == nil {
		fl.there = min(info.Size(), fl.file.Size)
		err = fl.f.Truncate(fl.file.Size) // no longer than it should be, and without blocks until they are written
	}
	if err != nil {
		fl.f.Close()
	}
	return err
}

// leave ends the use of a fill. The last one closes its file.
func (c *Cache) leave(fl *fill) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fl.refs--; fl.refs == 0 {
		fl.f.Close()
	}
}

// run fills until the file is whole or fails.
func (c *Cache) run(ctx context.Context, fl *fill) {
	defer c.leave(fl)
	began := time.Now()
	var workers sync.WaitGroup
	for range c.cfg.Parallel {
		workers.Go(func() {
			for i, ok := fl.take(); ok; i, ok = fl.take() {
				if err := c.fillPiece(ctx, fl, i); err != nil {
					fl.fail(err)
				}
			}
		})
	}
	workers.Wait()
	err := fl.failure()
	if err == nil {
		if err = c.name(fl); err != nil {
			fl.fail(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fills, fl.file.SHA256)
	if err != nil {
		if ctx.Err() == nil {
			// A rack that powers on asks forty times within a second.
			c.failed[fl.file.SHA256] = failure{err, time.Now().Add(failedFor)}
			c.log.Warn("file not fetched", "file", fl.file.Name, "err", err)
		}
	} else {
		c.log.Debug("file fetched", "file", fl.file.Name, "bytes", fl.file.Size, "took", time.Since(began))
		c.advance()
	}
	close(fl.ended)
}

// name gives the file its name, when all its pieces are verified.
func (c *Cache) name(fl *fill) error {
	hash := fl.file.SHA256
	if err := fl.f.Sync(); err != nil {
		return err
	}
	if !fl.whole {
		if err := os.Rename(fl.f.Name(), c.store.blob(hash)); err != nil {
			return err
		}
		if err := syncDir(filepath.Join(c.cfg.Dir, blobDir)); err != nil {
			return err
		}
	}
	info, err := fl.f.Stat()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[hash] = &held{size: info.Size(), modified: info.ModTime(), verified: true}
	return nil
}

// take returns the next piece to fill: the one that a reader waits for, else the first.
func (fl *fill) take() (int, bool) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.err != nil {
		return 0, false
	}
	// In order from there: readers go forward, and the disk likes it.
	n := len(fl.taken)
	for k := range n {
		if i := (fl.wanted + k) % n; !fl.taken[i] {
			fl.taken[i] = true
			return i, true
		}
	}
	return 0, false
}

// fillPiece brings one verified piece to disk.
func (c *Cache) fillPiece(ctx context.Context, fl *fill, i int) error {
	if at, size := fl.file.Extent(i); at+size <= fl.there {
		if _, err := readPiece(fl.f, fl.file, i); err == nil {
			fl.arrive(i)
			return nil
		}
		if fl.whole {
			c.log.Warn("content changed on disk, piece fetched again", "file", fl.file.Name)
		}
	}
	// A region that restarts, or a neighbor that is busy, is back before firmware gives up.
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		data, err := c.supply(ctx, fl.file, i)
		if err == nil {
			if err := c.write(fl, i, data); err != nil {
				return fmt.Errorf("images: store %s: %w", fl.file.Name, err)
			}
			fl.arrive(i)
			return nil
		}
		// Any piece of the file counts: a slow line must not end a large file.
		if fl.failure() != nil || fl.silence() > c.cfg.Patience {
			return fmt.Errorf("images: %s: piece %d of %d: %w", fl.file.Name, i+1, len(fl.file.Pieces), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// supply asks the suppliers in their order until one sends the right piece.
func (c *Cache) supply(ctx context.Context, f File, i int) ([]byte, error) {
	select {
	case c.places <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	errs := []error{}
	for _, from := range c.cfg.Suppliers() {
		data, err := from(ctx, f, i)
		if err == nil && f.Verify(i, data) {
			c.fetched.Add(int64(len(data)))
			return data, nil
		}
		if err == nil {
			err = errCorrupt
			c.refused.Add(1)
			c.log.Warn("corrupt piece refused", "file", f.Name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil, fmt.Errorf("not in the cache, and none to fetch it from has it: %w", fs.ErrNotExist)
	}
	return nil, errors.Join(errs...) // one that failed may have it: the file is not said to be absent
}

// write stores a piece. A disk that is full loses what is not needed first.
func (c *Cache) write(fl *fill, i int, data []byte) error {
	at, _ := fl.file.Extent(i)
	for {
		_, err := fl.f.WriteAt(data, at)
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		c.mu.Lock()
		freed := c.evict()
		c.mu.Unlock()
		if !freed {
			return err
		}
	}
}

// arrive notes a verified piece and wakes readers.
func (fl *fill) arrive(i int) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.have[i], fl.arrived = true, time.Now()
	close(fl.moved)
	fl.moved = make(chan struct{})
}

func (fl *fill) fail(err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.err == nil {
		fl.err = err
		close(fl.moved)
		fl.moved = make(chan struct{})
	}
}

func (fl *fill) failure() error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.err
}

func (fl *fill) has(i int) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.have[i]
}

// silence returns how long no piece has arrived.
func (fl *fill) silence() time.Duration {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return time.Since(fl.arrived)
}

// wait returns when a piece is verified and on disk.
func (fl *fill) wait(i int) error {
	for {
		fl.mu.Lock()
		if fl.have[i] {
			fl.mu.Unlock()
			return nil
		}
		err, moved := fl.err, fl.moved
		fl.wanted = i
		fl.mu.Unlock()
		if err != nil {
			return err
		}
		<-moved
	}
}
