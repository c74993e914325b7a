// Package iso9660 reads files of ISO 9660 images: plain, with the names of Rock Ridge, or with
// those of Joliet.
//
//	fsys, err := iso9660.Open(f, size)
//	kernel, err := fsys.Open("casper/vmlinuz")
//
// Everything read is a stranger's: sizes and places are checked against the image, directories are
// bounded, and a directory that contains itself ends at the depth that ISO 9660 knows.
package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf16"
)

const (
	sector = 2048
	first  = 16 // sector of the first volume descriptor
	// maxDirectory bounds one directory in bytes, about 100,000 files.
	maxDirectory = 16 << 20
	// maxVolumes bounds the search for the last volume descriptor.
	maxVolumes = 64
	// maxDepth bounds the elements of a path; ISO 9660 allows 8, Rock Ridge more.
	maxDepth = 32
)

// Image is an opened image. It may be used concurrently.
type Image struct {
	r    io.ReaderAt
	size int64
	root extent
	wide bool // the names are Joliet's
	skip int  // bytes of the system use area before Rock Ridge
}

// extent is the place of a file or directory.
type extent struct {
	at, size int64
	dir      bool
}

// Open reads the volume descriptors.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	im := &Image{r: r, size: size}
	var primary, joliet []byte
	for i := range int64(maxVolumes) {
		d, err := im.read((first+i)*sector, sector)
		if err != nil {
			return nil, err
		}
		if string(d[1:6]) != "CD001" {
			return nil, errors.New("iso9660: not an ISO 9660 image")
		}
		switch d[0] {
		case 1:
			primary = d
		case 2:
			// The escape sequences of the three levels of UCS-2.
			if e := string(d[88:91]); e == "%/@" || e == "%/C" || e == "%/E" {
				joliet = d
			}
		}
		if d[0] == 255 {
			break
		}
	}
	if primary == nil {
		return nil, errors.New("iso9660: no primary volume descriptor")
	}
	// A download that broke off has all descriptors.
	if whole := int64(binary.LittleEndian.Uint32(primary[80:])) * sector; whole > size {
		return nil, fmt.Errorf("iso9660: the image is cut off: %d bytes of %d", size, whole)
	}
	root, _, err := im.record(primary[156:190])
	if err != nil {
		return nil, err
	}
	im.root = root.extent
	if im.rockRidge() || joliet == nil {
		return im, nil
	}
	if root, _, err = im.record(joliet[156:190]); err != nil {
		return nil, err
	}
	im.root, im.wide = root.extent, true
	return im, nil
}

// rockRidge reports whether the first record of the root has the signature of SUSP, after which
// names of Rock Ridge are looked for.
func (im *Image) rockRidge() bool {
	d, err := im.read(im.root.at, min(im.root.size, sector))
	if err != nil || len(d) < 34 || int(d[0]) < 34+7 || len(d) < int(d[0]) {
		return false
	}
	use := d[34:d[0]]
	if string(use[:2]) != "SP" || use[2] != 7 || use[4] != 0xbe || use[5] != 0xef {
		return false
	}
	im.skip = int(use[6])
	return true
}

func (im *Image) read(at, n int64) ([]byte, error) {
	if at < 0 || n < 0 || at > im.size || n > im.size-at {
		return nil, fmt.Errorf("iso9660: %d bytes at %d are outside of the image of %d bytes", n, at, im.size)
	}
	b := make([]byte, n)
	if _, err := im.r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

type record struct {
	extent
	name  string
	use   []byte
	multi bool // the file goes on in another extent
}

// record reads a directory record and returns what follows it.
func (im *Image) record(b []byte) (r record, rest []byte, err error) {
	n := int(b[0])
	if n < 34 || n > len(b) || int(b[32]) > n-33 {
		return r, nil, errors.New("iso9660: damaged directory record")
	}
	r.at = int64(binary.LittleEndian.Uint32(b[2:])) * sector
	r.size = int64(binary.LittleEndian.Uint32(b[10:]))
	r.dir, r.multi = b[25]&2 != 0, b[25]&0x80 != 0
	end := 33 + int(b[32])
	raw := b[33:end]
	if end%2 == 1 && end < n {
		end++ // padding
	}
	r.use = b[end:n]
	switch {
	case len(raw) == 1 && raw[0] < 2: // itself and its parent
	case im.wide:
		r.name = ucs2(raw)
	default:
		r.name = strings.ToLower(string(raw))
	}
	r.name, _, _ = strings.Cut(r.name, ";")
	if !im.wide {
		r.name = strings.TrimSuffix(r.name, ".")
		if nm := rockRidgeName(r.use, im.skip); nm != "" && r.name != "" {
			r.name = nm
		}
	}
	return r, b[n:], nil
}

func ucs2(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// rockRidgeName joins the NM entries of a system use area. Continuation areas, which hold names
// beyond 200 characters, are not followed.
func rockRidgeName(use []byte, skip int) string {
	if skip > len(use) {
		return ""
	}
	var name []byte
	for use = use[skip:]; len(use) >= 5; {
		n := int(use[2])
		if n < 4 || n > len(use) {
			break
		}
		if bytes.Equal(use[:2], []byte("NM")) && n > 5 && use[4]&6 == 0 { // no "." and ".."
			name = append(name, use[5:n]...)
		}
		use = use[n:]
	}
	return string(name)
}

// find returns the record of a name in a directory.
func (im *Image) find(dir extent, name string) (record, error) {
	if dir.size > maxDirectory {
		return record{}, fmt.Errorf("iso9660: directory of %d bytes, want at most %d", dir.size, maxDirectory)
	}
	b, err := im.read(dir.at, dir.size)
	if err != nil {
		return record{}, err
	}
	var folded *record
	for len(b) > 0 {
		if b[0] == 0 { // the rest of the sector is empty
			b = b[min(len(b), (len(b)-1)%sector+1):]
			continue
		}
		var r record
		if r, b, err = im.record(b); err != nil {
			return record{}, err
		}
		if r.name == name && r.name != "" {
			return r, nil
		}
		if folded == nil && r.name != "" && strings.EqualFold(r.name, name) {
			folded = &r
		}
	}
	if folded != nil {
		return *folded, nil
	}
	return record{}, fs.ErrNotExist
}

// Open returns the content of a regular file. A name that only differs in case is found too: plain
// ISO 9660 has capitals only.
func (im *Image) Open(name string) (*io.SectionReader, error) {
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	at := im.root
	at.dir = true
	for _, part := range parts {
		if !at.dir {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		r, err := im.find(at, part)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		if r.multi {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("files of several extents, of 4 GiB and more, are not supported")}
		}
		at = r.extent
	}
	if at.dir {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a directory")}
	}
	if at.at > im.size || at.size > im.size-at.at {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is outside of the image, which is cut off")}
	}
	return io.NewSectionReader(im.r, at.at, at.size), nil
}
