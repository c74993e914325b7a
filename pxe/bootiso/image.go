package bootiso

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// sector is the unit of ISO 9660, in bytes.
const sector = 2048

// Content holds the files of an image and says which of them firmware starts.
type Content struct {
	// Volume is the name of the volume: up to 32 capitals, digits and underscores. Empty means
	// MAAS.
	Volume string
	// Files are the files, by their paths.
	Files []File
	// BIOS names the file that BIOS loads. ISOLINUX reads from a table in it where it lies, which
	// is filled in. If empty, BIOS does not boot the image.
	BIOS string
	// ESP are the files of the EFI system partition, whose names have up to eight characters and
	// three behind a dot. If empty, UEFI does not boot the image.
	ESP []File
}

// File is a file of an image.
type File struct {
	// Name is its path with slashes: letters, digits, dots, dashes and underscores, at most 30
	// characters in each element.
	Name string
	Size int64
	// From holds the content, and is read when the image is.
	From io.ReaderAt
}

// Bytes returns a file with a content in memory.
func Bytes(name string, content []byte) File {
	return File{Name: name, Size: int64(len(content)), From: bytes.NewReader(content)}
}

// Image is an image that can be read.
type Image struct {
	size  int64
	parts []part // by place, without overlap; what lies between them is zero
}

// part is content at a place of the image.
type part struct {
	at, size int64
	from     io.ReaderAt
}

// Size is the size of the image in bytes.
func (im *Image) Size() int64 { return im.size }

// Reader returns a reader of the whole image.
func (im *Image) Reader() *io.SectionReader { return io.NewSectionReader(im, 0, im.size) }

// ReadAt implements io.ReaderAt.
func (im *Image) ReadAt(b []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("bootiso: negative offset")
	}
	if at >= im.size {
		return 0, io.EOF
	}
	if rest := im.size - at; int64(len(b)) > rest {
		b, err = b[:rest], io.EOF
	}
	clear(b)
	first, _ := slices.BinarySearchFunc(im.parts, at, func(p part, at int64) int { return cmp.Compare(p.at+p.size, at+1) })
	for _, p := range im.parts[first:] {
		if p.at >= at+int64(len(b)) {
			break
		}
		from, to := max(p.at, at), min(p.at+p.size, at+int64(len(b)))
		got, rerr := p.from.ReadAt(b[from-at:to-at], from-p.at)
		if int64(got) < to-from { // a file that shrank since must not become zeros
			return int(from-at) + got, fmt.Errorf("bootiso: %w", cmp.Or(rerr, io.ErrUnexpectedEOF))
		}
	}
	return len(b), err
}

// Places of the descriptors, in sectors. The first 16 sectors belong to the system.
const (
	primaryAt    = 16
	bootRecordAt = 17
	terminatorAt = 18
	pathTableAt  = 19 // little-endian, then big-endian
	catalogAt    = 21
	treeAt       = 22
)

// layout places files as an image is made.
type layout struct {
	next  int64 // sector
	parts []part
}

// put places content at the next sector, and returns that.
func (l *layout) put(from io.ReaderAt, size int64) int64 {
	at := l.next
	if size > 0 {
		l.parts = append(l.parts, part{at * sector, size, from})
	}
	l.next += (size + sector - 1) / sector
	return at
}

func (l *layout) bytes(at int64, b []byte) {
	l.parts = append(l.parts, part{at * sector, int64(len(b)), bytes.NewReader(b)})
}

// New checks content and lays out an image of it.
func New(c Content) (*Image, error) {
	if c.Volume = cmp.Or(c.Volume, "MAAS"); len(c.Volume) > 32 || strings.Trim(c.Volume, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return nil, fmt.Errorf("bootiso: volume %q: want up to 32 capitals, digits and underscores", c.Volume)
	}
	tree, err := newTree(c.Files)
	if err != nil {
		return nil, err
	}
	l := &layout{next: treeAt}
	for _, d := range tree.all {
		d.at = l.next
		l.next++
	}
	places := make(map[string]int64)
	for _, f := range c.Files {
		places[f.Name] = l.next
		from := f.From
		if f.Name == c.BIOS {
			if from, err = withTable(f, l.next); err != nil {
				return nil, err
			}
		}
		l.put(from, f.Size)
	}
	catalog, err := c.catalog(l, places)
	if err != nil {
		return nil, err
	}
	l.bytes(catalogAt, catalog)
	for _, d := range tree.all {
		b, err := d.records(places)
		if err != nil {
			return nil, err
		}
		l.bytes(d.at, b)
	}
	l.bytes(pathTableAt, tree.paths(binary.LittleEndian))
	l.bytes(pathTableAt+1, tree.paths(binary.BigEndian))
	l.bytes(primaryAt, primary(c.Volume, l.next, tree))
	l.bytes(bootRecordAt, bootRecord())
	l.bytes(terminatorAt, append([]byte{255}, "CD001\x01"...))
	slices.SortFunc(l.parts, func(a, b part) int { return cmp.Compare(a.at, b.at) })
	return &Image{size: l.next * sector, parts: l.parts}, nil
}

