package discovery

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// An Observation is one packet's word that a device with a MAC uses an address.
type Observation struct {
	Addr netip.Addr
	MAC  MAC
	// VID is the VLAN tag of the frame, zero for untagged.
	VID uint16
	// Source is the one protocol that said it.
	Source Source
	// Tentative says that the device is still asking whether it may have the address (RFC 4862
	// section 5.4).
	Tentative bool
	// Hearsay marks an address other than the packet's source. It counts only if the device is
	// known at this address already, because a repeater does not have the addresses of the packets
	// that it repeats.
	Hearsay bool
	// Gone says that the device gives the address up.
	Gone bool
	// Own says that the device itself spoke from the address: it asked, or announced itself. An
	// answer to a question may be about any address that a router with proxy ARP stands for.
	Own bool
	// Info holds what else the packet contained, nil for most. It does not refer to the packet.
	Info *Info
}

// Info holds what is known of a device beyond its addresses. Empty fields are not known.
type Info struct {
	// Names lists the names of the device, the most reliable first.
	Names []Name `json:"names,omitempty"`
	// Services lists what the device announced by multicast DNS.
	Services []Service `json:"services,omitempty"`
	// VendorClass is option 60 of DHCPv4 or 16 of DHCPv6.
	VendorClass string `json:"vendor_class,omitempty"`
	// Fingerprint lists the options that its DHCP client asks for, as numbers with commas. It
	// differs between systems.
	Fingerprint string `json:"fingerprint,omitempty"`
	// DHCPServer says that it answers DHCP clients, or that a client named it as its server.
	DHCPServer bool `json:"dhcp_server,omitempty"`
	// Router holds its IPv6 router advertisement, nil if it sends none.
	Router *Router `json:"router,omitempty"`
	// Switch is the switch port that this end of the cable is plugged into, by LLDP.
	Switch *Switch `json:"switch,omitempty"`
	// Beacon is another rack's, or this rack's own on another interface.
	Beacon *Beacon `json:"beacon,omitempty"`

	ended          []Service     // services that are no longer offered
	flush, goodbye Source        // names of this source are replaced, or given up
	ttl            time.Duration // for how long the packet vouches for it; 0 = as usual for the source
}

// A Name is a name of a device and the source that gave it.
type Name struct {
	Name string `json:"name"`
	// Origin is the one source of the name.
	Origin Source `json:"origin"`
}

// originOrder orders the origins of names by trust: the entries of the network's administrator
// before the claims of a device.
var originOrder = [...]Source{ReverseDNS, MDNS, DHCPv4, DHCPv6, LLDP, Beacons}

func (n Name) rank() int { return slices.Index(originOrder[:], n.Origin) }

// A Service is something that a device offers, by DNS-SD (RFC 6763).
type Service struct {
	Type string `json:"type"` // such as "_ssh._tcp"
	Name string `json:"name"` // of the instance, as people read it
	Port uint16 `json:"port,omitempty"`
}

// A Router holds the content of an IPv6 router advertisement (RFC 4861 section 4.2).
type Router struct {
	// Lifetime is for how long it may be the default router; zero means that it is none.
	Lifetime time.Duration `json:"lifetime"`
	// Managed and Other send hosts to DHCPv6, for addresses and for other settings.
	Managed bool `json:"managed,omitempty"`
	Other   bool `json:"other,omitempty"`
	// Prefixes are those that are on the link.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	// DNS are the resolvers it names (RFC 8106).
	DNS []netip.Addr `json:"dns,omitempty"`
}

// A Switch describes the other end of a cable, by LLDP.
type Switch struct {
	Chassis     string        `json:"chassis"` // a MAC or a name
	Port        string        `json:"port"`
	PortText    string        `json:"port_description,omitempty"`
	System      string        `json:"system_name,omitempty"`
	Description string        `json:"system_description,omitempty"`
	Management  netip.Addr    `json:"management,omitzero"`
	VID         uint16        `json:"vid,omitempty"` // VLAN of untagged frames on the port; 0 = not said
	TTL         time.Duration `json:"ttl"`           // zero = it says good-bye
}

// A Device is a device as it has been seen at one address on one interface. It is identified by
// interface, VID, address and MAC together.
type Device struct {
	Interface string     `json:"interface"`
	VID       uint16     `json:"vid,omitempty"`
	Addr      netip.Addr `json:"addr"`
	MAC       MAC        `json:"mac"`
	First     time.Time  `json:"first"`
	Last      time.Time  `json:"last"`
	// Expires is the time at which the device is forgotten unless it is seen again.
	Expires time.Time `json:"expires"`
	// Count is the number of packets that showed the device since First.
	Count   uint64 `json:"count"`
	Sources Source `json:"sources"`
	Info
}

// Hostname is the most reliable name without a domain, empty when none is known.
func (o *Device) Hostname() string {
	if len(o.Names) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(o.Names[0].Name, ".")
	return name
}

// Kind says what an event is about.
type Kind string

// The kinds of events.
const (
	// New is a device at an address that was not known on the interface.
	New Kind = "new"
	// Refreshed is a known one, reported again after the refresh interval.
	Refreshed Kind = "refreshed"
	// Changed is a known one of which something more or else is known now: a name, a service.
	Changed Kind = "changed"
	// Moved is an address that another MAC uses now.
	Moved Kind = "moved"
	// Conflict is an address that two MACs use by turns.
	Conflict Kind = "conflict"
	// ProxyARP is a MAC that answers for all addresses, as a router with proxy ARP does. Its
	// answers are no devices. Device is the router at its own address, or without an address if
	// that is not known. It is reported once, until it has not answered so for hours.
	ProxyARP Kind = "proxy-arp"
	// Expired is one that was silent for too long, or said good-bye.
	Expired Kind = "expired"
)

// An Event is a change worth knowing.
type Event struct {
	Kind   Kind   `json:"kind"`
	Device Device `json:"observation"`
	// Previous is the MAC that had the address before, for Moved, or has it too, for Conflict.
	Previous MAC `json:"previous,omitzero"`
}
