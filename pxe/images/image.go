package images

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// PieceSize is the size of the pieces of a new File. A rack serves a piece as soon as it has
// verified it: larger pieces make machines wait, smaller ones make the index large.
const PieceSize = 4 << 20

// maxPieces bounds the pieces of one file, so that an index cannot demand gigabytes of memory; at
// PieceSize it is a file of 256 GiB.
const maxPieces = 1 << 16

// Hash is a SHA-256. In JSON and text it is hexadecimal.
type Hash [sha256.Size]byte

// ParseHash reads 64 hexadecimal digits.
func ParseHash(text string) (h Hash, err error) {
	err = h.UnmarshalText([]byte(text))
	return h, err
}

// String returns 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("images: SHA-256 %.80q has %d digits, want 64", text, len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("images: SHA-256 %q: %v", text, err)
	}
	return nil
}

// File is the content of a name: by its hash, and by the hashes of its pieces, so that each piece
// is verified on its own.
type File struct {
	// Name is the name inside the image, such as "kernel".
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 Hash   `json:"sha256"`
	// Piece is the size of each of Pieces, except the last.
	Piece  int64  `json:"piece"`
	Pieces []Hash `json:"pieces"`
}

// Extent returns the place of a piece in the file.
func (f File) Extent(i int) (offset, size int64) {
	offset = int64(i) * f.Piece
	return offset, min(f.Piece, f.Size-offset)
}

// Verify reports whether data is piece i.
func (f File) Verify(i int, data []byte) bool {
	if i < 0 || i >= len(f.Pieces) {
		return false
	}
	_, size := f.Extent(i)
	return int64(len(data)) == size && sha256.Sum256(data) == f.Pieces[i]
}

// check reports the first field that is wrong.
func (f File) check() error {
	switch {
	case !ValidName(f.Name) || f.Name == ".":
		return fmt.Errorf("file name %q is no path that can be served", f.Name)
	case f.Size < 0:
		return fmt.Errorf("file %s has a size of %d", f.Name, f.Size)
	case f.Piece < 1 || f.Piece > 4*PieceSize:
		// A piece is held in memory, and travels in one call.
		return fmt.Errorf("file %s has pieces of %d bytes, want 1 to %d", f.Name, f.Piece, 4*PieceSize)
	}
	want := f.Size / f.Piece
	if f.Size%f.Piece > 0 {
		want++
	}
	if want > maxPieces || int64(len(f.Pieces)) != want {
		return fmt.Errorf("file %s of %d bytes has %d pieces, want %d of %d bytes, at most %d", f.Name, f.Size, len(f.Pieces), want, f.Piece, maxPieces)
	}
	return nil
}

// Image is a set of files below one name.
type Image struct {
	// Name is the path below which the files are served, such as "debian/12"; "." serves them at
	// the top.
	Name string `json:"name"`
	// Version is the version that the source names; it may be empty.
	Version string `json:"version,omitempty"`
	// Origin is the URL or directory of the files.
	Origin string `json:"origin,omitempty"`
	// Verified says how the files were verified, such as the key of a signature.
	Verified string `json:"verified,omitempty"`
	// Added holds the time when the files were stored. It is their time of change at all racks, so
	// that a machine that goes on with another rack gets the rest of the same file.
	Added time.Time `json:"added,omitzero"`
	Files []File    `json:"files"`
}

// Check reports the first mistake. Images that arrive from elsewhere are checked before use.
func (m Image) Check() error {
	if !ValidName(m.Name) {
		return fmt.Errorf("images: name %q is no path that can be served, want one such as debian/12", m.Name)
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		err := f.check()
		if err == nil && seen[f.Name] {
			err = fmt.Errorf("file %s occurs twice", f.Name)
		}
		if err != nil {
			return fmt.Errorf("images: %s: %w", m.Name, err)
		}
		seen[f.Name] = true
	}
	return nil
}

// Size returns the bytes of all files.
func (m Image) Size() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// ValidName reports whether a name can be written into the scripts of boot loaders and asked for
// through TFTP: a clean relative path without spaces, quotes and control characters.
func ValidName(name string) bool {
	if !fs.ValidPath(name) || len(name) > 255 {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f || strings.ContainsRune("\\$'\"{}`", c) {
			return false
		}
	}
	return true
}

// Index finds files by name. It is immutable, and may be used concurrently; the zero value and nil
// are empty.
type Index struct {
	images []Image
	files  map[string]indexed
}

type indexed struct {
	image *Image
	file  *File
}

// NewIndex makes an index of images. Two files of the same name are an error that names both
// images.
func NewIndex(images []Image) (*Index, error) {
	x := &Index{images: images, files: make(map[string]indexed)}
	for i := range images {
		m := &images[i]
		if err := m.Check(); err != nil {
			return nil, err
		}
		for j := range m.Files {
			name := path.Join(m.Name, m.Files[j].Name)
			if other, taken := x.files[name]; taken {
				return nil, fmt.Errorf("images: %s is in image %s and in image %s", name, other.image.Name, m.Name)
			}
			x.files[name] = indexed{m, &m.Files[j]}
		}
	}
	return x, nil
}

// Images returns the images. Callers must not modify them.
func (x *Index) Images() []Image {
	if x == nil {
		return nil
	}
	return x.images
}

// File returns the file of a name such as "debian/12/kernel".
func (x *Index) File(name string) (File, bool) {
	e, ok := x.find(name)
	if !ok {
		return File{}, false
	}
	return *e.file, true
}

func (x *Index) find(name string) (indexed, bool) {
	if x == nil {
		return indexed{}, false
	}
	e, ok := x.files[name]
	return e, ok
}

// errCorrupt marks content that is not what its hash says.
var errCorrupt = errors.New("content differs from its SHA-256")

// VerifyError names what a source sent that its checksums or signatures do not cover. What was
// stored before stays in service.
type VerifyError struct {
	File string // URL
	Why  string
}

// Error names the file and the reason.
func (e *VerifyError) Error() string { return fmt.Sprintf("images: %s: %s", e.File, e.Why) }
