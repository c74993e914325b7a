package dhcpsrv

import "time"

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
