package ipam

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// AllocType says how an address came to its holder.
type AllocType uint8

// The numbers are the MAAS API's, which clients store.
const (
	AllocAuto         AllocType = 0 // chosen by MAAS when the machine is deployed
	AllocSticky       AllocType = 1 // chosen once, kept for the interface; without an address: link up only
	AllocUserReserved AllocType = 4 // held by a user
	AllocDHCP         AllocType = 5 // the interface asks a DHCP server; never has an address itself
	AllocDiscovered   AllocType = 6 // seen in a lease or on the network, not given by ipam
)

// String returns "auto", "sticky", "user-reserved", "dhcp" or "discovered".
func (t AllocType) String() string {
	switch t {
	case AllocAuto:
		return "auto"
	case AllocSticky:
		return "sticky"
	case AllocUserReserved:
		return "user-reserved"
	case AllocDHCP:
		return "dhcp"
	case AllocDiscovered:
		return "discovered"
	}
	return fmt.Sprintf("alloc-type-%d", uint8(t))
}

// ParseAllocType reads what AllocType.String writes.
func ParseAllocType(s string) (AllocType, error) {
	for _, t := range []AllocType{AllocAuto, AllocSticky, AllocUserReserved, AllocDHCP, AllocDiscovered} {
		if t.String() == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("ipam: allocation type %q is not known", s)
}

// Allocation ties an address of a subnet to its holder. At most one allocation that is not
// AllocDiscovered exists per address, and beside it at most one that is.
type Allocation struct {
	ID          int64
	Type        AllocType
	SubnetID    int64      // 0 = the subnet is not known
	Addr        netip.Addr // zero where the type allows: auto before deployment, sticky that is link up, dhcp
	InterfaceID int64      // 0 = no interface, as for a user's reservation
	Owner       string     // user of AllocUserReserved; "" = none
	Comment     string
	Holder      string    // the holder's name for messages, such as "node1 eth0"; "" = unknown
	Name        string    // the holder's in DNS or as a client gave it; "" = none
	Created     time.Time // zero = unknown
	Expires     time.Time // end of the lease behind AllocDiscovered; zero = no end
}

// Validate checks the rules between type and address, and that the address lies in subnet.
func (a Allocation) Validate(subnet Subnet) error {
	name := a.Addr.String()
	switch {
	case a.Type == AllocDHCP && a.Addr.IsValid():
		return invalid("dhcp address", name, "ip", "must be left out; the DHCP server chooses it")
	case a.Type == AllocUserReserved && !a.Addr.IsValid():
		return invalid("user-reserved address", "", "ip", "is missing")
	case a.Addr.IsValid() && subnet.Prefix.IsValid() && !subnet.Prefix.Contains(a.Addr):
		return &RefusedError{Reason: OutsideSubnet, Subject: "address " + name, Subnet: subnet.Prefix}
	}
	return nil
}

// String writes such as "sticky address 10.0.0.9 of node1 eth0".
func (a Allocation) String() string {
	s := fmt.Sprintf("%s address %s", a.Type, a.Addr)
	if a.Holder != "" {
		return s + " of " + a.Holder
	}
	if a.Owner != "" {
		return s + " of user " + a.Owner
	}
	return s
}

// ReservedIP keeps one address for one link address. Only the machine with that MAC gets it, from
// DHCP and from an automatic link. Only the comment can be changed.
type ReservedIP struct {
	ID       int64
	Version  int64 // counts changes
	SubnetID int64
	Addr     netip.Addr
	MAC      net.HardwareAddr // unique in the subnet
	Comment  string
}

// String writes such as "reserved IP 10.0.0.9 for 52:54:00:00:00:01".
func (r ReservedIP) String() string {
	return fmt.Sprintf("reserved IP %s for %s", r.Addr, r.MAC)
}

// For reports whether the reservation is for mac. It is never for an empty MAC.
func (r ReservedIP) For(mac net.HardwareAddr) bool {
	// An unknown client must not get an address because the reservation lacks a MAC.
	return len(mac) > 0 && bytes.Equal(r.MAC, mac)
}

// Neighbour is a device seen on the network with an address that ipam did not give out. Automatic
// allocation avoids such addresses until nothing else is left, then takes the one not seen for
// longest.
type Neighbour struct {
	Addr     netip.Addr
	MAC      net.HardwareAddr
	LastSeen time.Time
}

// String writes such as "neighbour 10.0.0.9 (52:54:00:00:00:01)".
func (n Neighbour) String() string {
	return fmt.Sprintf("neighbour %s (%s)", n.Addr, n.MAC)
}
