package dhcplink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv6"

	"github.com/gomaas/maas/dhcpsrv/radv"
)

// onLinkHops is the hop limit of neighbor discovery: no router forwards a packet with it and
// delivers it intact.
const onLinkHops = 255

var allRouters = net.ParseIP("ff02::2")

// icmpConn is a raw ICMPv6 socket that receives router solicitations only.
type icmpConn struct {
	pc    *ipv6.PacketConn
	links linkNames
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

func listenAdvertise(cfg ListenConfig) (radv.Conn, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, err
	}
	c := &icmpConn{pc: ipv6.NewPacketConn(conn), done: make(chan struct{})}
	if err := c.setUp(conn.(*net.IPConn), cfg); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c.wg.Go(func() { c.links.follow(c.done) })
	return c, nil
}

func (c *icmpConn) setUp(conn *net.IPConn, cfg ListenConfig) (err error) {
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterSolicitation)
	filter.Accept(ipv6.ICMPTypeRouterAdvertisement) // of other routers
	if c.links.raw, err = conn.SyscallConn(); err != nil {
		return err
	}
	c.links.names = cfg.Interfaces
	c.links.joined = func(index int) { c.pc.JoinGroup(&net.Interface{Index: index}, &net.IPAddr{IP: allRouters}) }
	if err := errors.Join(
		c.pc.SetICMPFilter(&filter), c.pc.SetHopLimit(onLinkHops), c.pc.SetMulticastHopLimit(onLinkHops), c.pc.SetMulticastLoopback(false),
		c.pc.SetControlMessage(ipv6.FlagInterface|ipv6.FlagHopLimit, true),
	); err != nil {
		return err
	}
	if cfg.Absent {
		return nil
	}
	return c.links.require()
}

// require returns an error that names the first interface that does not exist.
func (l *linkNames) require() error {
	for _, name := range l.names {
		if l.index(name) == 0 {
			return fmt.Errorf("interface %q: there is none of that name", name)
		}
	}
	return nil
}

// ReadICMP implements [radv.Conn].
func (c *icmpConn) ReadICMP(b []byte) (int, string, netip.Addr, error) {
	for {
		n, cm, from, err := c.pc.ReadFrom(b)
		if err != nil {
			return 0, "", netip.Addr{}, err
		}
		ip, ok := from.(*net.IPAddr)
		if cm == nil || cm.HopLimit != onLinkHops || !ok {
			continue
		}
		if link := c.links.name(cm.IfIndex); link != "" {
			src, _ := netip.AddrFromSlice(ip.IP)
			return n, link, src, nil
		}
	}
}

// WriteICMP implements [radv.Conn].
func (c *icmpConn) WriteICMP(b []byte, link string, dst netip.Addr) error {
	index := c.links.index(link)
	if index == 0 {
		return fmt.Errorf("interface %q is not there", link)
	}
	_, err := c.pc.WriteTo(b, &ipv6.ControlMessage{IfIndex: index, HopLimit: onLinkHops}, &net.IPAddr{IP: dst.AsSlice(), Zone: dst.Zone()})
	return err
}

// Close implements [radv.Conn].
func (c *icmpConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.done)
		err = c.pc.Close()
		c.wg.Wait()
	})
	return err
}
