package discovery

import (
	"fmt"
	"strings"
)

// A Source is a way of learning about devices. Sources are bits: a Source with several of them is a
// set.
type Source uint16

// The sources. All but ReverseDNS and Scan are passive.
const (
	ARP        Source = 1 << iota // ARP (RFC 826)
	NDP                           // IPv6 neighbour and router discovery (RFC 4861)
	DHCPv4                        // DHCP clients and servers overheard (RFC 2131)
	DHCPv6                        // the same for IPv6 (RFC 8415)
	MDNS                          // multicast DNS and its service discovery (RFC 6762, RFC 6763)
	LLDP                          // switches that tell which port this is (IEEE 802.1AB)
	Beacons                       // other racks of the site
	ReverseDNS                    // the configured resolvers
	Scan                          // an answer to a question that a sweep asked
)

// Passive is every source that needs nothing to be sent.
const Passive = ARP | NDP | DHCPv4 | DHCPv6 | MDNS | LLDP | Beacons

var sourceNames = [...]string{"arp", "ndp", "dhcpv4", "dhcpv6", "mdns", "lldp", "beacon", "rdns", "scan"}

// Has reports whether all of other are in the set.
func (s Source) Has(other Source) bool { return s&other == other }

// String lists the names of the set, separated by commas.
func (s Source) String() string {
	var names []string
	for i, name := range sourceNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// MarshalText makes encodings show what String does.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Source) UnmarshalText(text []byte) error {
	*s = 0
	for name := range strings.SplitSeq(string(text), ",") {
		if name == "" {
			continue
		}
		found := false
		for i, known := range sourceNames {
			if name == known {
				*s |= 1 << i
				found = true
			}
		}
		if !found {
			return fmt.Errorf("discovery: unknown source %q", name)
		}
	}
	return nil
}
