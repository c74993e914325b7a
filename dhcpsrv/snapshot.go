package dhcpsrv

import (
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/failover"
)

// Snapshot is everything that a server serves from. Give it to [Server.Update] and do not change
// it, nor anything it points to, afterwards. With the zero value no client is served.
type Snapshot struct {
	Subnets      []Subnet
	Reservations []Reservation
	Classes      []Class // of clients; the first one that a client satisfies is its class
	Options      Options // site level: sent in every subnet unless something more specific has the same code
	// Options6 is the site level of DHCPv6, whose codes differ. Options of a subnet or pool belong
	// to the family of the subnet, options of a reservation to the family of its address, or to
	// IPv4 without one.
	Options6 Options
	// Partners are the other servers that subnets name.
	Partners []failover.Partner
}

// Defaults for zero fields of a [Subnet].
const (
	DefaultLeaseTime   = 10 * time.Minute
	defaultDeclineTime = time.Hour
)

// Subnet is one IPv4 or IPv6 subnet with what its clients receive. The fields name options of IPv4;
// in an IPv6 subnet DNS is option 23, Domain with Search 24, and NTP 56. Routers, Routes and MTU
// must be empty there, since DHCPv6 carries none of them (router advertisements do, see package
// radv), and ByClientID is ignored: clients are known by DUID and IAID.
type Subnet struct {
	Name   string       // unique in the snapshot; named in errors, leases and explanations
	Prefix netip.Prefix // must not overlap another subnet's of the same VRF

	// VRF is the routing domain of the subnet; "" = the global one. Subnets of two VRFs are served
	// apart, also where they overlap. A relay, or else a client, selects the VRF by its name or VPN
	// identifier (RFC 6607; the text of the latter is such as 00005e:0000002a). A packet that
	// selects none is of the VRF of the link it came in on. Addresses of a VRF without Link are not
	// probed: the host would ask its own network.
	VRF string `json:",omitempty"`

	// Link is the interface on which the subnet is local; "" = its clients are reached only by
	// relay.
	Link string
	// Relays are addresses of relays whose clients belong to the subnet although the addresses do
	// not: a relay that sends a loopback address, or the address of another network. For IPv6 they
	// are compared with the link address and then with the source of the packet.
	Relays []netip.Addr `json:",omitempty"`
	// SharedNetwork names the broadcast domain (VLAN). A client heard on one of its subnets may get
	// an address of any other, since they share the wire. "" = subnets with the same Link are one
	// shared network, and one without Link is alone.
	SharedNetwork string `json:"Segment"` // as racks and regions know it
	// Server is this server's address in the subnet: option 54, and siaddr unless the boot answer
	// names another. For IPv6 the server's DUID is made from the address in the shared network's
	// first subnet.
	Server netip.Addr

	// Partner names the failover partner for the subnet, one of Snapshot.Partners; "" = none.
	Partner string
	// Secondary is set on one of the two partners: each answers half of the clients, and all of
	// them while the other is away.
	Secondary bool
	// PartnerServer is the partner's Server; invalid = not known. It does not count as a rogue
	// server.
	PartnerServer netip.Addr

	// Mode says whether the server gives addresses here; DHCPv6 knows only ModeServe.
	Mode Mode

	// Delegate holds the prefixes of an IPv6 subnet that routers among its clients get for the
	// networks behind them. They lie outside of all subnets. The routes to them are the caller's
	// task: [Config.Events] reports each. Of a pool that is shared with a partner, each server
	// gives the prefixes of one half.
	Delegate []PrefixPool `json:",omitempty"`
	// PrefixQuota bounds the prefixes that one client holds or is offered; 0 = 4. A client always
	// gets a reserved one.
	PrefixQuota int `json:",omitempty"`

	Pools   []Pool       // dynamic ranges; none = only reserved clients are served
	Routers []netip.Addr // option 3
	DNS     []netip.Addr // option 6
	NTP     []netip.Addr // option 42
	Domain  string       // option 15
	Search  []string     // option 119
	Routes  []Route      // option 121; the first router is added as the default route, since clients then ignore option 3
	MTU     int          // option 26; 0 = not sent, else 68..65535

	// CircuitQuota bounds the dynamic addresses that the clients behind one circuit of a relay
	// (option 82.1, or 18 of IPv6) may hold or have on offer at once, so that one host with ever
	// new identities cannot drain the pools. 0 = no limit. A client keeps an address that it holds,
	// and always gets a reserved one.
	CircuitQuota int
	// LinkQuota is the same bound for clients without a circuit ID: all clients on the link itself
	// together, and all clients of each relay in the shared network. A link address is easily
	// invented, so this is the part of the pools that one host there can take.
	LinkQuota int

	LeaseTime     time.Duration // 0 = 10 minutes (DefaultLeaseTime); a client may ask for less, never for more
	BootLeaseTime time.Duration // for network-boot firmware; 0 = LeaseTime
	DeclineTime   time.Duration `json:"QuarantineTime"` // how long an address found in use is withheld; 0 = an hour

	// ByClientID makes option 61 the identity of a client that sends it, as RFC 2131 has it. The
	// zero value goes by the link address, so that firmware, installer and system of one machine,
	// whose client identifiers differ, get one lease.
	ByClientID bool
	// NotAuthoritative leaves requests for unknown leases unanswered, since another server may
	// serve the subnet. Otherwise such a lease is granted when the address is free in a pool, and
	// refused when not.
	NotAuthoritative bool
	// RapidCommit answers a DISCOVER that carries option 80 with an ACK (RFC 4039). Set it only on
	// the sole server of a link.
	RapidCommit bool

	Options Options // subnet level; wins over the fields above
}

