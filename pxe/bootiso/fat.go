package bootiso

import (
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Sizes of the EFI system partition: FAT16 with clusters of one sector. Its kind follows from the
// number of clusters alone (Microsoft's FAT specification 1.03, page 14).
const (
	cluster     = 512
	minClusters = 4085
	maxClusters = 65_524
	// maxESP is the most that the 16-bit count of an El Torito entry says, in sectors.
	maxESP      = 65_535
	rootEntries = 512
	entrySize   = 32
)

// fat is a FAT16 file system as it is made.
type fat struct {
	next  int // cluster; the first has number 2
	chain []uint16
	data  []byte // of all clusters
}

// fatNode is a file or directory.
type fatNode struct {
	name string // in capitals
	file *File  // nil = directory
	subs []*fatNode
}

// newFAT makes a file system of files.
func newFAT(files []File) ([]byte, error) {
	root := &fatNode{}
	for i := range files {
		if err := root.add(&files[i]); err != nil {
			return nil, err
		}
	}
	f := &fat{next: 2, chain: []uint16{0xfff8, 0xffff}}
	top, err := f.directory(root, 0, 0)
	if err != nil {
		return nil, err
	}
	if len(top) > rootEntries*entrySize {
		return nil, fmt.Errorf("bootiso: the EFI system partition has more than %d files at its top", rootEntries)
	}
	return f.image(top)
}

// add puts a file into the tree below a directory.
func (n *fatNode) add(file *File) error {
	name := strings.ToUpper(file.Name)
	for part := range strings.SplitSeq(name, "/") {
		base, ext, dot := strings.Cut(part, ".")
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
		if base == "" || len(base) > 8 || len(ext) > 3 || dot && ext == "" || strings.Trim(base+ext, letters) != "" {
			return fmt.Errorf("bootiso: %q: names of the EFI system partition have up to eight letters, digits, dashes and underscores, and three behind a dot", file.Name)
		}
		i := slices.IndexFunc(n.subs, func(s *fatNode) bool { return s.name == part })
		if i < 0 {
			i = len(n.subs)
			n.subs = append(n.subs, &fatNode{name: part})
		}
		n = n.subs[i]
		if n.file != nil {
			return fmt.Errorf("bootiso: %q is in the EFI system partition twice", file.Name)
		}
	}
	if len(n.subs) > 0 {
		return fmt.Errorf("bootiso: %q is a file and a directory of the EFI system partition", file.Name)
	}
	n.file = file
	return nil
}

// take reserves clusters for content, and returns the first; 0 = none, of an empty file.
func (f *fat) take(size int64) (first int, room []byte, err error) {
	count := int((size + cluster - 1) / cluster)
	if f.next+count > maxClusters {
		return 0, nil, fmt.Errorf("bootiso: the EFI system partition has more than %d MiB; put larger files into the image", maxClusters*cluster>>20)
	}
	if count == 0 {
		return 0, nil, nil
	}
	first = f.next
	for i := range count {
		f.chain = append(f.chain, uint16(first+i+1))
	}
	f.chain[len(f.chain)-1] = 0xffff // the end of the chain
	f.next += count
	at := len(f.data)
	f.data = append(f.data, make([]byte, count*cluster)...)
	return first, f.data[at:], nil
}

// directory returns the entries of a directory, after it has placed what is below it. Own is the
// cluster of the directory itself and up its parent's; 0 = the root.
func (f *fat) directory(n *fatNode, own, up int) ([]byte, error) {
	var b []byte
	if n.name != "" {
		b = append(entry(".", own, 0, true), entry("..", up, 0, true)...)
	}
	for _, s := range n.subs {
		if s.file != nil {
			first, room, err := f.take(s.file.Size)
			if err != nil {
				return nil, err
			}
			if _, err := io.ReadFull(io.NewSectionReader(s.file.From, 0, s.file.Size), room[:s.file.Size]); err != nil {
				return nil, fmt.Errorf("bootiso: %s: %w", s.file.Name, err)
			}
			b = append(b, entry(s.name, first, uint32(s.file.Size), false)...)
			continue
		}
		first, _, err := f.take(int64(entrySize * (2 + len(s.subs))))
		if err != nil {
			return nil, err
		}
		sub, err := f.directory(s, first, own)
		if err != nil {
			return nil, err
		}
		copy(f.data[(first-2)*cluster:], sub)
		b = append(b, entry(s.name, first, 0, true)...)
	}
	return b, nil
}

// entry is an entry of a directory.
func entry(name string, first int, size uint32, dir bool) []byte {
	b := make([]byte, entrySize)
	base, ext := name, ""
	if name != "." && name != ".." {
		ext = strings.TrimPrefix(path.Ext(name), ".")
		base = strings.TrimSuffix(name, path.Ext(name))
	}
	copy(b, fmt.Sprintf("%-8s%-3s", base, ext))
	b[11] = 0x20 // archive
	if dir {
		b[11] = 0x10
	}
	binary.LittleEndian.PutUint16(b[24:], 1<<5|1) // 1980-01-01, the first day there is
	binary.LittleEndian.PutUint16(b[26:], uint16(first))
	binary.LittleEndian.PutUint32(b[28:], size)
	return b
}

// image puts the parts together: boot sector, two tables, root and clusters.
func (f *fat) image(top []byte) ([]byte, error) {
	clusters := max(f.next-2, minClusters)
	table := (2*(clusters+2) + cluster - 1) / cluster // in sectors
	const root = rootEntries * entrySize / cluster
	total := 1 + 2*table + root + clusters
	if total > maxESP {
		return nil, fmt.Errorf("bootiso: the EFI system partition has %d sectors, El Torito %d at most; put larger files into the image", total, maxESP)
	}
	b := make([]byte, total*cluster)
	le := binary.LittleEndian
	copy(b, "\xeb\x3c\x90MAAS    ")
	le.PutUint16(b[11:], cluster)
	b[13] = 1               // sectors in a cluster
	le.PutUint16(b[14:], 1) // sectors before the tables
	b[16] = 2               // tables
	le.PutUint16(b[17:], rootEntries)
	le.PutUint16(b[19:], uint16(total))
	b[21] = 0xf8 // a disk, as in the first entry of the tables
	le.PutUint16(b[22:], uint16(table))
	le.PutUint16(b[24:], 32) // sectors and heads: any
	le.PutUint16(b[26:], 64)
	b[36], b[38] = 0x80, 0x29
	copy(b[43:], "MAAS       FAT16   ")
	copy(b[510:], "\x55\xaa")
	for copies := range 2 {
		at := (1 + copies*table) * cluster
		for i, next := range f.chain {
			le.PutUint16(b[at+2*i:], next)
		}
	}
	copy(b[(1+2*table)*cluster:], top)
	copy(b[(1+2*table+root)*cluster:], f.data)
	return b, nil
}
