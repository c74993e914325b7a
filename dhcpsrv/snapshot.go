package dhcpsrv

import (
	"net"
	"net/netip"
	"time"
)

// Snapshot is all that a server serves from. Give it to [Server.Update] and do not change it, nor anything it points to,
// afterwards. The zero value serves nobody.
type Snapshot struct {
	Subnets      []Subnet
	Reservations []Reservation
	Options      Options // site level: sent in every subnet unless something more specific has the same code
	// Options6 is the site level of DHCPv6; its codes are another family's. Options of subnets and pools are of the family
	// of the subnet, those of a reservation of its address's, without an address of IPv4.
	Options6 Options
	// Partners are the other servers that subnets name.
	Partners []Partner
}

// Defaults for zero fields of a [Subnet].
const (
	DefaultLeaseTime   = 10 * time.Minute
	defaultDeclineTime = time.Hour
)

// Subnet is one IPv4 or IPv6 subnet with what its clients are told. The options named below are those of IPv4; in an IPv6
// subnet DNS is option 23, Domain with Search 24, and NTP 56. Routers, Routes and MTU must be empty there, since DHCPv6
// carries none of them (router advertisements do, see package radv), and ByClientID does not count: clients go by DUID and IAID.
type Subnet struct {
	Name   string       // unique in the snapshot; named in errors, leases and explanations
	Prefix netip.Prefix // must not overlap another subnet's

	// Link is the interface on which the subnet is local; "" = its clients are reached only by relay.
	Link string
	// SharedNetwork names the broadcast domain (VLAN). A client heard on one of its subnets may get an address of any other, since
	// they share the wire. "" = subnets with the same Link are one shared network, and one without Link is alone.
	SharedNetwork string `json:"Segment"` // as racks and regions know it
	// Server is this server's address towards the subnet: option 54, and siaddr unless the boot answer names another. For
	// IPv6 the server's DUID is made from that of the shared network's first subnet.
	Server netip.Addr

	// Partner names the server that serves the subnet as well, of those in Snapshot.Partners; "" = none.
	Partner string
	// Secondary says which of the two this one is: each answers half of the clients, and all while the other is away.
	Secondary bool
	// PartnerServer is what Server is to the partner; invalid = not known. It is not taken for a rogue server.
	PartnerServer netip.Addr

	// Mode says whether the server gives addresses here; DHCPv6 knows only ModeServe.
	Mode Mode

	Pools   []Pool       // dynamic ranges; none = only reserved clients are served
	Routers []netip.Addr // option 3
	DNS     []netip.Addr // option 6
	NTP     []netip.Addr // option 42
	Domain  string       // option 15
	Search  []string     // option 119
	Routes  []Route      // option 121; the first router is added as the default route, since clients then ignore option 3
	MTU     int          // option 26; 0 = not sent, else 68..65535

	// CircuitQuota is how many dynamic addresses the clients behind one circuit of a relay (option 82.1, or 18 of IPv6) may
	// hold or have on offer at once, so that one of them with ever new identities cannot drain the pools. 0 = no limit. Who
	// holds an address keeps it, and who has a reserved one gets it.
	CircuitQuota int
	// LinkQuota is the same for the clients that no relay names a circuit of: those heard on the link itself, in all, and
	// those of each relay in the subnet's shared network. A link address is cheap to make up, so this is how much of the pools one
	// host there can take.
	LinkQuota int

	LeaseTime     time.Duration // 0 = 10 minutes (DefaultLeaseTime); a client may ask for less, never for more
	BootLeaseTime time.Duration // for network-boot firmware; 0 = LeaseTime
	DeclineTime   time.Duration `json:"QuarantineTime"` // how long an address found in use is left alone; 0 = an hour

	// ByClientID makes option 61 the identity of a client that sends it, as RFC 2131 has it. The zero value goes by the
	// link address, so that firmware, installer and system of one machine, whose client identifiers differ, get one lease.
	ByClientID bool
	// NotAuthoritative: another server may serve this subnet, so requests for leases that this server does not know are
	// left unanswered. Otherwise such a lease is granted when the address is free in a pool, and refused when not.
	NotAuthoritative bool
	// RapidCommit answers a DISCOVER that carries option 80 with an ACK (RFC 4039). Only for the sole server of a link.
	RapidCommit bool

	Options Options // subnet level; wins over the fields above
}

// Pool is a range of addresses given out dynamically.
type Pool struct {
	First, Last netip.Addr // inclusive, inside the subnet's prefix, without its network and broadcast address
	Options     Options    // for clients with an address of this pool; wins over the subnet's
}

// Route is one classless static route (RFC 3442).
type Route struct {
	Dest netip.Prefix
	Via  netip.Addr // 0.0.0.0 = on the link
}

// Reservation binds a client to an address, a name or options.
type Reservation struct {
	Name string // for errors and explanations; "" = the MAC or client identifier

	// The client: by link address, by option 61 of IPv4, by DUID of IPv6 (any matches, the link address last). The link
	// address of a DHCPv6 client is what its relay says in option 79, else that in its link-local address, else in its DUID.
	MAC      net.HardwareAddr
	ClientID []byte
	DUID     []byte
	// Subscriber is whose line the client is on, as its relay says in option 82.6 (RFC 3993), or 38 of IPv6 (RFC 4580): the
	// last thing to go by, for a client that matches nothing else. Whichever machine on the line asks gets the reservation.
	Subscriber string
	// Aliases are further link addresses of the same client, such as the members of a bond: whichever of them asks gets
	// the reservation, one at a time.
	Aliases []net.HardwareAddr

	// Subnet limits a reservation without Addr to one subnet by name; "" = any. With Addr it may be left empty.
	Subnet string
	// Addr is the client's address, inside or outside the pools. Invalid = a pool address; the rest still applies.
	Addr netip.Addr

	Hostname string  // option 12
	Options  Options // host level; wins over all others
}
