// Package record frames what is stored of a lease, in the journal and between failover partners.
//
// A record is a mark, the length of the payload, a CRC-32C of length and payload, and the payload:
// state, times and address of the lease, then further fields in a fixed order. Later versions may
// append fields; a reader ignores what it does not know.
package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

const (
	mark      = 0x4cd4 // little endian, so the bytes are d4 4c
	HeaderLen = 8      // mark, length and checksum
	maxLen    = 1<<16 - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrInvalid reports that bytes are no valid record.
var ErrInvalid = errors.New("no valid record")

// Head holds the fields of a record that a store needs to keep it.
type Head struct {
	State      byte
	Start, End int64 // Unix nanoseconds
	Addr       netip.Addr
	VRF        string // routing domain of Addr; "" = the global one
}

// inVRF marks, in the byte of the state, that the name of a domain follows the address. It stands
// in the head and not at the end, so that a store knows what a record replaces without reading all
// of it.
const inVRF = 0x80

// Key returns what distinguishes the records of a store: the address, which carries the name of its
// domain as a zone. In the global domain it is the address itself, at no cost in memory.
func Key(a netip.Addr, vrf string) netip.Addr {
	if vrf == "" {
		return a
	}
	return netip.AddrFrom16(a.As16()).WithZone(vrf) // only addresses of 16 bytes have zones
}

// Key returns the key of a record.
func (h *Head) Key() netip.Addr { return Key(h.Addr, h.VRF) }

// Append appends a header without contents and the first fields of the payload.
func Append(b []byte, h Head) []byte {
	if h.VRF != "" {
		h.State |= inVRF
	}
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, h.State)
	b = binary.AppendVarint(binary.AppendVarint(b, h.Start), h.End)
	b = AppendAddr(b, h.Addr)
	if h.VRF != "" {
		b = AppendText(b, h.VRF)
	}
	return b
}

// Seal fills in the header of a record whose payload is complete.
func Seal(b []byte) {
	binary.LittleEndian.PutUint16(b, mark)
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)-HeaderLen))
	binary.LittleEndian.PutUint32(b[4:], checksum(b[2:4], b[HeaderLen:]))
}

// AppendText appends a text of at most 4,000 bytes, so that a record never outgrows its length
// field.
func AppendText[T string | []byte](b []byte, text T) []byte {
	text = text[:min(len(text), 4000)]
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// AppendAddr appends an address as a text of 4 or 16 bytes, or of none when it is invalid.
func AppendAddr(b []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		v := a.As4()
		return append(append(b, 4), v[:]...)
	case a.Is6():
		v := a.As16()
		return append(append(b, 16), v[:]...)
	}
	return append(b, 0)
}

func checksum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}

// Len returns the length of the whole record that starts with head, or 0 when none does.
func Len(head []byte) int {
	if len(head) < HeaderLen || binary.LittleEndian.Uint16(head) != mark {
		return 0
	}
	return HeaderLen + int(binary.LittleEndian.Uint16(head[2:]))
}

// Parse checks the record at the start of b and reads its head. The fields after that are in rest.
// It allocates nothing in the global domain.
func Parse(b []byte) (h Head, rest Fields, err error) {
	n := Len(b)
	if n == 0 || n > len(b) || checksum(b[2:4], b[HeaderLen:n]) != binary.LittleEndian.Uint32(b[4:]) {
		return h, rest, ErrInvalid
	}
	f := Fields{B: b[HeaderLen:n]}
	h.State, h.Start, h.End = f.Byte(), f.Varint(), f.Varint()
	h.Addr = f.Addr()
	if h.State&inVRF != 0 {
		h.State, h.VRF = h.State&^inVRF, f.Text()
	}
	if f.Bad || !h.Addr.IsValid() {
		return h, f, ErrInvalid
	}
	return h, f, nil
}
