// Program image writes the OCI image of maas as an archive: one static binary for each processor, a
// user without rights, and the two capabilities that a rack needs on the binary.
//
//	image 0.1.0 gomaas.oci.tar amd64=dist/amd64/maas arm64=dist/arm64/maas
//
// The same input gives the same octets: all times are SOURCE_DATE_EPOCH, or the beginning of 1970.
package main

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	user    = 65532 // number of the image's user and group
	dataDir = "/var/lib/gomaas"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: image VERSION ARCHIVE ARCH=BINARY...")
	}
	epoch, err := sourceDate()
	if err != nil {
		return err
	}
	images := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arg := range args[2:] {
		arch, path, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q names no binary: write ARCH=BINARY", arg)
		}
		img, err := image(args[0], arch, path, epoch)
		if err != nil {
			return err
		}
		images = mutate.AppendManifests(images, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	// The archive names one thing, the index of all processors.
	return archive(mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: images}), args[1], epoch)
}

// sourceDate returns the time of all files, see
// https://reproducible-builds.org/specs/source-date-epoch.
func sourceDate() (time.Time, error) {
	given := os.Getenv("SOURCE_DATE_EPOCH")
	if given == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(given, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is no number of seconds", given)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// image returns the image for one processor.
func image(version, arch, path string, epoch time.Time) (v1.Image, error) {
	files, err := rootFiles(path, epoch)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "gomaas"}})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Architecture, config.OS, config.Created = arch, "linux", v1.Time{Time: epoch}
	config.Config = v1.Config{
		User: fmt.Sprintf("%d:%d", user, user), Entrypoint: []string{"/usr/bin/maas"}, Cmd: []string{"--help"},
		Volumes: map[string]struct{}{dataDir: {}}, WorkingDir: dataDir,
		ExposedPorts: map[string]struct{}{
			"53/tcp": {}, "53/udp": {}, "67/udp": {}, "69/udp": {}, "547/udp": {}, "5240/tcp": {}, "5248/tcp": {}, "5250/tcp": {}, "8000/tcp": {},
		},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "gomaas",
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   "https://github.com/gomaas/maas",
			"io.gomaas.capabilities":            "NET_BIND_SERVICE,NET_RAW",
		},
	}
	return mutate.ConfigFile(img, config)
}

// rootFiles returns the files of the image, in tar form.
func rootFiles(path string, epoch time.Time) ([]byte, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range []tar.Header{
		{Name: "usr/", Mode: 0o755}, {Name: "usr/bin/", Mode: 0o755},
		{Name: "usr/bin/maas", Mode: 0o755, Size: int64(len(program)), PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capabilities()}},
		{Name: "tmp/", Mode: 0o1777},
		{Name: "var/", Mode: 0o755}, {Name: "var/lib/", Mode: 0o755},
		{Name: dataDir[1:] + "/", Mode: 0o700, Uid: user, Gid: user},
	} {
		h.ModTime, h.Format = epoch, tar.FormatPAX
		h.Typeflag = tar.TypeReg
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if h.Size > 0 {
			if _, err := w.Write(program); err != nil {
				return nil, err
			}
		}
	}
	return out.Bytes(), w.Close()
}

// capabilities is the extended attribute that gives the binary CAP_NET_BIND_SERVICE (10) and
// CAP_NET_RAW (13), permitted and effective: struct vfs_cap_data of linux/capability.h, revision 2.
// A container that lacks one of them cannot start it.
func capabilities() string {
	const revision, effective = 0x02000000, 0x000001
	var b []byte
	for _, word := range []uint32{revision | effective, 1<<10 | 1<<13, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	return string(b)
}

// archive writes the index with all that it names as an OCI layout in a tar file.
func archive(index v1.ImageIndex, path string, epoch time.Time) (err error) {
	dir, err := os.MkdirTemp("", "maas-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if _, err := layout.Write(dir, index); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	if err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: rel, Mode: 0o644, Size: int64(len(content)), ModTime: epoch}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}); err != nil {
		return err
	}
	return w.Close()
}
