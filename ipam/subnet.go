package ipam

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
)

// RDNSMode says which reverse DNS zones are made for a subnet. The zero value is the default.
type RDNSMode uint8

const (
	RDNSRFC2317  RDNSMode = iota // reverse zone, and a classless delegation (RFC 2317) for small subnets
	RDNSEnabled                  // reverse zone only
	RDNSDisabled                 // none
)

// String returns "rfc2317", "enabled" or "disabled".
func (m RDNSMode) String() string {
	switch m {
	case RDNSRFC2317:
		return "rfc2317"
	case RDNSEnabled:
		return "enabled"
	case RDNSDisabled:
		return "disabled"
	}
	return "rdns-mode-" + strconv.Itoa(int(m))
}

// Subnet is an IPv4 or IPv6 network on a VLAN.
type Subnet struct {
	ID          int64
	Version     int64  // counts changes; an update must carry the one that was read
	Name        string // up to 255 of letters, digits, space and . : / _ -; "" becomes the prefix
	Description string
	VLANID      int64
	Prefix      netip.Prefix // masked; no two subnets of a site and VRF overlap
	// VRF is the routing domain; "" = the global one. The inventory of package store/inventory has
	// the global one alone.
	VRF        string
	Gateway    netip.Addr   // in Prefix, or an fe80:: address on IPv6; zero = none
	DNSServers []netip.Addr // announced to clients after MAAS' own; may lie outside Prefix
	RDNS       RDNSMode

	// Unmanaged subnets have an administrator of their own: MAAS serves no DHCP there and gives out
	// addresses only inside reserved ranges, which on a managed subnet are the ones it leaves
	// alone.
	Unmanaged bool
	// DenyDNS keeps clients here from using MAAS' DNS (allow_dns=false).
	DenyDNS bool
	// DenyProxy keeps clients here from using MAAS' proxy (allow_proxy=false).
	DenyProxy bool
	// ActiveDiscovery lets racks scan the subnet for unknown neighbours.
	ActiveDiscovery bool
	// Relays are addresses of DHCP relays whose clients belong here although the addresses do not:
	// a relay that sends its loopback address, or an address of another network.
	Relays []netip.Addr
	// Delegated are the prefixes that routers here get for the networks behind them. They overlap
	// no subnet of the site.
	Delegated []PrefixPool
	// DisabledBootMethods are boot methods refused here, by name such as "uefi_amd64_tftp".
	DisabledBootMethods []string
}

var subnetName = regexp.MustCompile(`^[.: \w/-]+$`)

// Validate checks the subnet by itself; overlap with others is CheckOverlap.
func (s Subnet) Validate() error {
	name := s.String()
	switch {
	case !s.Prefix.IsValid():
		return invalid("subnet", name, "cidr", "is missing; write network/length such as 10.0.0.0/24")
	case s.Prefix != s.Prefix.Masked():
		return invalid("subnet", name, "cidr", "has host bits set; write "+s.Prefix.Masked().String())
	// Every other subnet would overlap with it.
	case s.Prefix.Bits() == 0:
		return invalid("subnet", name, "cidr", "must be longer than /0")
	case s.Prefix.Addr().Is4In6():
		return invalid("subnet", name, "cidr", "is IPv4 mapped into IPv6; write it as IPv4")
	case len(s.Name) > 255:
		return invalid("subnet", name, "name", "is longer than 255 characters")
	case s.Name != "" && !subnetName.MatchString(s.Name):
		return invalid("subnet", name, "name", "may hold letters, digits, space and . : / _ - only")
	case s.RDNS > RDNSDisabled:
		return invalid("subnet", name, "rdns_mode", "is not a known mode")
	}
	if s.Gateway.IsValid() && !s.gatewayFits() {
		return &RefusedError{Reason: OutsideSubnet, Subject: "gateway " + s.Gateway.String(), Subnet: s.Prefix}
	}
	for _, d := range s.DNSServers {
		if !d.IsValid() || d.IsUnspecified() || d.IsMulticast() {
			return invalid("subnet", name, "dns_servers", d.String()+" is not an address of a server")
		}
	}
	if err := s.validateRelays(); err != nil {
		return err
	}
	return s.validateDelegated()
}

func (s Subnet) validateRelays() error {
	for i, r := range s.Relays {
		switch {
		case !r.IsValid() || r.Is4() != s.Prefix.Addr().Is4():
			return invalid("subnet", s.String(), "relays", r.String()+" is not of the address family of the subnet")
		// The server sends its replies there. A router's loopback interface has an address of its
		// own; 127.0.0.1 would be the server itself.
		case r.IsUnspecified(), r.IsMulticast(), r.IsLoopback(), r == limitedBroadcast, r.Zone() != "":
			return invalid("subnet", s.String(), "relays", r.String()+" is not an address of a relay")
		case slices.Contains(s.Relays[:i], r):
			return invalid("subnet", s.String(), "relays", r.String()+" is given twice")
		}
	}
	return nil
}

// limitedBroadcast is no relay's address, although it is no multicast address either.
var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// CheckRelays refuses a relay that is bound to one of others in the same VRF already: its clients
// would belong to both. An entry with the same non-zero ID is the subnet itself and is skipped.
func (s Subnet) CheckRelays(others []Subnet) error {
	for _, o := range others {
		if s.ID != 0 && o.ID == s.ID || s.VRF != o.VRF {
			continue
		}
		for _, r := range s.Relays {
			if slices.Contains(o.Relays, r) {
				return invalid("subnet", s.String(), "relays", r.String()+" is a relay of subnet "+label(o.Name, o.Prefix)+"; remove it there first")
			}
		}
	}
	return nil
}

func (s Subnet) gatewayFits() bool {
	if s.Prefix.Contains(s.Gateway) {
		return true
	}
	// Routers advertise their link-local address as the gateway (RFC 4861 section 4.2).
	return s.Prefix.Addr().Is6() && s.Gateway.Is6() && s.Gateway.IsLinkLocalUnicast()
}

// String returns the subnet's name, else its prefix.
func (s Subnet) String() string {
	if s.Name != "" || !s.Prefix.IsValid() {
		return s.Name
	}
	return s.Prefix.String()
}

// CheckOverlap refuses a subnet whose prefix, or what it delegates, overlaps one of others in the
// same VRF; an entry with the same non-zero ID is the subnet itself and is skipped.
func (s Subnet) CheckOverlap(others []Subnet) error {
	for _, o := range others {
		// Its own old prefix may overlap with the new one.
		if s.ID != 0 && o.ID == s.ID || s.VRF != o.VRF {
			continue
		}
		if s.Prefix.Overlaps(o.Prefix) {
			return &RefusedError{Reason: Overlap, Subject: "subnet " + s.Prefix.String(), Subnet: s.Prefix, With: "subnet " + label(o.Name, o.Prefix)}
		}
		if err := checkDelegated(s, o); err != nil {
			return err
		}
	}
	return nil
}

// label returns "name (10.0.0.0/24)", or only the prefix if the name repeats it.
func label(name string, p netip.Prefix) string {
	if name == "" || name == p.String() {
		return p.String()
	}
	return name + " (" + p.String() + ")"
}
