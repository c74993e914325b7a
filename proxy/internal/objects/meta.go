package objects

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"time"
)

// Meta describes an object. It is not changed once it is in the store.
type Meta struct {
	URL string
	// Vary are the request fields that selected this response, as name and value, sorted by name.
	Vary   []Field
	Status int
	Header http.Header
	// Requested and Received are the times of the request and of its answer, or of the last
	// validation.
	Requested, Received time.Time
	// Size and Sum are the body's length and its CRC-32C.
	Size int64
	Sum  uint32
	// Targeted says that the response was asked for on behalf of its origin, see rfc9111.Response.
	Targeted bool
	// Boot is the boot id of the machine that wrote it.
	Boot string
	// Parts are the present parts of an incomplete body, which has no checksum. If nil, the body is
	// whole.
	Parts Extents
}

// Field is a header field.
type Field struct{ Name, Value string }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	sidecarMagic = "MOC2"
	maxSidecar   = 1 << 20 // bytes; more than any header that is accepted
)

var errSidecar = errors.New("the sidecar is damaged")

// encode lays a sidecar out: magic, CRC-32C of the rest, then the fields, strings with their length
// before them.
func (m *Meta) encode() []byte {
	b := append(make([]byte, 0, 1024), sidecarMagic+"\x00\x00\x00\x00"...)
	b = appendString(b, m.URL)
	b = binary.AppendUvarint(b, uint64(len(m.Vary)))
	for _, f := range m.Vary {
		b = appendString(appendString(b, f.Name), f.Value)
	}
	b = binary.AppendVarint(b, int64(m.Status))
	if m.Targeted {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Header)))
	for name, values := range m.Header {
		b = binary.AppendUvarint(appendString(b, name), uint64(len(values)))
		for _, v := range values {
			b = appendString(b, v)
		}
	}
	for _, t := range []time.Time{m.Requested, m.Received} {
		b = binary.AppendVarint(b, t.UnixNano())
	}
	b = binary.AppendVarint(b, m.Size)
	b = binary.AppendUvarint(b, uint64(m.Sum))
	b = appendString(b, m.Boot)
	b = binary.AppendUvarint(b, uint64(len(m.Parts)))
	for _, e := range m.Parts {
		b = binary.AppendVarint(binary.AppendVarint(b, e.Start), e.End)
	}
	sum(b)
	return b
}

// sum puts the checksum in its place.
func sum(b []byte) { binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli)) }

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decode reads what encode made, and refuses everything else.
func decode(b []byte) (*Meta, error) {
	if len(b) < 8 || string(b[:4]) != sidecarMagic || binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[8:], castagnoli) {
		return nil, errSidecar
	}
	r := reader{b: b[8:]}
	m := &Meta{URL: r.string(), Vary: make([]Field, 0, r.count())}
	for range cap(m.Vary) {
		m.Vary = append(m.Vary, Field{r.string(), r.string()})
	}
	m.Status, m.Targeted = int(r.int()), r.uint() == 1
	m.Header = make(http.Header)
	for range r.count() {
		name := r.string()
		values := make([]string, r.count())
		for i := range values {
			values[i] = r.string()
		}
		m.Header[name] = values
	}
	m.Requested, m.Received = time.Unix(0, r.int()), time.Unix(0, r.int())
	m.Size, m.Sum, m.Boot = r.int(), uint32(r.uint()), r.string()
	for range r.count() {
		m.Parts = append(m.Parts, Extent{r.int(), r.int()})
	}
	// The checksum is right, but a sidecar of another version may still say something else.
	if r.bad || len(r.b) > 0 || m.Size < 0 || !m.Parts.valid(m.Size) {
		return nil, errSidecar
	}
	return m, nil
}

// reader takes values off the front of b, and zeros once it went wrong.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) took(n int) {
	if n <= 0 {
		r.b, r.bad = nil, true
		return
	}
	r.b = r.b[n:]
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.took(n)
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	r.took(n)
	return v
}

// count is a number of things of at least one byte each, so it cannot exceed what is left.
func (r *reader) count() int {
	v := r.uint()
	// A length that lies must not allocate more than the file has.
	if v > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return 0
	}
	return int(v)
}

func (r *reader) string() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
