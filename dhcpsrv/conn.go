package dhcpsrv

import (
	"net"
	"net/netip"
)

// Conn carries DHCPv4 datagrams between a [Server] and its links. dhcplink.Listen opens one on
// Linux; a test gives any type with these methods.
//
// ReadDHCP is called by one goroutine, WriteDHCP by several at once. Close ends a blocked ReadDHCP
// with an error that satisfies errors.Is(err, net.ErrClosed).
type Conn interface {
	// ReadDHCP waits for one datagram and stores its payload in b (1,500 bytes are enough; longer
	// payloads are cut). link names the interface it came in on, src its sender and dst the address
	// it was sent to: 255.255.255.255 for a broadcast, or one of this host's own.
	ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error)

	// WriteDHCP sends b to dst. link "" lets the host's routing choose the interface, and an
	// invalid src the source address. When hw is not nil the datagram leaves link as a unicast
	// frame to hw without any neighbour look-up: the client is about to own dst but cannot answer
	// for it yet (RFC 2131 section 4.1).
	WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error

	// Close is called once by the Serve that was given the Conn.
	Close() error
}

// BatchConn is an optional ability of a [Conn]: it moves several datagrams with one system call.
// The server then calls ReadBatch instead of ReadDHCP, and WriteBatch instead of WriteDHCP, each
// from one goroutine at a time.
type BatchConn interface {
	Conn

	// ReadBatch waits for at least one datagram and fills in[:n]. It stores each payload in the
	// memory of Data, up to its capacity, and sets the length of Data; it may swap the memory of
	// two elements. Port is the server's to set.
	ReadBatch(in []Packet) (n int, err error)

	// WriteBatch sends the replies and calls failed with the index of each that it cannot send.
	WriteBatch(out []Reply, failed func(i int, err error))
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

// singly moves one datagram at a time through a Conn that is no BatchConn.
type singly struct{ Conn }

// ReadBatch implements BatchConn.
func (c singly) ReadBatch(in []Packet) (n int, err error) {
	p := &in[0]
	b := p.Data[:cap(p.Data)]
	n, p.Link, p.Src, p.Dst, err = c.ReadDHCP(b)
	p.Data = b[:max(n, 0)]
	return 1, err
}

// WriteBatch implements BatchConn.
func (c singly) WriteBatch(out []Reply, failed func(int, error)) {
	for i := range out {
		r := &out[i]
		if err := c.WriteDHCP(r.Data, r.Link, r.Src, r.Dst, r.HW); err != nil {
			failed(i, err)
		}
	}
}
