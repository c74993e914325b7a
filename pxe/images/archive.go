package images

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gomaas/maas/pxe/internal/iso9660"
)

// isoLayouts are the places where distributions keep kernel and initrd in their ISO images.
var isoLayouts = [][2]string{
	{"casper/vmlinuz", "casper/initrd"},                                        // Ubuntu
	{"install.amd/vmlinuz", "install.amd/initrd.gz"},                           // Debian
	{"install.a64/vmlinuz", "install.a64/initrd.gz"},                           // on arm64
	{"live/vmlinuz", "live/initrd.img"},                                        // Debian's live images
	{"images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"},                    // Fedora, AlmaLinux
	{"boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"},                  // openSUSE
	{"boot/aarch64/linux", "boot/aarch64/initrd"},                              // on arm64
	{"boot/vmlinuz-lts", "boot/initramfs-lts"},                                 // Alpine
	{"boot/vmlinuz", "boot/initramfs.xz"},                                      // Talos
	{"arch/boot/x86_64/vmlinuz-linux", "arch/boot/x86_64/initramfs-linux.img"}, // Arch Linux
	{"flatcar/vmlinuz", "flatcar/cpio.gz"},                                     // Flatcar
	{"coreos/vmlinuz", "coreos/initrd.img"},
}

// extract stores the files of a verified archive.
func (r *run) extract(ctx context.Context, w want, f *os.File) (err error) {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var files []File
	if strings.HasSuffix(r.Archive, ".iso") {
		files, err = r.Store.fromISO(ctx, f, info.Size(), r.filled(r.Files))
	} else {
		files, err = r.Store.fromTar(ctx, io.NewSectionReader(f, 0, info.Size()), r.filled(r.Files))
	}
	if err != nil {
		return fmt.Errorf("images: %s: %w", w.url, err)
	}
	r.image.Files = append(r.image.Files, files...)
	return nil
}

func (r *run) filled(files map[string]string) map[string]string {
	out := make(map[string]string, len(files))
	for name, at := range files {
		out[name] = r.fill(at)
	}
	return out
}

// ISO stores files of an ISO 9660 image: paths by name, or, if empty, kernel and initrd where
// distributions keep them.
func (f *Fetcher) ISO(ctx context.Context, iso io.ReaderAt, size int64, paths map[string]string) (Image, error) {
	files, err := f.Store.fromISO(ctx, iso, size, paths)
	if err != nil {
		return Image{}, fmt.Errorf("images: %w", err)
	}
	return Image{Files: files, Verified: "copied from an ISO image"}, nil
}

func (s *Store) fromISO(ctx context.Context, iso io.ReaderAt, size int64, paths map[string]string) (files []File, err error) {
	im, err := iso9660.Open(iso, size)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		if paths = findKernel(im); paths == nil {
			return nil, errors.New("holds no kernel and initrd at a known place; name their paths")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		r, err := im.Open(paths[name])
		if err != nil {
			return nil, err
		}
		f, err := s.Write(ctx, name, r)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func findKernel(im *iso9660.Image) map[string]string {
	for _, l := range isoLayouts {
		_, kerr := im.Open(l[0])
		_, ierr := im.Open(l[1])
		if kerr == nil && ierr == nil {
			return map[string]string{"kernel": l[0], "initrd": l[1]}
		}
	}
	return nil
}

// fromTar stores files of a tar.gz, in one pass.
func (s *Store) fromTar(ctx context.Context, r io.Reader, paths map[string]string) (files []File, err error) {
	names := make(map[string]string, len(paths))
	for name, at := range paths {
		names[path.Clean(at)] = name
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	for t := tar.NewReader(z); len(names) > 0; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at := path.Clean(strings.TrimPrefix(h.Name, "/"))
		name, wanted := names[at]
		if !wanted || h.Typeflag != tar.TypeReg {
			continue
		}
		f, err := s.Write(ctx, name, t)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		delete(names, at)
	}
	for at := range names {
		return nil, &fs.PathError{Op: "open", Path: at, Err: fs.ErrNotExist}
	}
	return files, nil
}
