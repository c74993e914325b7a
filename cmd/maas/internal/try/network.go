package try

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/pxe/boottest"
)

// vlan is a simulated network and the address of the rack that serves it.
type vlan struct {
	segment *boottest.Segment
	node    *boottest.Node // of the rack
	rack    netip.Addr
}

const (
	maxVLANs = 32
	// vlanBits is the prefix length of a network. Its first 256 addresses are not handed out.
	vlanBits  = 20
	vlanHosts = 1<<(32-vlanBits) - 256 - 2
)

// newVLAN makes network i: 172.30.0.0/20 and those that follow it.
func newVLAN(i int) *vlan {
	base := netip.AddrFrom4([4]byte{172, byte(30 + i/16), byte(i % 16 * 16), 0})
	v := &vlan{segment: boottest.NewSegment(netip.PrefixFrom(base, vlanBits)), rack: base.Next()}
	v.segment.Link = fmt.Sprint("eth", i)
	v.node = v.segment.Server(v.rack)
	return v
}

// address returns the rack's address with the length of the prefix.
func (v *vlan) address() netip.Prefix { return netip.PrefixFrom(v.rack, vlanBits) }

// dynamic returns the range that DHCP hands out.
func (v *vlan) dynamic() (first, last netip.Addr) {
	a := v.segment.Prefix().Addr().As4()
	return netip.AddrFrom4([4]byte{a[0], a[1], a[2] + 1, 0}), netip.AddrFrom4([4]byte{a[0], a[1], a[2] + 15, 254})
}

// mac returns the link address of machine i of the site.
func mac(i int) net.HardwareAddr {
	i++
	return net.HardwareAddr{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)}
}

// dhcpPorts are the DHCP ports of a rack on all its networks, as one dhcpsrv.Conn.
type dhcpPorts struct {
	ports   map[string]*boottest.DHCPConn // by link
	packets chan packet
	end     sync.Once
	ended   chan struct{}
	readers sync.WaitGroup
	answers atomic.Int64 // that were sent
}

// packet is a datagram that arrived.
type packet struct {
	data []byte
	link string
	src  netip.AddrPort
	dst  netip.Addr
}

// listenDHCP opens the DHCP port of a rack on each network.
func listenDHCP(vlans []*vlan) (*dhcpPorts, error) {
	d := &dhcpPorts{ports: map[string]*boottest.DHCPConn{}, packets: make(chan packet), ended: make(chan struct{})}
	for _, v := range vlans {
		port, err := v.node.DHCP()
		if err != nil {
			_ = d.Close() // the first error counts
			return nil, err
		}
		d.ports[v.segment.Link] = port
		d.readers.Go(func() { d.read(port) })
	}
	return d, nil
}

// read passes on what arrives at one port until it is closed.
func (d *dhcpPorts) read(port *boottest.DHCPConn) {
	b := make([]byte, 2048)
	for {
		n, link, src, dst, err := port.ReadDHCP(b)
		if err != nil {
			return
		}
		select {
		case d.packets <- packet{append([]byte(nil), b[:n]...), link, src, dst}:
		case <-d.ended:
			return
		}
	}
}

// ReadDHCP implements dhcpsrv.Conn.
func (d *dhcpPorts) ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error) {
	select {
	case p := <-d.packets:
		return copy(b, p.data), p.link, p.src, p.dst, nil
	case <-d.ended:
		return 0, "", src, dst, net.ErrClosed
	}
}

// WriteDHCP implements dhcpsrv.Conn.
func (d *dhcpPorts) WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	port, ok := d.ports[link]
	if !ok {
		return fmt.Errorf("the simulated rack has no link %q", link)
	}
	d.answers.Add(1)
	return port.WriteDHCP(b, link, src, dst, hw)
}

// Close implements dhcpsrv.Conn.
func (d *dhcpPorts) Close() error {
	d.end.Do(func() {
		close(d.ended)
		for _, p := range d.ports {
			_ = p.Close() // a port in memory has nothing to lose
		}
		d.readers.Wait()
	})
	return nil
}
