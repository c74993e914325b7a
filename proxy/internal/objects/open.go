package objects

import (
	"cmp"
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Open opens the store in dir, which it makes when missing, and keeps it to limit bytes. It reads
// the sidecars, so it takes about 20 us an object, and removes what an interrupted write left.
func Open(dir string, limit int64) (*Store, error) {
	// Zero would evict each object as it arrives.
	if limit <= 0 {
		return nil, fmt.Errorf("a limit of %d bytes keeps nothing", limit)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, boot: bootID(), lock: lock, byURL: make(map[string][]*Object), partial: make(map[string]*Object)}
	s.queues = queues{limit: limit, ghost: make(map[string]*list.Element)}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// bootID names this run of the machine. Without one every body is checked once after a start.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

func (s *Store) load() error {
	var found []*Object
	for i := range shards {
		shard := filepath.Join(s.dir, fmt.Sprintf("%02x", i))
		entries, err := os.ReadDir(shard)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = append(found, s.loadShard(shard, entries)...)
	}
	// The order of arrival is all that is left of the queues.
	slices.SortFunc(found, func(a, b *Object) int { return cmp.Compare(a.received, b.received) })
	for _, o := range found {
		s.insert(o)
	}
	s.shrink()
	return nil
}

// loadShard returns the whole objects of a subdirectory and removes all other files.
func (s *Store) loadShard(shard string, entries []os.DirEntry) (found []*Object) {
	whole := make(map[string]bool, len(entries))
	for _, e := range entries {
		name, isSidecar := strings.CutSuffix(e.Name(), sidecarSuffix)
		if !isSidecar {
			continue
		}
		if o, err := s.loadObject(filepath.Join(shard, name), name); err == nil {
			whole[name+sidecarSuffix], whole[name+bodySuffix] = true, true
			found = append(found, o)
		}
	}
	for _, e := range entries {
		// RemoveAll, since the name may be a directory: nothing but objects belongs here.
		if !whole[e.Name()] {
			_ = os.RemoveAll(filepath.Join(shard, e.Name()))
		}
	}
	return found
}

func (s *Store) loadObject(path, name string) (*Object, error) {
	id, err := strconv.ParseUint(name, 16, 64)
	if err != nil {
		return nil, err
	}
	m, err := readSidecar(path + sidecarSuffix)
	if err != nil {
		return nil, err
	}
	body, err := os.Stat(path + bodySuffix)
	if err != nil {
		return nil, err
	}
	if !body.Mode().IsRegular() || !s.fits(m, body.Size()) {
		return nil, errSidecar
	}
	// A new object must not get the files of an old one.
	s.next.Store(max(s.next.Load(), id+1))
	o := newObject(id, m)
	o.trusted.Store(m.Boot != "" && m.Boot == s.boot)
	return o, nil
}

// fits reports whether a body of that size can be what the sidecar describes. Parts have no
// checksum, so they do not outlive the run of the machine that wrote them.
func (s *Store) fits(m *Meta, size int64) bool {
	// A whole body has exactly its length; an incomplete one may have holes.
	if m.Parts == nil {
		return size == m.Size
	}
	return m.Boot != "" && m.Boot == s.boot && size >= m.Parts[len(m.Parts)-1].End
}

func readSidecar(path string) (*Meta, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// A damaged directory must not fill the memory.
	if info.Size() > maxSidecar {
		return nil, errSidecar
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return decode(b)
}
