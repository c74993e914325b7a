package images

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// total returns the bytes of all content, counting files that are being filled as whole.
func (c *Cache) total() (n int64) {
	for _, h := range c.held {
		n += h.size
	}
	// Whole from the beginning, or two fills at once would pass the limit together.
	for hash, fl := range c.fills {
		if c.held[hash] == nil {
			n += fl.file.Size
		}
	}
	return n
}

// kept returns the content that must stay: what profiles name, what replaces it, and what is served
// until the replacement is whole.
func (c *Cache) kept() map[Hash]bool {
	out := make(map[Hash]bool)
	for _, name := range c.pinned {
		for _, x := range []*Index{c.serving, c.newest} {
			if f, ok := x.File(name); ok {
				out[f.SHA256] = true
			}
		}
	}
	for name, m := range c.next {
		for _, f := range append(c.current[name].Files, m.Files...) {
			out[f.SHA256] = true
		}
	}
	for hash := range c.fills { // machines read it at this moment
		out[hash] = true
	}
	return out
}

// makeRoom removes what was unused for longest until a file fits.
func (c *Cache) makeRoom(f File) error {
	for c.total()+f.Size > c.cfg.Limit {
		if !c.evict() {
			var stays int64
			for hash := range c.kept() {
				if h := c.held[hash]; h != nil {
					stays += h.size
				}
			}
			return fmt.Errorf("images: %s of %d bytes does not fit into a cache of %d bytes, of which %d are in use or named by profiles; raise its limit",
				f.Name, f.Size, c.cfg.Limit, stays)
		}
	}
	return nil
}

// evict removes the content that was unused for longest, and reports whether any could be removed.
// Clients that read it still have it open.
func (c *Cache) evict() bool {
	kept := c.kept()
	var oldest Hash
	var found *held
	for hash, h := range c.held {
		if !kept[hash] && (found == nil || h.modified.Before(found.modified)) {
			oldest, found = hash, h
		}
	}
	return found != nil && c.remove(oldest)
}

func (c *Cache) remove(hash Hash) bool {
	if err := os.Remove(c.store.blob(hash)); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("content not removed", "file", c.store.blob(hash), "err", err)
		return false
	}
	delete(c.held, hash)
	return true
}

// drop removes content and remains that belong to no image now.
func (c *Cache) drop() {
	named := make(map[Hash]bool)
	for _, x := range []*Index{c.serving, c.newest} {
		for _, m := range x.Images() {
			for _, f := range m.Files {
				named[f.SHA256] = true
			}
		}
	}
	for hash := range c.held {
		if !named[hash] && c.fills[hash] == nil {
			c.remove(hash)
		}
	}
	dir := filepath.Join(c.cfg.Dir, partialDir)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if h, err := ParseHash(e.Name()); err != nil || !named[h] && c.fills[h] == nil {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
