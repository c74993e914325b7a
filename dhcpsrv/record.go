package dhcpsrv

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"time"
)

// A record of the journal is a mark, the length of the payload, a CRC-32C of length and payload, and the payload: state,
// then times and texts in a fixed order. Later versions may append fields; a reader ignores what it does not know.
const (
	recordMark   = 0x4cd4 // little endian, so the bytes are d4 4c
	recordHeader = 8
	maxRecord    = 1<<16 - 1
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errRecord  = errors.New("no valid record")
)

// appendRecord appends the record of a lease.
func appendRecord(b []byte, l *Lease) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // the header
	b = append(b, byte(l.State))
	b = binary.AppendVarint(b, l.Start.UnixNano())
	b = binary.AppendVarint(b, l.End.UnixNano())
	b = appendAddr(b, l.Addr)
	b = appendAddr(b, l.Relay)
	b = appendText(appendText(appendText(b, []byte(l.MAC)), l.ClientID), l.CircuitID)
	b = appendText(appendText(appendText(appendText(b, l.Hostname), l.Subnet), l.Link), l.VendorClass)
	if l.Addr.Is6() {
		b = binary.AppendUvarint(b, uint64(l.IAID))
		b = appendText(appendText(b, l.DUID), l.RemoteID)
	}
	b = appendText(b, l.Subscriber)
	changed := int64(0)
	if !l.Changed.IsZero() {
		changed = l.Changed.UnixNano()
	}
	b = binary.AppendVarint(b, changed)
	head, payload := b[start:start+recordHeader], b[start+recordHeader:]
	binary.LittleEndian.PutUint16(head, recordMark)
	binary.LittleEndian.PutUint16(head[2:], uint16(len(payload)))
	binary.LittleEndian.PutUint32(head[4:], checksum(head[2:4], payload))
	return b
}

// appendText appends a text of at most 4,000 bytes, so that a record never outgrows its length field.
func appendText[T string | []byte](b []byte, text T) []byte {
	text = text[:min(len(text), 4000)]
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// appendAddr appends an address as a text of 4 or 16 bytes, or of none when it is invalid.
func appendAddr(b []byte, a netip.Addr) []byte {
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

// recordLen returns the length of the whole record that starts with head, or 0 when none does.
func recordLen(head []byte) int {
	if len(head) < recordHeader || binary.LittleEndian.Uint16(head) != recordMark {
		return 0
	}
	return recordHeader + int(binary.LittleEndian.Uint16(head[2:]))
}

// parseHead checks a record and reads what a journal itself goes by: address, state and times. It allocates nothing.
func parseHead(b []byte) (l Lease, err error) {
	l, _, err = parseStart(b)
	return l, err
}

func parseStart(b []byte) (l Lease, rest fields, err error) {
	n := recordLen(b)
	if n == 0 || n > len(b) || checksum(b[2:4], b[recordHeader:n]) != binary.LittleEndian.Uint32(b[4:]) {
		return l, rest, errRecord
	}
	f := fields{b: b[recordHeader:n]}
	l.State = LeaseState(f.byte())
	l.Start = time.Unix(0, f.varint())
	l.End = time.Unix(0, f.varint())
	if l.Addr = f.addr(); f.bad || !l.Addr.IsValid() {
		return l, f, errRecord
	}
	return l, f, nil
}

// parseRecord reads a whole record.
func parseRecord(b []byte) (Lease, error) {
	l, f, err := parseStart(b)
	if err != nil {
		return l, err
	}
	l.Relay = f.addr()
	l.MAC, l.ClientID, l.CircuitID = f.bytes(), f.bytes(), f.bytes()
	l.Hostname, l.Subnet, l.Link, l.VendorClass = f.text(), f.text(), f.text(), f.text()
	if l.Addr.Is6() && !f.bad {
		l.IAID = f.uint32()
		l.DUID, l.RemoteID = f.bytes(), f.bytes()
	}
	if len(f.b) > 0 { // records of before have none
		l.Subscriber = f.text()
	}
	if len(f.b) > 0 {
		if changed := f.varint(); changed != 0 {
			l.Changed = time.Unix(0, changed)
		}
	}
	if f.bad {
		return l, errRecord
	}
	return l, nil
}

// fields reads a payload; bad is set once it ends too soon.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	v := f.b[:n:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) byte() byte {
	if v := f.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (f *fields) varint() int64 {
	v, n := binary.Varint(f.b)
	if n <= 0 {
		n = -1
	}
	f.take(n)
	return v
}

func (f *fields) uint32() uint32 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		n = -1
	}
	f.take(n)
	return uint32(v)
}

// span returns a length-prefixed text, nil when it is empty.
func (f *fields) span() []byte {
	v, n := binary.Uvarint(f.b)
	if n <= 0 || v > maxRecord {
		n, v = -1, 0
	}
	f.take(n)
	if v == 0 {
		return nil
	}
	return f.take(int(v))
}

func (f *fields) text() string { return string(f.span()) }

func (f *fields) bytes() []byte { return append([]byte(nil), f.span()...) }

func (f *fields) addr() netip.Addr {
	a, _ := netip.AddrFromSlice(f.span())
	return a
}
