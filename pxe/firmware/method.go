package firmware

import (
	"net"
	"net/netip"
)

// Method is one way to network boot: which firmware it is for, what that is handed, and what its
// loader then asks for. Methods are data; the first of a table that matches a client is used.
type Method struct {
	Name string // such as "uefi-amd64-pxe"

	// Arch, UserClass and VendorClass select clients: any of the architecture types (none listed
	// means all), the user class (option 77) exactly, and a prefix of the vendor class (option 60).
	// Empty matches everything.
	Arch        []Arch
	UserClass   string
	VendorClass string
	// UBoot selects only U-Boot where it boots as UEFI firmware does.
	UBoot bool

	// Loader is the first file, by its name in Config.Loaders. Empty means that the client is a
	// loader already and is handed its configuration.
	Loader string
	// Proto is the protocol of the first file: TFTP or HTTP.
	Proto Proto
	// Config is the language of the configuration the loader reads.
	Config Language
	// Configs are the names it asks for, in order, with {mac}, {uuid} and {arch} in place of what
	// varies. They document the method and drive simulated machines; the server answers these names
	// for every method.
	Configs []string
	// PathPrefix is sent as option 210, for loaders that fetch everything below it.
	PathPrefix string
	// IPv4Only excludes the method from DHCPv6: its firmware cannot boot over IPv6.
	IPv4Only bool
	// Source says where the behaviour of the firmware was seen or is specified.
	Source string
}

// Proto is the protocol of a first fetch.
type Proto string

// The protocols firmware fetches with.
const (
	TFTP Proto = "tftp"
	HTTP Proto = "http"
)

// Client holds the parts of a DHCP request that describe firmware.
type Client struct {
	MAC         net.HardwareAddr
	UUID        string   // option 97 in text form; empty when absent or malformed
	Arch        []Arch   // option 93 in the client's order of preference; none means a BOOTP client
	VendorClass string   // option 60
	UserClasses []string // option 77: bare text, or all classes of an RFC 3004 list
	IPXE        bool     // option 175 is present
	UBoot       bool     // U-Boot, also where its vendor class is one of UEFI firmware
}

// Endpoint is the address and port at which a client reaches a server.
type Endpoint struct {
	Addr     netip.Addr // of the server, towards that client
	HTTPPort int        // 0 means 5248
	// Others are further servers with the same files on the same ports, in the order to try them:
	// scripts go on with the next when one fails. The first two of the family of Addr are used.
	Others []netip.Addr
	// SyslogPort is the UDP port of Addr that takes what machines log. Zero means that none does.
	SyslogPort int
	// Nonce ends the URL of the variable {done}, by which the server knows its own scripts. If
	// empty, the URL has none.
	Nonce string
}

// Offer is the answer to a client in DHCP.
type Offer struct {
	Method      Method
	Arch        Arch       // the architecture that matched
	File        string     // path or URL: option 67, or DHCPv6 option 59, where it is always a URL
	NextServer  netip.Addr // siaddr, and option 66
	VendorClass string     // to answer as option 60: "HTTPClient", or empty
	PathPrefix  string     // option 210, or empty
	DefaultURL  string     // option 114, or empty: where ONIE finds its installer
	NoProxyWait bool       // send iPXE option 175.176=1: no proxyDHCP will answer
}
