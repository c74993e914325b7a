package dhcplink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// allServers is All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
var allServers = net.ParseIP("ff02::1:2")

// linux6Conn is the DHCPv6 server port: one UDP socket. Clients have a link-local address that
// answers neighbor discovery, so that no reply needs a frame of its own.
type linux6Conn struct {
	port  int
	pc    *ipv6.PacketConn
	b     *batcher
	links linkNames
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

func listen6(cfg ListenConfig) (dhcpsrv.Conn, error) {
	conn, err := listenUDP("udp6", fmt.Sprintf("[::]:%d", cfg.Port))
	if err != nil {
		return nil, err
	}
	c := &linux6Conn{port: cfg.Port, pc: ipv6.NewPacketConn(conn), done: make(chan struct{})}
	c.b = newBatcher(c.pc)
	if err := c.setUp(conn, cfg); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c.wg.Go(func() { c.links.follow(c.done) })
	return c, nil
}

func (c *linux6Conn) setUp(conn *net.UDPConn, cfg ListenConfig) (err error) {
	if c.links.raw, err = conn.SyscallConn(); err != nil {
		return err
	}
	c.links.names = cfg.Interfaces
	c.links.joined = func(index int) { c.pc.JoinGroup(&net.Interface{Index: index}, &net.UDPAddr{IP: allServers}) }
	if err := c.pc.SetControlMessage(ipv6.FlagInterface|ipv6.FlagDst, true); err != nil {
		return err
	}
	if cfg.Absent {
		return nil
	}
	return c.links.require()
}

// ReadDHCP implements [dhcpsrv.Conn].
func (c *linux6Conn) ReadDHCP(b []byte) (int, string, netip.AddrPort, netip.Addr, error) {
	for {
		n, cm, from, err := c.pc.ReadFrom(b)
		if err != nil {
			return 0, "", netip.AddrPort{}, netip.Addr{}, err
		}
		udp, ok := from.(*net.UDPAddr)
		if cm == nil || !ok {
			continue
		}
		link := c.links.name(cm.IfIndex)
		if link == "" {
			continue // not an interface we serve
		}
		dst, _ := netip.AddrFromSlice(cm.Dst)
		src := udp.AddrPort()
		return n, link, netip.AddrPortFrom(src.Addr().WithZone(""), src.Port()), dst, nil
	}
}

// ReadBatch implements [dhcpsrv.BatchConn].
func (c *linux6Conn) ReadBatch(in []dhcpsrv.Packet) (int, error) { return c.b.read(in, c.links.name) }

// WriteBatch implements [dhcpsrv.BatchConn].
func (c *linux6Conn) WriteBatch(out []dhcpsrv.Reply, failed func(int, error)) {
	c.b.write(out, func(i int) (netip.AddrPort, []byte, bool) {
		r := &out[i]
		if r.Link == "" {
			return c.toPort(r.Dst), nil, true
		}
		return c.toPort(r.Dst), c.b.info(c.links.index(r.Link), r.Src), true
	}, failed)
}

// toPort returns the destination of a reply when the port is not the usual one.
func (c *linux6Conn) toPort(dst netip.AddrPort) netip.AddrPort {
	if c.port == serverPort6 || dst.Port() != serverPort6 && dst.Port() != clientPort6 {
		return dst
	}
	return netip.AddrPortFrom(dst.Addr(), uint16(c.port)+dst.Port()-serverPort6)
}

// WriteDHCP implements [dhcpsrv.Conn].
func (c *linux6Conn) WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, _ net.HardwareAddr) error {
	dst = c.toPort(dst)
	var cm *ipv6.ControlMessage
	if link != "" {
		cm = &ipv6.ControlMessage{IfIndex: c.links.index(link)}
		if src.IsValid() {
			cm.Src = src.AsSlice()
		}
	}
	_, err := c.pc.WriteTo(b, cm, net.UDPAddrFromAddrPort(dst))
	if err != nil && cm != nil && cm.Src != nil { // as in dropSource
		cm.Src = nil
		_, err = c.pc.WriteTo(b, cm, net.UDPAddrFromAddrPort(dst))
	}
	return err
}

// Close implements [dhcpsrv.Conn].
func (c *linux6Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.done)
		err = c.pc.Close()
		c.wg.Wait()
	})
	return err
}
