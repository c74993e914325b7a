package dhcpsrv

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/record"
)

// LeaseState is the state of the latest lease of an address.
type LeaseState uint8

// The states of a lease.
const (
	Bound    LeaseState = iota + 1 // held by the client until End
	Ended                          // released or expired at End; kept so that the client gets the same address again
	Declined                       // found in use by another host; given to no client before End
)

var stateNames = [...]string{"unknown", "bound", "ended", "declined"}

// String returns the state in lower case, such as "bound".
func (s LeaseState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return stateNames[0]
}

// MarshalText returns the state as String does.
func (s LeaseState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Lease is the latest lease of one address. There is at most one per address.
type Lease struct {
	Addr  netip.Addr
	State LeaseState
	// chaddr of the client, or what its DHCPv6 messages reveal of it; empty for clients without one
	MAC         net.HardwareAddr
	ClientID    []byte     // option 61 of IPv4 as sent, type byte included; nil when not sent
	Hostname    string     // name the client gave itself (options 81, 12), cleaned to letters, digits, '-' and '.'; may be ""
	Subnet      string     // name of the subnet when the lease was given
	Link        string     // interface the client was heard on
	Relay       netip.Addr // relay agent (giaddr, link address of IPv6); invalid for clients on the link itself
	Subscriber  string     // option 82.6, or 38 of IPv6, as the relay sent it, at most 255 bytes
	CircuitID   []byte     // option 82.1, or 18 of IPv6, as the relay sent it
	VendorClass string     // option 60, at most 64 bytes
	DUID        []byte     // IPv6: the client, option 1
	IAID        uint32     // IPv6: which of its identity associations
	RemoteID    []byte     // IPv6: option 37 as the relay sent it
	Start       time.Time  // when this client first got this address without a gap
	// when the client, or a probe, last changed the lease: of two versions the later one counts
	Changed time.Time
	End     time.Time // when the lease, or the time of the declined address, ends; for Ended: when it did
}

// clone returns a copy that shares no memory with l.
func (l Lease) clone() Lease {
	n := len(l.MAC) + len(l.ClientID) + len(l.CircuitID) + len(l.DUID) + len(l.RemoteID)
	if n == 0 {
		return l
	}
	all := make([]byte, 0, n)
	copied := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		start := len(all)
		all = append(all, b...)
		return all[start:len(all):len(all)]
	}
	l.MAC, l.ClientID, l.CircuitID = copied(l.MAC), copied(l.ClientID), copied(l.CircuitID)
	l.DUID, l.RemoteID = copied(l.DUID), copied(l.RemoteID)
	return l
}

// shift moves Start and End. Changed stays, since two servers compare versions of a lease by it.
func (l *Lease) shift(by time.Duration) { l.Start, l.End = l.Start.Add(by), l.End.Add(by) }

// AppendBinary appends the lease as one record, with its length and a checksum: the form in which a
// [LeaseStore] may keep it and failover partners exchange it. The error is always nil.
func (l Lease) AppendBinary(b []byte) ([]byte, error) { return appendRecord(b, &l), nil }

// UnmarshalBinary reads one record that AppendBinary has made, of this version or an older one. The
// lease shares no memory with it.
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
