package dhcpsrv

import (
	"net"
	"net/netip"
)

// Conn carries DHCPv4 datagrams between a [Server] and its links. [Listen] opens one on Linux; a test gives any type with
// these methods.
//
// ReadDHCP is called by one goroutine, WriteDHCP by several at once. Close ends a blocked ReadDHCP with an error that
// satisfies errors.Is(err, net.ErrClosed).
type Conn interface {
	// ReadDHCP waits for one datagram and stores its payload in b (1,500 bytes are enough; longer payloads are cut).
	// link names the interface it came in on, src its sender and dst the address it was sent to: 255.255.255.255 for a
	// broadcast, or one of this host's own.
	ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error)

	// WriteDHCP sends b to dst. link "" lets the host's routing choose the interface, and an invalid src the source
	// address. When hw is not nil the datagram leaves link as a unicast frame to hw without any neighbour look-up: the
	// client is about to own dst but cannot answer for it yet (RFC 2131 section 4.1).
	WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error

	Close() error
}

// Packet is one received datagram, as a [Conn] reports it.
type Packet struct {
	Data []byte         // UDP payload; the server does not keep it after the call
	Link string         // interface it came in on; "" when it is not known, then only relayed and routed clients are served
	Src  netip.AddrPort // sender
	Dst  netip.Addr     // address it was sent to; invalid counts as broadcast
	Port uint16         // port it was sent to; only [BootServerPort] makes a difference
}

// Reply is one datagram to send, with the arguments of [Conn] WriteDHCP.
type Reply struct {
	Data []byte
	Link string
	Src  netip.Addr
	Dst  netip.AddrPort
	HW   net.HardwareAddr // not nil: unicast frame to this link address
}