// Pool is a range of addresses given out dynamically.
type Pool struct {
	First, Last netip.Addr // inclusive, inside the subnet's prefix, without its network and broadcast address
	Options     Options    // for clients with an address of this pool; wins over the subnet's
	// Class names the class whose clients alone get these addresses, and in this subnet no others.
	// "" = clients of no class, and of classes without a pool in the subnet.
	Class string `json:",omitempty"`
}

// Route is one classless static route (RFC 3442).
type Route struct {
	Dest netip.Prefix
	Via  netip.Addr // 0.0.0.0 = on the link
}

// Reservation binds a client to an address, a name or options.
type Reservation struct {
	Name string // for errors and explanations; "" = the MAC or client identifier

	// The client, by link address, by option 61 of IPv4 or by DUID of IPv6: any of them matches,
	// the link address last. The link address of a DHCPv6 client is taken from the relay's option
	// 79, else from its link-local address, else from its DUID.
	MAC      net.HardwareAddr
	ClientID []byte
	DUID     []byte
	// Subscriber is the line of the client, as its relay sends it in option 82.6 (RFC 3993), or 38
	// of IPv6 (RFC 4580). It applies to a client that matches nothing else: whichever machine on
	// the line asks gets the reservation.
	Subscriber string
	// Aliases are further link addresses of the same client, such as the members of a bond.
	// Whichever of them asks gets the reservation, one at a time.
	Aliases []net.HardwareAddr

	// VRF is the routing domain; "" = the one of Subnet, or the global one.
	VRF string `json:",omitempty"`
	// Subnet limits a reservation without Addr to one subnet by name; "" = any. With Addr it may be
	// left empty.
	Subnet string
	// Addr is the client's address, inside or outside the pools. Invalid = a pool address; the rest
	// still applies.
	Addr netip.Addr
	// Prefix is delegated to the client, one of those in Subnet.Delegate. Invalid = any of them.
	Prefix netip.Prefix `json:",omitzero"`

	Hostname string  // option 12, or 39 of IPv6, sent to a client that asks for it; "" = none
	Options  Options // host level; wins over all others
}
