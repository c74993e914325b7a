package dhcpsrv

// Reason tells why a packet got no answer, or a refusal. The zero Reason is none.
type Reason uint8

// Reasons for silence.
const (
	_                 Reason = iota
	DropMalformed            // not a DHCPv4 message
	DropNotRequest           // a message of a server
	DropHops                 // passed too many relays: a loop
	DropUnknownType          // a message type that no client sends
	DropNoIdentity           // neither a link address nor a client identifier
	DropUnknownLink          // no subnet is local on the interface it came from
	DropUnknownRelay         // the relay's address, or the one it selects, is in no subnet
	DropPoolExhausted        // no address is left for the client
	DropOtherServer          // the client chose another server
	DropUnknownLease         // the lease is not known here, and another server may know it
	DropNoReservation        // a BOOTP client without a reserved address
	DropIncomplete           // a message without the addresses it needs
	DropNotHeld              // releases or declines an address it does not hold
	DropProbing              // resent while the address on offer is being probed
	DropBacklog              // too many leases wait for the store
	DropCommit               // the store failed
	DropQueueFull            // too many packets wait for a worker
	DropPanic                // a bug: handling the packet panicked
	DropQuota                // the clients on the circuit, or the link, hold all the addresses they may
	DropRate                 // the client sends more packets than Config.ClientRate
	DropProxy                // addresses are another server's business here, and the client asks for nothing else
	DropNoBoot               // in proxy mode: nothing to load for the client
	DropListening            // mode auto, not yet known whether another server answers
	DropPartner              // the client is the partner's to answer
	DropRecovering           // just started, and the partner's leases are not here yet
	DropNothingToSay         // taken note of; the message has no answer (RELEASE, DECLINE)

	// Reasons for a NAK.
	NakWrongNetwork // the address is not of the client's segment
	NakTaken        // another client holds the address
	NakReserved     // the address is reserved for another client
	NakMoved        // another address is reserved for the client
	NakNoPool       // the address is in no pool
	NakPartner      // the address is the partner's to give
	numReasons
)

var reasonNames = [numReasons]string{
	"none", "malformed", "not-a-request", "too-many-hops", "unknown-type", "no-identity", "unknown-link", "unknown-relay",
	"pool-exhausted", "other-server", "unknown-lease", "no-reservation", "incomplete", "not-held", "probing",
	"backlog", "commit-failed", "queue-full", "panic", "quota", "rate", "proxy", "no-boot", "listening", "partner", "recovering",
	"nothing-to-say",
	"wrong-network", "taken", "reserved", "moved", "no-pool", "partner-half",
}

// String returns a short name with dashes, fit for the label of a metric.
func (r Reason) String() string {
	if r < numReasons {
		return reasonNames[r]
	}
	return "unknown"
}

// MarshalText returns the reason as String does.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
