package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gomaas/maas/internal/atomicfile"
)

// currentFile has the images that are served, of which some may be older than the region's.
const currentFile = "current.json"

// restore takes up the images that were served before. One that cannot be read is the region's to
// send again.
func (c *Cache) restore() {
	data, err := os.ReadFile(filepath.Join(c.cfg.Dir, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var all []Image
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err == nil {
		c.serving, err = NewIndex(all)
	}
	if err != nil {
		c.log.Warn("list of images not read", "err", err)
		return
	}
	for _, m := range all {
		c.current[m.Name] = m
	}
}

// Use makes the cache serve the images of an index. Files whose names are pinned are kept, and
// Serve fetches them ahead. A new version of an image that the cache has as a whole is served when
// it is whole, too.
func (c *Cache) Use(x *Index, pinned []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest, c.pinned = x, slices.Clone(pinned)
	current, next := make(map[string]Image), make(map[string]Image)
	for _, m := range x.Images() {
		former, had := c.current[m.Name]
		// A kernel of one version with an initrd of the other does not boot.
		if had && !sameFiles(former, m) && c.whole(former) && !c.whole(m) {
			current[m.Name], next[m.Name] = former, m
		} else {
			current[m.Name] = m
		}
	}
	return c.serve(current, next)
}

// Pin keeps other names than Use did, of the same index.
func (c *Cache) Pin(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Equal(names, c.pinned) {
		return
	}
	c.pinned = slices.Clone(names)
	close(c.changed)
	c.changed = make(chan struct{})
}

// serve changes what is served.
func (c *Cache) serve(current, next map[string]Image) error {
	var all []Image
	for _, m := range c.newest.Images() {
		all = append(all, current[m.Name])
	}
	serving, err := NewIndex(all)
	if err != nil {
		// A former version has a name that now is another image's.
		serving, current, next = c.newest, make(map[string]Image), nil
		for _, m := range c.newest.Images() {
			current[m.Name] = m
		}
		all = c.newest.Images()
	}
	c.serving, c.current, c.next = serving, current, next
	c.drop()
	close(c.changed)
	c.changed = make(chan struct{})
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	f, err := atomicfile.Replace(filepath.Join(c.cfg.Dir, currentFile), data)
	if f != nil {
		f.Close()
	}
	if err != nil {
		return fmt.Errorf("images: list of images: %w", err)
	}
	return nil
}

func sameFiles(a, b Image) bool {
	return slices.EqualFunc(a.Files, b.Files, func(a, b File) bool { return a.Name == b.Name && a.SHA256 == b.SHA256 })
}

// whole reports whether all files of an image are on disk.
func (c *Cache) whole(m Image) bool {
	return !slices.ContainsFunc(m.Files, func(f File) bool { return c.held[f.SHA256] == nil })
}

// advance serves the new versions that are whole now.
func (c *Cache) advance() {
	done := false
	for name, m := range c.next {
		if c.whole(m) {
			c.current[name] = m
			delete(c.next, name)
			done = true
		}
	}
	if done {
		if err := c.serve(c.current, c.next); err != nil {
			c.log.Warn("list of images not stored", "err", err)
		}
	}
}
