package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/pxe"
)

// bootDirs are the boot files of the configuration, by the names below which profiles name them. A
// region stores them for all racks; a rack serves its own as they are.
type bootDirs map[string]fs.FS

// defaultDir holds the files of the default profile.
const defaultDir = "default"

// openBootFiles returns the boot files of the configuration, and the default profile; nil without a
// kernel.
func openBootFiles(cfg config.Boot) (bootDirs, *pxe.Profile, error) {
	dirs := bootDirs{}
	if cfg.Files != "" {
		if info, err := os.Stat(cfg.Files); err != nil || !info.IsDir() {
			return nil, nil, fmt.Errorf("boot files: %s is no directory: %w", cfg.Files, errors.Join(err, fs.ErrInvalid))
		}
		dirs["."] = rootDir(cfg.Files)
	}
	if cfg.Kernel == "" {
		return dirs, nil, nil
	}
	files := fileSet{}
	add := func(file string) string {
		name := filepath.Base(file)
		for n := 2; files[name] != ""; n++ {
			name = fmt.Sprintf("%d-%s", n, filepath.Base(file))
		}
		files[name] = file
		return path.Join(defaultDir, name)
	}
	profile := &pxe.Profile{Name: "default", Kernel: add(cfg.Kernel), Cmdline: cfg.Cmdline}
	for _, initrd := range cfg.Initrd {
		profile.Initrd = append(profile.Initrd, add(initrd))
	}
	if err := pxe.FileMap(files).Check(); err != nil {
		return nil, nil, fmt.Errorf("boot files: %w", err)
	}
	dirs[defaultDir] = files
	return dirs, profile, profile.Validate()
}

// Open implements fs.FS: it opens a file by the name that profiles have.
func (b bootDirs) Open(name string) (fs.File, error) {
	if inside, ok := strings.CutPrefix(name, defaultDir+"/"); ok && b[defaultDir] != nil {
		if f, err := b[defaultDir].Open(inside); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	if b["."] != nil {
		return b["."].Open(name)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// rootDir is a directory that no link leads out of. Unlike os.Root it is looked up each time, so
// that one that is replaced as a whole is served at once.
type rootDir string

// Open implements fs.FS.
func (d rootDir) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return os.OpenInRoot(string(d), filepath.FromSlash(name))
}

// fileSet holds single files of this host by name, in one directory that can be listed.
type fileSet map[string]string

// Open implements fs.FS.
func (s fileSet) Open(name string) (fs.File, error) {
	if name == "." {
		return setDir{}, nil
	}
	return pxe.FileMap(s).Open(name)
}

// ReadDir implements fs.ReadDirFS.
func (s fileSet) ReadDir(name string) (out []fs.DirEntry, err error) {
	if name != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	for name, at := range s {
		info, err := os.Stat(at)
		if err != nil {
			return nil, err
		}
		out = append(out, namedEntry{fs.FileInfoToDirEntry(info), name})
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

type namedEntry struct {
	fs.DirEntry
	name string
}

// Name returns the chosen name.
func (e namedEntry) Name() string { return e.name }

// setDir is the directory of a fileSet.
type setDir struct{}

// Stat, Read and Close implement fs.File; the other methods implement fs.FileInfo.
func (setDir) Stat() (fs.FileInfo, error) { return setDir{}, nil }

func (setDir) Read([]byte) (int, error) { return 0, fs.ErrInvalid }
func (setDir) Close() error             { return nil }
func (setDir) Name() string             { return "." }
func (setDir) Size() int64              { return 0 }
func (setDir) Mode() fs.FileMode        { return fs.ModeDir | 0o555 }
func (setDir) ModTime() time.Time       { return time.Time{} }
func (setDir) IsDir() bool              { return true }
func (setDir) Sys() any                 { return nil }
