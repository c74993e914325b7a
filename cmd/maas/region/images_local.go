package region

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// lookLocal is the interval at which the directories of the configuration are looked at.
const lookLocal = 30 * time.Second

// takeLocal stores the files of the configuration as images, and again when they change, until ctx
// ends. Racks of other hosts get them from here.
func (s *imageService) takeLocal(ctx context.Context) error {
	if err := s.dropLocal(ctx); err != nil {
		s.region.log.Warn("boot files of an earlier configuration not removed", "err", err)
	}
	if len(s.local) == 0 {
		<-ctx.Done()
		return nil
	}
	last := s.lastTaken(ctx)
	for ctx.Err() == nil {
		for name, dir := range s.local {
			marks, err := marksOf(dir)
			if err == nil && marks != last[name] {
				if err = s.take(ctx, name, dir); err == nil {
					last[name] = marks
					s.keepTaken(last)
				}
			}
			if err != nil && ctx.Err() == nil {
				s.region.log.Error("boot files not taken", "directory", name, "retry_in", lookLocal, "err", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookLocal):
		}
	}
	return nil
}

// takenFile has the marks of the directories whose files are stored: a start need not read them all
// again.
const takenFile = "taken.json"

// lastTaken returns the marks of directories by name, of those whose files are all stored.
func (s *imageService) lastTaken(ctx context.Context) map[string]string {
	last := make(map[string]string)
	data, err := os.ReadFile(filepath.Join(s.dir, takenFile))
	if err != nil || json.Unmarshal(data, &last) != nil {
		return make(map[string]string)
	}
	for name := range last {
		b, err := s.region.inv.BootImages.Find(ctx, name)
		if err != nil || !b.Spec.Local || b.Content.Origin != s.origin() || !s.store.Has(b.Content) {
			delete(last, name)
		}
	}
	return last
}

// keepTaken stores marks. If that fails, the next start reads the files again.
func (s *imageService) keepTaken(last map[string]string) {
	data, err := json.Marshal(last)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, takenFile), data, 0o600)
	}
	if err != nil {
		s.region.log.Warn("marks of boot files not stored", "err", err)
	}
}

// origin returns the origin of local images of this region.
func (s *imageService) origin() string { return "configuration of region " + s.region.name }

// dropLocal removes the local images of this region that its configuration no longer has.
func (s *imageService) dropLocal(ctx context.Context) error {
	all, err := s.region.inv.BootImages.List(ctx)
	for _, b := range all {
		if _, has := s.local[b.Name]; b.Spec.Local && !has && b.Content.Origin == s.origin() {
			err = errors.Join(err, s.region.inv.BootImages.Delete(ctx, b.ID))
		}
	}
	return err
}

// marksOf returns a text that changes when a file of a directory does.
func marksOf(dir fs.FS) (string, error) {
	var b strings.Builder
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := fs.Stat(dir, name); err == nil {
			fmt.Fprintln(&b, name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return b.String(), err
}

// take stores the files of a directory.
func (s *imageService) take(ctx context.Context, name string, dir fs.FS) error {
	m, skipped, err := s.fetcher.Directory(ctx, dir)
	if err != nil {
		return err
	}
	if len(skipped) > 0 {
		s.region.log.Warn("files left out whose names cannot be served", "file", skipped[0], "count", len(skipped))
	}
	m.Name, m.Origin = name, s.origin()
	return s.region.inv.Atomically(ctx, func(ctx context.Context) error {
		b, err := s.region.inv.BootImages.Find(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			b = inventory.BootImage{Name: name, Spec: inventory.ImageSpec{Local: true}, Requested: time.Now(), Fetched: time.Now(), Content: m}
			_, err = s.region.inv.BootImages.Create(ctx, b)
			return err
		case err != nil || sameContent(m, b.Content):
			return err
		case len(m.Files) == 0 && b.Ready():
			// Rather a file system that is not mounted than a wish.
			s.region.log.Warn("directory of boot files is empty, its last files stay in service", "directory", name)
			return nil
		}
		b.Spec, b.Content, b.Fetched, b.Problem = inventory.ImageSpec{Local: true}, m, time.Now(), ""
		_, err = s.region.inv.BootImages.Update(ctx, b)
		return err
	})
}
