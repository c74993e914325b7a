package ipam

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// A journal is fileHeader, saltLen random bytes, and records:
//
//	4 bytes  CRC-32C of the salt and the rest of the record, big endian as all numbers
//	2 bytes  length of the key
//	1 byte   operation
//	1 byte   length of the address, 4 or 16
//	address, key
//
// The salt keeps a key that looks like a record from being read as one when a damaged record before
// it is skipped: keys are names that clients choose.
const (
	fileHeader = "gomaas addresses 1\n"
	saltLen    = 8
	recordHead = 8
	maxKey     = 1<<16 - 1
)

const (
	opInsert = 1
	opDelete = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func recordLen(addr netip.Addr, key string) int64 {
	return int64(recordHead + addr.BitLen()/8 + len(key))
}

func appendRecord(b, salt []byte, op byte, addr netip.Addr, key string) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, op, byte(addr.BitLen()/8))
	b = append(b, addr.AsSlice()...)
	b = append(b, key...)
	binary.BigEndian.PutUint32(b[start:], checksum(salt, b[start+4:]))
	return b
}

func checksum(salt, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(salt, castagnoli), castagnoli, rest)
}

// journalText holds the contents of a journal's file.
type journalText struct {
	held          map[netip.Addr]string
	salt          []byte
	live          int64
	torn, skipped int64
}

// readJournal reads a file, which may be empty.
func readJournal(text []byte) (journalText, error) {
	out := journalText{held: make(map[netip.Addr]string)}
	head := len(fileHeader) + saltLen
	if !bytes.HasPrefix(text, []byte(fileHeader[:min(len(text), len(fileHeader))])) {
		return out, errors.New("not a journal of addresses, or of a version that this program does not know")
	}
	if len(text) < head { // the header was written with the first records, so there are none
		out.torn = int64(len(text))
		return out, nil
	}
	out.salt = text[len(fileHeader):head:head]
	bad := 0
	for rest := text[head:]; len(rest) > 0; {
		n, op, addr, key := parseRecord(out.salt, rest)
		if n == 0 {
			// Byte by byte to the next record: the length in a damaged one cannot be trusted.
			rest = rest[1:]
			bad++
			continue
		}
		out.skipped += int64(bad)
		bad = 0
		out.apply(op, addr, string(key))
		rest = rest[n:]
	}
	out.torn = int64(bad) // no record follows
	return out, nil
}

func (t *journalText) apply(op byte, addr netip.Addr, key string) {
	if old, ok := t.held[addr]; ok {
		t.live -= recordLen(addr, old)
		delete(t.held, addr)
	}
	if op == opInsert {
		t.held[addr] = key
		t.live += recordLen(addr, key)
	}
}

// parseRecord returns the record at the start of b and its length; 0 = there is none.
func parseRecord(salt, b []byte) (n int, op byte, addr netip.Addr, key []byte) {
	if len(b) < recordHead {
		return 0, 0, addr, nil
	}
	op = b[6]
	width := int(b[7])
	n = recordHead + width + int(binary.BigEndian.Uint16(b[4:]))
	if op != opInsert && op != opDelete || width != 4 && width != 16 || len(b) < n || binary.BigEndian.Uint32(b) != checksum(salt, b[4:n]) {
		return 0, 0, addr, nil
	}
	addr, _ = netip.AddrFromSlice(b[recordHead : recordHead+width])
	return n, op, addr, b[recordHead+width : n]
}