// maxProgram bounds the program for BIOS, which is read into memory; ISOLINUX has 40 KB.
const maxProgram = 1 << 20

// withTable fills in the boot information table at bytes 8 to 63 of a program (the -boot-info-table
// of mkisofs), by which ISOLINUX finds the rest of itself: BIOS loads 2 KB.
func withTable(f File, at int64) (io.ReaderAt, error) {
	if f.Size < 64 || f.Size > maxProgram {
		return nil, fmt.Errorf("bootiso: %s has %d bytes, want a program for BIOS of 64 bytes to 1 MiB", f.Name, f.Size)
	}
	b := make([]byte, f.Size, f.Size+3)
	if _, err := io.ReadFull(io.NewSectionReader(f.From, 0, f.Size), b); err != nil {
		return nil, fmt.Errorf("bootiso: %s: %w", f.Name, err)
	}
	le, sum := binary.LittleEndian, uint32(0)
	for rest := append(b[64:len(b):len(b)], 0, 0, 0); len(rest) >= 4; rest = rest[4:] {
		sum += le.Uint32(rest)
	}
	clear(b[8:64])
	le.PutUint32(b[8:], primaryAt)
	le.PutUint32(b[12:], uint32(at))
	le.PutUint32(b[16:], uint32(f.Size))
	le.PutUint32(b[20:], sum)
	return bytes.NewReader(b), nil
}

// catalog makes the boot catalog of El Torito 1.0, and places the EFI system partition.
func (c Content) catalog(l *layout, places map[string]int64) ([]byte, error) {
	const (
		bootable = 0x88
		efi      = 0xef
	)
	le := binary.LittleEndian
	entry := func(count int, at int64) []byte { // a program that is loaded without emulation
		b := make([]byte, 32)
		b[0] = bootable
		le.PutUint16(b[6:], uint16(count))
		le.PutUint32(b[8:], uint32(at))
		return b
	}
	head := make([]byte, 32)
	head[0] = 1
	copy(head[30:], "\x55\xaa")
	var entries []byte
	if c.BIOS != "" {
		at, ok := places[c.BIOS]
		if !ok {
			return nil, fmt.Errorf("bootiso: the image has no file %q for BIOS", c.BIOS)
		}
		entries = entry(4, at) // 2 KB, the most that all BIOSes load
	}
	if len(c.ESP) > 0 {
		esp, err := newFAT(c.ESP)
		if err != nil {
			return nil, err
		}
		at := l.put(bytes.NewReader(esp), int64(len(esp)))
		if c.BIOS == "" {
			head[1] = efi // the first entry is of the platform in the head
		} else {
			section := make([]byte, 32)
			section[0], section[1], section[2] = 0x91, efi, 1 // the last section, with one entry
			entries = append(entries, section...)
		}
		entries = append(entries, entry(len(esp)/512, at)...)
	}
	if entries == nil {
		return nil, errors.New("bootiso: neither a program for BIOS nor files for UEFI: no firmware would boot the image")
	}
	sum := uint16(0)
	for i := 0; i < len(head); i += 2 {
		sum += le.Uint16(head[i:])
	}
	le.PutUint16(head[28:], -sum) // the words of the head add up to zero
	return append(head, entries...), nil
}

// both appends a number in both byte orders, as most fields of ISO 9660 have it.
func both(b []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, n), n)
}

func both16(b []byte, n uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, n), n)
}

// primary is the primary volume descriptor (ECMA-119 section 8.4).
func primary(volume string, sectors int64, t *tree) []byte {
	b := append(make([]byte, 0, sector), "\x01CD001\x01\x00"...)
	b = append(b, fmt.Sprintf("%-32s%-32s", "", volume)...)
	b = both(append(b, make([]byte, 8)...), uint32(sectors))
	b = append(b, make([]byte, 32)...)
	b = both16(both16(both16(b, 1), 1), sector)
	b = both(b, uint32(len(t.paths(binary.LittleEndian))))
	le, be := binary.LittleEndian, binary.BigEndian
	b = le.AppendUint32(le.AppendUint32(b, pathTableAt), 0)
	b = be.AppendUint32(be.AppendUint32(b, pathTableAt+1), 0)
	b = append(b, record("\x00", t.all[0].at, sector, true)...)
	b = append(b, fmt.Sprintf("%-623s", "")...) // names of the publisher and of files about it
	for range 4 {                               // times of creation and the like
		b = append(append(b, strings.Repeat("0", 16)...), 0) // not specified
	}
	return append(b, 1, 0)
}

