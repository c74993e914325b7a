package ipam

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
)

// InterfaceKind is the kind of a network interface, such as a bond.
type InterfaceKind uint8

const (
	Physical InterfaceKind = iota
	Bond
	Bridge
	VLANInterface
	// Unknown is an interface of no known machine: a MAC that got a lease or that a user reserved
	// an address for.
	Unknown
)

var kindNames = [...]string{"physical", "bond", "bridge", "vlan", "unknown"}

// String returns "physical", "bond", "bridge", "vlan" or "unknown".
func (k InterfaceKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "interface-kind-" + strconv.Itoa(int(k))
}

// ParseInterfaceKind reads what InterfaceKind.String writes.
func ParseInterfaceKind(s string) (InterfaceKind, error) {
	if i := slices.Index(kindNames[:], s); i >= 0 {
		return InterfaceKind(i), nil
	}
	return 0, fmt.Errorf("ipam: interface type %q: must be one of %v", s, kindNames)
}

// LinkMode selects how an interface is joined to a subnet.
type LinkMode uint8

const (
	LinkAuto   LinkMode = iota // MAAS chooses an address at deployment
	LinkDHCP                   // the machine asks a DHCP server
	LinkStatic                 // a fixed address
	LinkUp                     // no address; the link is brought up only
)

var linkNames = [...]string{"auto", "dhcp", "static", "link_up"}

// String returns "auto", "dhcp", "static" or "link_up".
func (m LinkMode) String() string {
	if int(m) < len(linkNames) {
		return linkNames[m]
	}
	return "link-mode-" + strconv.Itoa(int(m))
}

// ParseLinkMode reads what LinkMode.String writes.
func ParseLinkMode(s string) (LinkMode, error) {
	if i := slices.Index(linkNames[:], s); i >= 0 {
		return LinkMode(i), nil
	}
	return 0, fmt.Errorf("ipam: link mode %q: must be one of %v", s, linkNames)
}

// AllocType returns the allocation that a link of this mode holds.
func (m LinkMode) AllocType() AllocType {
	switch m {
	case LinkAuto:
		return AllocAuto
	case LinkDHCP:
		return AllocDHCP
	}
	return AllocSticky
}

// Link joins an interface to a subnet. It is an Allocation seen from the interface.
type Link struct {
	ID       int64 // of the Allocation
	Mode     LinkMode
	SubnetID int64      // 0 with LinkUp on no subnet
	Addr     netip.Addr // zero = none, or not chosen yet
}

// Interface is a network interface of a machine or device.
type Interface struct {
	ID      int64
	Version int64 // counts changes; an update must carry the one that was read
	NodeID  int64 // 0 = Unknown kind, of no node
	Name    string
	Kind    InterfaceKind
	MAC     net.HardwareAddr
	VLANID  int64   // 0 = not connected, or not known
	Parents []int64 // members of a bond or bridge, the device under a VLAN interface
	Params  map[string]string
	Tags    []string
	Boot    bool // the machine boots from this interface
	Enabled bool
}

// The kernel takes 15 octets (IFNAMSIZ less the final zero).
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,15}$`)

// Validate checks the interface given its parents, in the order of i.Parents.
func (i Interface) Validate(parents []Interface) error {
	if !interfaceName.MatchString(i.Name) {
		return invalid("interface", i.Name, "name", "must be 1 to 15 letters, digits or _ . : -")
	}
	// VLAN interfaces and bridges may take the MAC of a parent.
	if i.Kind != VLANInterface && i.Kind != Bridge && len(i.MAC) != 6 {
		return invalid("interface", i.Name, "mac_address", "must be six octets")
	}
	for _, p := range parents {
		if p.NodeID != i.NodeID {
			return invalid("interface", i.Name, "parents", p.Name+" belongs to another machine")
		}
	}
	return i.validateParents(parents)
}

func (i Interface) validateParents(parents []Interface) error {
	switch i.Kind {
	case Physical, Unknown:
		if len(parents) != 0 {
			return invalid("interface", i.Name, "parents", "must be empty for a "+i.Kind.String()+" interface")
		}
	case VLANInterface:
		if len(parents) != 1 {
			return invalid("interface", i.Name, "parents", "must be exactly one for a VLAN interface")
		}
		// MAAS has no VLAN interfaces on VLAN interfaces.
		if k := parents[0].Kind; k == VLANInterface || k == Unknown {
			return invalid("interface", i.Name, "parents", "must be a physical interface, a bond or a bridge")
		}
		if i.VLANID == 0 {
			return invalid("interface", i.Name, "vlan", "is missing")
		}
	case Bond:
		return everyParent(i, parents, "only physical interfaces can be bonded", func(k InterfaceKind) bool { return k == Physical })
	case Bridge:
		return everyParent(i, parents, "a bridge cannot contain bridges", func(k InterfaceKind) bool { return k != Bridge && k != Unknown })
	}
	return nil
}

func everyParent(i Interface, parents []Interface, why string, ok func(InterfaceKind) bool) error {
	if len(parents) == 0 {
		return invalid("interface", i.Name, "parents", "is missing")
	}
	for _, p := range parents {
		if !ok(p.Kind) {
			return invalid("interface", i.Name, "parents", p.Name+": "+why)
		}
	}
	return nil
}
