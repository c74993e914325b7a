package dhcpsrv

// Reason explains why a packet got no answer, or a refusal. The zero Reason is none. Its String is
// stable, so that callers may compare it.
type Reason uint8

// Reasons for silence.
const (
	_                 Reason = iota
	dropMalformed            // not a DHCPv4 message
	dropNotRequest           // a message of a server
	dropHops                 // passed too many relays: a loop
	dropUnknownType          // a message type that no client sends
	dropNoIdentity           // neither a link address nor a client identifier
	dropUnknownLink          // no subnet is local on the interface it came from
	dropUnknownRelay         // the relay's address, or the one it selects, is in no subnet
	dropUnknownSubnet        // the subnet that option 118 selects does not exist
	dropElsewhere            // the relay, or option 118, selects a subnet that is local on another link
	dropPoolExhausted        // no address is left for the client
	dropOtherServer          // the client chose another server
	dropUnknownLease         // the lease is not known here, and another server may know it
	dropNoReservation        // a BOOTP client without a reserved address
	dropIncomplete           // a message without the addresses it needs
	dropNotHeld              // releases or declines an address it does not hold
	dropProbing              // resent while the address on offer is being probed
	dropBacklog              // too many leases wait for the store
	dropCommit               // the store failed
	dropQueueFull            // too many packets wait for a worker
	dropPanic                // a bug: handling the packet panicked
	dropQuota                // the clients on the circuit, or the link, hold all the addresses they may
	dropRate                 // the client sends more packets than Config.ClientRate
	dropProxy                // another server gives the addresses here, and the client asks for nothing else
	dropNoBoot               // in proxy mode: nothing to load for the client
	dropListening            // mode auto, not yet known whether another server answers
	dropWatching             // mode watch answers nothing
	dropPartner              // the partner answers the client
	dropRecovering           // just started, and the partner's leases have not arrived yet
	dropHostPending          // Hosts is asked about the client
	dropHostLate             // Hosts answered after the client's patience
	dropHostFailed           // Hosts failed, or its answer makes no sense
	dropHostIgnored          // Hosts ignores the client
	dropClassIgnored         // the client's class is ignored
	dropUnknownVRF           // no subnet is in the routing domain that the relay or the client selects
	dropNothingToSay         // accepted; the message has no answer (RELEASE, DECLINE)

	// Reasons for a NAK.
	nakWrongNetwork // the address is not of the client's shared network
	nakTaken        // another client holds the address
	nakReserved     // the address is reserved for another client
	nakMoved        // another address is reserved for the client
	nakNoPool       // the address is in no pool
	nakPartner      // the address belongs to the partner
	nakRefused      // Hosts refuses the client
	numReasons
)

var reasonNames = [numReasons]string{
	"none", "malformed", "not-a-request", "too-many-hops", "unknown-type", "no-identity", "unknown-link", "unknown-relay",
	"unknown-subnet", "elsewhere", "pool-exhausted", "other-server", "unknown-lease", "no-reservation", "incomplete", "not-held", "probing",
	"backlog", "commit-failed", "queue-full", "panic", "quota", "rate", "proxy", "no-boot", "listening", "watching", "partner", "recovering",
	"host-pending", "host-late", "host-failed", "host-ignored", "class-ignored", "unknown-vrf", "nothing-to-say",
	"wrong-network", "taken", "reserved", "moved", "no-pool", "partner-half", "refused",
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
