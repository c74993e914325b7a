package dhcpsrv

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/record"
)

// Messages between partners: a kind, then fields in a fixed order. Later versions may append fields
// or add kinds; a reader ignores what it does not know.
const (
	messageHello   = 1 // version, names, incarnation, clock: the first message of each side
	messageUpdate  = 2 // number, then records as in the journal
	messageAck     = 3 // number of an update that is on disk, then a bit for each of its records
	messageSyncEnd = 4 // how many updates hold all from before the connection
	messageReady   = 5 // all leases of the other side have arrived
	messageBeat    = 6

	partnerVersion = 1
)

var errMessage = errors.New("malformed message")

// message is one message of a partner, decoded. The fields are a union over all kinds; a kind
// leaves the others zero.
type message struct {
	kind byte

	name, self  string
	incarnation uint64
	clock       time.Time
	version     byte
	number      uint64 // of an update or acknowledgement; for the end of the sync how many updates
	leases      []Lease
	over        []byte // a bit per record of the update, the lowest of the first byte first
}

func (m *message) isOver(i int) bool { return i/8 < len(m.over) && m.over[i/8]&(1<<(i%8)) != 0 }

func appendHello(b []byte, name, self string, incarnation uint64, now time.Time) []byte {
	b = append(b, messageHello, partnerVersion)
	b = record.AppendText(record.AppendText(b, name), self)
	b = binary.BigEndian.AppendUint64(b, incarnation)
	return binary.AppendVarint(b, now.UnixNano())
}

func appendNumbered(b []byte, kind byte, number uint64) []byte {
	return binary.AppendUvarint(append(b, kind), number)
}

// parseMessage decodes a message; it shares no memory with b.
func parseMessage(b []byte) (m message, err error) {
	f := record.Fields{B: b}
	m.kind = f.Byte()
	switch m.kind {
	case messageHello:
		m.version = f.Byte()
		m.name, m.self = f.Text(), f.Text()
		if v := f.Take(8); v != nil {
			m.incarnation = binary.BigEndian.Uint64(v)
		}
		m.clock = time.Unix(0, f.Varint())
	case messageUpdate:
		m.number = f.Uvarint()
		m.leases, err = parseRecords(f.B)
	case messageAck:
		m.number = f.Uvarint()
		m.over = append(m.over, f.B...)
	case messageSyncEnd:
		m.number = f.Uvarint()
	}
	// Fields remembers the first error, so that one check at the end is enough.
	if f.Bad || len(b) == 0 {
		err = errMessage
	}
	return m, err
}

// parseRecords decodes the records of an update. They have the format of the journal, and copy
// their bytes.
func parseRecords(b []byte) (leases []Lease, err error) {
	for len(b) > 0 {
		l, err := parseRecord(b)
		if err != nil {
			return nil, errMessage
		}
		leases = append(leases, l)
		b = b[record.Len(b):]
	}
	return leases, nil
}
