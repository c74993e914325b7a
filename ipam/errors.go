package ipam

import (
	"fmt"
	"io/fs"
	"net/netip"
)

// Reason is the kind of rule that a refusal rests on.
type Reason uint8

const (
	OutsideSubnet    Reason = iota + 1 // an address is not in the subnet it was meant for
	WrongFamily                        // IPv4 where IPv6 is wanted, or the other way round
	Backwards                          // the end of a range lies before its start
	Incomplete                         // one end of a range is missing
	NetworkAddress                     // the first address of a subnet, which names the network
	BroadcastAddress                   // the last address of an IPv4 subnet
	TooSmall                           // a dynamic IPv6 range of fewer than 256 addresses
	NoRoom                             // no range of the wanted type fits on the subnet at all
	Overlap                            // another subnet or range has some of the addresses
	InDynamicRange                     // the address belongs to the DHCP server
	InReservedRange                    // the address is kept for others
	NotReserved                        // outside every reserved range of an unmanaged subnet
	InUse                              // the address has a holder
	ReservedForMAC                     // the address is kept for one link address
)

var reasonNames = [...]string{
	"", "outside-subnet", "wrong-family", "backwards", "incomplete", "network-address", "broadcast-address", "too-small",
	"no-room", "overlap", "in-dynamic-range", "in-reserved-range", "not-reserved", "in-use", "reserved-for-mac",
}

// String returns a short fixed name such as "in-dynamic-range".
func (r Reason) String() string {
	// A number of a later version must not panic in a message.
	if r == 0 || int(r) >= len(reasonNames) {
		return fmt.Sprintf("reason-%d", uint8(r))
	}
	return reasonNames[r]
}

// RefusedError is the answer to a request that a rule forbids. It names what was asked for and the
// object in the way. InUse is fs.ErrExist to errors.Is.
type RefusedError struct {
	Reason  Reason
	Subject string       // what was asked for, such as "dynamic range 10.0.0.5-10.0.0.9"
	Subnet  netip.Prefix // where; may be zero
	With    string       // the object in the way; "" = none, the rule is about the subject itself
}

func (e *RefusedError) Error() string {
	s := "ipam: " + e.Subject + ": " + e.why()
	if e.With != "" {
		s += " (" + e.With + ")"
	}
	return s
}

func (e *RefusedError) why() string {
	switch e.Reason {
	case OutsideSubnet:
		return "is not in subnet " + e.Subnet.String()
	case WrongFamily:
		return "mixes IPv4 and IPv6"
	case Backwards:
		return "ends before it starts"
	case Incomplete:
		return "needs both a start and an end"
	case NetworkAddress:
		return "the first address of " + e.Subnet.String() + " names the network and cannot be used"
	case BroadcastAddress:
		return "the last address of " + e.Subnet.String() + " is its broadcast address and cannot be used"
	case TooSmall:
		return fmt.Sprintf("a dynamic IPv6 range has at least %d addresses", minDynamic6)
	case NoRoom:
		return "there is no free room for it on subnet " + e.Subnet.String()
	case Overlap:
		return "overlaps another"
	case InDynamicRange:
		return "belongs to the DHCP server"
	case InReservedRange:
		return "is kept for others"
	case NotReserved:
		return "lies in no reserved range, and subnet " + e.Subnet.String() + " is unmanaged"
	case InUse:
		return "is in use"
	case ReservedForMAC:
		return "is kept for another link address"
	}
	return e.Reason.String()
}

// Is makes errors.Is(err, fs.ErrExist) true for an address that has a holder.
func (e *RefusedError) Is(target error) bool {
	return target == fs.ErrExist && e.Reason == InUse
}

// InvalidError says that a field of an object breaks a rule that needs no other object to check.
type InvalidError struct {
	Kind  string // "subnet", "vlan", ...
	Name  string // of the object; may be ""
	Field string // in the spelling of the MAAS API, such as "dns_servers"
	Why   string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("ipam: %s %q: %s %s", e.Kind, e.Name, e.Field, e.Why)
}

func invalid(kind, name, field, why string) error {
	return &InvalidError{Kind: kind, Name: name, Field: field, Why: why}
}

// ExhaustedError says that no address is left to give out automatically.
type ExhaustedError struct {
	Subnet netip.Prefix
	Wanted int // how many were asked for
	Free   int // how many there were; less than Wanted
	// Quarantined addresses were released a moment ago and become free again.
	Quarantined int
}

func (e *ExhaustedError) Error() string {
	s := fmt.Sprintf("ipam: subnet %s has no free address", e.Subnet)
	if e.Wanted > 1 {
		s = fmt.Sprintf("ipam: subnet %s has %d free addresses, not %d", e.Subnet, e.Free, e.Wanted)
	}
	if e.Quarantined > 0 {
		s += fmt.Sprintf(", %d are in quarantine", e.Quarantined)
	}
	return s + "; release some, shrink a range or extend the subnet"
}
