package dhcpsrv

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/record"
)

// AppendBinary appends the lease as one record, with its length and a checksum: what a [LeaseStore] may keep of it, and what
// failover partners send each other. The error is always nil.
func (l Lease) AppendBinary(b []byte) ([]byte, error) { return appendRecord(b, &l), nil }

// UnmarshalBinary reads one record that AppendBinary has made, of this version or an older one. The lease shares no memory
// with it.
func (l *Lease) UnmarshalBinary(b []byte) error {
	if n := record.Len(b); n != len(b) {
		return fmt.Errorf("dhcpsrv: lease of %d bytes: %w", len(b), record.ErrInvalid)
	}
	v, err := parseRecord(b)
	if err != nil {
		return fmt.Errorf("dhcpsrv: lease: %w", err)
	}
	*l = v
	return nil
}

// appendRecord appends the record of a lease.
func appendRecord(b []byte, l *Lease) []byte {
	start := len(b)
	b = record.Append(b, record.Head{State: byte(l.State), Start: l.Start.UnixNano(), End: l.End.UnixNano(), Addr: l.Addr})
	b = record.AppendAddr(b, l.Relay)
	b = record.AppendText(record.AppendText(record.AppendText(b, []byte(l.MAC)), l.ClientID), l.CircuitID)
	b = record.AppendText(record.AppendText(record.AppendText(record.AppendText(b, l.Hostname), l.Subnet), l.Link), l.VendorClass)
	if l.Addr.Is6() {
		b = binary.AppendUvarint(b, uint64(l.IAID))
		b = record.AppendText(record.AppendText(b, l.DUID), l.RemoteID)
	}
	b = record.AppendText(b, l.Subscriber)
	changed := int64(0)
	if !l.Changed.IsZero() {
		changed = l.Changed.UnixNano()
	}
	b = binary.AppendVarint(b, changed)
	record.Seal(b[start:])
	return b
}

// parseRecord reads the record at the start of b.
func parseRecord(b []byte) (l Lease, err error) {
	h, f, err := record.Parse(b)
	if err != nil {
		return l, err
	}
	l.State, l.Start, l.End, l.Addr = LeaseState(h.State), time.Unix(0, h.Start), time.Unix(0, h.End), h.Addr
	l.Relay = f.Addr()
	l.MAC, l.ClientID, l.CircuitID = f.Bytes(), f.Bytes(), f.Bytes()
	l.Hostname, l.Subnet, l.Link, l.VendorClass = f.Text(), f.Text(), f.Text(), f.Text()
	if l.Addr.Is6() && !f.Bad {
		l.IAID = uint32(f.Uvarint())
		l.DUID, l.RemoteID = f.Bytes(), f.Bytes()
	}
	if len(f.B) > 0 { // older records end before the subscriber
		l.Subscriber = f.Text()
	}
	if len(f.B) > 0 { // and before the time of the last change
		if changed := f.Varint(); changed != 0 {
			l.Changed = time.Unix(0, changed)
		}
	}
	if f.Bad {
		return l, record.ErrInvalid
	}
	return l, nil
}
