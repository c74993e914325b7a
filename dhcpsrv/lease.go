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

// Lease is the latest lease of one address. There is at most one per address and routing domain.
type Lease struct {
	Addr netip.Addr
	VRF  string // routing domain of Addr; "" = the global one
	// The small fields lie together: a site has as many leases as machines, and a batch copies
	// them.
	State LeaseState
	Bits  uint8  // IPv6: length of the delegated prefix that begins with Addr; 0 = Addr alone is leased
	IAID  uint32 // IPv6: which of the client's identity associations
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

// shift moves all times of the lease: to follow a clock that was set, or to express them by the
// clock of a partner. Changed, too: what was done under a clock that was ahead must not count as
// later.
func (l *Lease) shift(by time.Duration) {
	l.Start, l.End = l.Start.Add(by), l.End.Add(by)
	if !l.Changed.IsZero() { // of a record of an older version
		l.Changed = l.Changed.Add(by)
	}
}

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
	b = record.Append(b, record.Head{State: byte(l.State), Start: l.Start.UnixNano(), End: l.End.UnixNano(), Addr: l.Addr, VRF: l.VRF})
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
	if l.Bits > 0 {
		b = append(b, l.Bits)
	}
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
	l.VRF = h.VRF
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
	if len(f.B) > 0 { // of a prefix
		l.Bits = f.Byte()
	}
	if f.Bad {
		return l, record.ErrInvalid
	}
	return l, nil
}

// EventKind is the kind of a change of a lease.
type EventKind uint8

// The kinds of lease events.
const (
	Granted        EventKind = iota + 1 // a client got an address it did not hold before
	Renewed                             // a client extended the lease it holds
	Expired                             // a lease ran out
	Released                            // a client gave its lease back, or moved to another address of the same shared network
	ClientDeclined                      // a client found its address in use; the address is declined
	Conflict                            // a probe found an address in use before it was offered; it is declined
)

var eventNames = [...]string{"unknown", "granted", "renewed", "expired", "released", "declined", "conflict"}

// String returns the kind in lower case, such as "granted".
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return eventNames[0]
}

// MarshalText returns the kind as String does.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Event is one change of one lease. It is reported after the change is durable and before the
// client is answered.
type Event struct {
	Kind  EventKind
	Lease Lease
	Time  time.Time
	// Partner is the name of the partner that made the change, and reports it as well; "" = this
	// server.
	Partner string
}
