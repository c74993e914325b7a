package record

import (
	"encoding/binary"
	"net/netip"
)

// Fields reads a payload, one field after the other.
type Fields struct {
	B   []byte // the rest
	Bad bool   // the payload ended too soon
}

// Take returns the next n bytes, or nil when there are fewer.
func (f *Fields) Take(n int) []byte {
	if n < 0 || n > len(f.B) {
		f.Bad, f.B = true, nil
		return nil
	}
	v := f.B[:n:n]
	f.B = f.B[n:]
	return v
}

// Byte reads one byte.
func (f *Fields) Byte() byte {
	if v := f.Take(1); v != nil {
		return v[0]
	}
	return 0
}

// Varint reads a signed number.
func (f *Fields) Varint() int64 {
	v, n := binary.Varint(f.B)
	if n <= 0 {
		n = -1
	}
	f.Take(n)
	return v
}

// Uvarint reads an unsigned number.
func (f *Fields) Uvarint() uint64 {
	v, n := binary.Uvarint(f.B)
	if n <= 0 {
		n = -1
	}
	f.Take(n)
	return v
}

// span returns a length-prefixed text, nil when it is empty.
func (f *Fields) span() []byte {
	v, n := binary.Uvarint(f.B)
	if n <= 0 || v > maxLen {
		n, v = -1, 0
	}
	f.Take(n)
	if v == 0 {
		return nil
	}
	return f.Take(int(v))
}

// Text reads a text.
func (f *Fields) Text() string { return string(f.span()) }

// Bytes reads a text into memory of its own.
func (f *Fields) Bytes() []byte { return append([]byte(nil), f.span()...) }

// Addr reads an address.
func (f *Fields) Addr() netip.Addr {
	a, _ := netip.AddrFromSlice(f.span())
	return a
}