// bootRecord points to the catalog.
func bootRecord() []byte {
	b := make([]byte, 75)
	copy(b, "\x00CD001\x01EL TORITO SPECIFICATION")
	binary.LittleEndian.PutUint32(b[71:], catalogAt)
	return b
}

// directory is a directory of the image, in one sector.
type directory struct {
	path   string
	parent *directory
	number int // in the path table, from 1
	at     int64
	dirs   []*directory
	files  []File
}

// tree is all directories, parents first, as the path table wants them.
type tree struct{ all []*directory }

// maxElement bounds a name, so that it fits ISO 9660 level 2 with its version.
const maxElement = 30

func newTree(files []File) (*tree, error) {
	t, byPath, seen := &tree{}, map[string]*directory{}, map[string]bool{}
	var find func(name string) *directory
	find = func(name string) *directory {
		if d := byPath[name]; d != nil {
			return d
		}
		d := &directory{path: name}
		byPath[name] = d
		t.all = append(t.all, d)
		if name != "." {
			// Append may have been before the parent's; the sort below mends the order.
			d.parent = find(path.Dir(name))
			d.parent.dirs = append(d.parent.dirs, d)
		} else {
			d.parent = d
		}
		return d
	}
	find(".")
	for _, f := range files {
		if err := checkName(f); err != nil {
			return nil, err
		}
		if key := strings.ToUpper(f.Name); seen[key] {
			return nil, fmt.Errorf("bootiso: two files are called %s; names differ in more than case", f.Name)
		} else {
			seen[key] = true
		}
		d := find(path.Dir(f.Name))
		d.files = append(d.files, f)
	}
	slices.SortStableFunc(t.all, func(a, b *directory) int {
		return cmp.Or(cmp.Compare(depth(a.path), depth(b.path)), strings.Compare(a.path, b.path))
	})
	for i, d := range t.all {
		d.number = i + 1
	}
	return t, nil
}

func depth(name string) int {
	if name == "." {
		return 0
	}
	return 1 + strings.Count(name, "/")
}

func checkName(f File) error {
	if f.Size < 0 || f.Size >= 4<<30 {
		return fmt.Errorf("bootiso: %s has %d bytes; a file of an image has less than 4 GiB", f.Name, f.Size)
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if path.Clean(f.Name) != f.Name || depth(f.Name) > 8 {
		return fmt.Errorf("bootiso: %q is no path below the image, or has more than 8 elements", f.Name)
	}
	for part := range strings.SplitSeq(f.Name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > maxElement || strings.Trim(part, letters) != "" {
			return fmt.Errorf("bootiso: %q: an element of a path has 1 to %d letters, digits, dots, dashes and underscores", f.Name, maxElement)
		}
	}
	return nil
}

// record is a directory record (ECMA-119 section 9.1).
func record(id string, at, size int64, dir bool) []byte {
	b := both(both([]byte{0, 0}, uint32(at)), uint32(size))
	b = append(b, make([]byte, 7)...) // the time, not specified
	flags := byte(0)
	if dir {
		flags = 2
	}
	b = both16(append(b, flags, 0, 0), 1)
	b = append(append(b, byte(len(id))), id...)
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	b[0] = byte(len(b))
	return b
}

// fileID is the name of a file in its directory. A name without a dot gets one, and all have a
// version.
func fileID(name string) string {
	name = strings.ToUpper(path.Base(name))
	if !strings.Contains(name, ".") {
		name += "."
	}
	return name + ";1"
}

// records is the content of a directory.
func (d *directory) records(places map[string]int64) ([]byte, error) {
	var entries []string
	byID := map[string][]byte{}
	add := func(id string, r []byte) { entries, byID[id] = append(entries, id), r }
	for _, sub := range d.dirs {
		id := strings.ToUpper(path.Base(sub.path))
		add(id, record(id, sub.at, sector, true))
	}
	for _, f := range d.files {
		add(fileID(f.Name), record(fileID(f.Name), places[f.Name], f.Size, false))
	}
	slices.Sort(entries)
	b := append(record("\x00", d.at, sector, true), record("\x01", d.parent.at, sector, true)...)
	for _, id := range entries {
		b = append(b, byID[id]...)
	}
	if len(b) > sector {
		return nil, fmt.Errorf("bootiso: directory %s has too many files for one sector; use more directories", d.path)
	}
	return append(b, make([]byte, sector-len(b))...), nil
}

// paths is the path table (ECMA-119 section 9.4).
func (t *tree) paths(order binary.AppendByteOrder) (b []byte) {
	for _, d := range t.all {
		id := strings.ToUpper(path.Base(d.path))
		if d.path == "." {
			id = "\x00"
		}
		b = append(b, byte(len(id)), 0)
		b = order.AppendUint16(order.AppendUint32(b, uint32(d.at)), uint16(d.parent.number))
		b = append(b, id...)
		if len(id)%2 == 1 {
			b = append(b, 0)
		}
	}
	return b
}
