package objects

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// A Store is a directory of objects. Its methods may be called concurrently.
type Store struct {
	dir  string
	boot string
	lock *os.File
	next atomic.Uint64 // id of the next object
	hot  hot

	mu      sync.Mutex
	byURL   map[string][]*Object // the slices are replaced, not changed; the latest first
	partial map[string]*Object   // the incomplete object of a URL, at most one
	queues  queues

	reserved int64        // bytes for bodies that come in
	written  atomic.Int64 // of these
	space    func() int64 // free bytes that may be used; nil if there is no such bound
}

// KeepFree makes the store take no body for which space returns less than it needs.
func (s *Store) KeepFree(space func() int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.space = space
}

// maxVariants bounds the responses of one URL that differ by request fields.
const maxVariants = 16

// shards is the number of subdirectories.
const shards = 256

// Lookup returns the responses kept of a URL, the latest first. The caller does not change the
// slice.
func (s *Store) Lookup(url string) []*Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byURL[url]
}

// Partial returns the incomplete response kept of a URL, nil when there is none. See
// [Store.Resume].
func (s *Store) Partial(url string) *Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.partial[url]
}

func (s *Store) path(id uint64, suffix string) string {
	name := strconv.FormatUint(id, 16)
	return filepath.Join(s.dir, fmt.Sprintf("%02x", id%shards), name+suffix)
}

const (
	bodySuffix    = ".body"
	sidecarSuffix = ".meta"
	newSuffix     = ".new"
)

// Update replaces the description of an object, after a validation. The body stays.
func (s *Store) Update(o *Object, m *Meta) error {
	s.mu.Lock()
	defer s.mu.Unlock() // an object that was removed meanwhile must not get its sidecar back
	if o.queue == nil {
		return fs.ErrNotExist
	}
	// The old sidecar stays until the rename: a kill leaves one of the two.
	if err := s.writeSidecar(o.id, m); err != nil {
		return err
	}
	s.hot.drop(o)
	return nil
}

func (s *Store) writeSidecar(id uint64, m *Meta) error {
	path := s.path(id, sidecarSuffix)
	if err := os.WriteFile(path+newSuffix, m.encode(), 0o600); err != nil {
		return errors.Join(err, os.Remove(path+newSuffix))
	}
	return os.Rename(path+newSuffix, path)
}

// add makes a committed object visible in the place of its predecessor.
func (s *Store) add(o *Object, outdated func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Asked under the lock: a purge that runs now either sees the object or is seen here.
	if outdated() {
		s.unlink(o)
		return
	}
	s.insert(o)
	s.shrink()
}

func (s *Store) insert(o *Object) {
	if old := s.partial[o.URL]; old != nil && (o.Parts != nil || sameVariant(old, o)) {
		delete(s.partial, o.URL)
		s.discard(old)
	}
	if o.Parts != nil {
		s.partial[o.URL] = o
		s.queues.add(o)
		return
	}
	// The slice is replaced and never changed, since Lookup hands it out.
	variants := []*Object{o}
	for _, old := range s.byURL[o.URL] {
		if sameVariant(old, o) || len(variants) == maxVariants {
			s.discard(old)
			continue
		}
		variants = append(variants, old)
	}
	s.byURL[o.URL] = variants
	s.queues.add(o)
}

// shrink evicts until the limit is kept.
func (s *Store) shrink() {
	for s.queues.used()+s.reserved > s.queues.limit {
		victim := s.queues.victim()
		if victim == nil {
			return
		}
		s.forget(victim)
		s.unlink(victim)
	}
}

// Remove takes a whole object out of the store. Files that are open stay readable.
func (s *Store) Remove(o *Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.queue == nil {
		return
	}
	s.forget(o)
	s.discard(o)
}

// RemoveURL takes out all responses of a URL and returns how many there were.
func (s *Store) RemoveURL(url string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := s.byURL[url]
	delete(s.byURL, url)
	if o := s.partial[url]; o != nil {
		delete(s.partial, url)
		gone = append(slices.Clip(gone), o)
	}
	for _, o := range gone {
		s.discard(o)
	}
	return len(gone)
}

// RemoveIf takes out the responses of all URLs that match and returns how many there were.
func (s *Store) RemoveIf(match func(url string) bool) (n int) {
	s.mu.Lock()
	var urls []string
	for url := range s.byURL {
		if match(url) {
			urls = append(urls, url)
		}
	}
	for url := range s.partial {
		if len(s.byURL[url]) == 0 && match(url) {
			urls = append(urls, url)
		}
	}
	s.mu.Unlock()
	// One URL at a time, so that requests get the lock between them.
	for _, url := range urls {
		n += s.RemoveURL(url)
	}
	return n
}

// forget takes an object out of the index.
func (s *Store) forget(o *Object) {
	if o.Parts != nil {
		delete(s.partial, o.URL)
		return
	}
	rest := slices.DeleteFunc(slices.Clone(s.byURL[o.URL]), func(v *Object) bool { return v == o })
	if len(rest) == 0 {
		delete(s.byURL, o.URL)
		return
	}
	s.byURL[o.URL] = rest
}

func (s *Store) discard(o *Object) {
	s.queues.remove(o)
	s.unlink(o)
}

// unlink removes the files, the sidecar first: what is left of an interruption is a body without
// one. A file that cannot be removed is found again when the store is opened.
func (s *Store) unlink(o *Object) {
	s.hot.drop(o)
	_ = os.Remove(s.path(o.id, sidecarSuffix))
	_ = os.Remove(s.path(o.id, bodySuffix))
}

// Usage returns the number of objects and the bytes they take.
func (s *Store) Usage() (objects int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queues.small.list.Len() + s.queues.main.list.Len(), s.queues.used()
}

// Limit is the number of bytes that the store keeps to.
func (s *Store) Limit() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queues.limit
}

// SetLimit changes the limit, and evicts what it leaves no room for.
func (s *Store) SetLimit(limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues.limit = limit
	s.shrink()
}

// Close lets another process use the directory. Open files stay usable.
func (s *Store) Close() error { return s.lock.Close() }
