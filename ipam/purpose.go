package ipam

import (
	"slices"
	"strings"
)

// Purpose is a set of uses that an address may have at once.
type Purpose uint16

const (
	PurposeReserved   Purpose = 1 << iota // in a reserved range
	PurposeDynamic                        // in a dynamic range
	PurposeGateway                        // the subnet's gateway
	PurposeDNS                            // a DNS server of the subnet
	PurposeRoute                          // gateway of a static route from the subnet
	PurposeAssigned                       // has an allocation other than AllocDiscovered
	PurposeDiscovered                     // seen in use by a lease (AllocDiscovered)
	PurposeReservedIP                     // kept for one link address
	PurposeExcluded                       // left out at the caller's wish
	PurposeNeighbour                      // seen on the network without a known holder
	PurposeAnycast                        // IPv6 subnet-router anycast address (RFC 4291 section 2.6.1)
	PurposeLowBlock                       // ::1 to ::ffff:ffff of an IPv6 /64, kept for addresses set by hand
)

// The names are the MAAS API's, which has fewer kinds.
var purposeNames = []struct {
	p    Purpose
	name string
}{
	{PurposeAssigned | PurposeDiscovered, "assigned-ip"},
	{PurposeDNS, "dns-server"},
	{PurposeDynamic, "dynamic"},
	{PurposeExcluded, "excluded"},
	{PurposeGateway | PurposeRoute, "gateway-ip"},
	{PurposeNeighbour, "neighbour"},
	{PurposeReserved | PurposeReservedIP | PurposeLowBlock, "reserved"},
	{PurposeAnycast, "rfc-4291-2.6.1"},
}

// Names returns the purposes as the MAAS API spells them, sorted; "unused" where there is none.
func (p Purpose) Names() []string {
	var names []string
	for _, n := range purposeNames {
		if p&n.p != 0 {
			names = append(names, n.name)
		}
	}
	if names == nil {
		return []string{"unused"}
	}
	slices.Sort(names)
	return names
}

// String joins Names with ", ".
func (p Purpose) String() string { return strings.Join(p.Names(), ", ") }

// Which uses close an address to what, by the type of subnet.
const (
	fixed          = PurposeGateway | PurposeDNS | PurposeRoute | PurposeReservedIP
	dynamicBlocked = PurposeDynamic | fixed | PurposeAssigned
	freeBlocked    = dynamicBlocked | PurposeDiscovered
	autoBlocked    = freeBlocked | PurposeExcluded | PurposeNeighbour
	anyRange       = PurposeReserved | PurposeDynamic
	builtIn        = PurposeAnycast | PurposeLowBlock
	// An address can be observed without being used up.
	notUsed = PurposeExcluded | PurposeNeighbour
)
