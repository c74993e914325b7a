package dhcplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/dhcpsrv"
)

// receiveBuffer holds about 20,000 small packets: all machines of a site that power on at once.
const receiveBuffer = 16 << 20

// linuxConn is the server port: a UDP socket for everything that the kernel can send, and packet
// sockets for replies to clients that do not answer ARP yet.
type linuxConn struct {
	port  int
	boot  bool // the port of boot servers: every reply keeps its destination
	links []string

	absent bool // links need not exist
	pc     *ipv4.PacketConn
	b      *batcher
	raw    syscall.RawConn

	mu      sync.Mutex
	byIndex map[int]string
	sockets map[string]*frameSocket
	looked  time.Time // when the interfaces were last looked up
}

// listenUDP opens a socket with a large buffer. Without SO_REUSEADDR, which Go does not set for
// UDP, the port is refused while another program has it: of two servers on a port each would get
// some of the packets.
func listenUDP(network, address string) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var grown error
		if err := c.Control(func(fd uintptr) { grown = growBuffer(int(fd)) }); err != nil {
			return err
		}
		return grown
	}}
	conn, err := lc.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, listenError(err)
	}
	return conn.(*net.UDPConn), nil
}

// listenError adds the cure to an error.
func listenError(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return ErrPortBusy
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (needs root, or CAP_NET_BIND_SERVICE and CAP_NET_RAW)", err)
	}
	return err
}

func listen(cfg ListenConfig, boot bool) (dhcpsrv.Conn, error) {
	conn, err := listenUDP("udp4", fmt.Sprintf("0.0.0.0:%d", cfg.Port))
	if errors.Is(err, ErrPortBusy) {
		return nil, fmt.Errorf("%w%s", err, portOwner(cfg.Port))
	}
	if err != nil {
		return nil, err
	}
	c := &linuxConn{port: cfg.Port, boot: boot, links: cfg.Interfaces, absent: cfg.Absent, pc: ipv4.NewPacketConn(conn), sockets: make(map[string]*frameSocket)}
	c.b = newBatcher(c.pc)
	if c.raw, err = conn.SyscallConn(); err == nil {
		err = c.setUp()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *linuxConn) setUp() error {
	if err := c.pc.SetControlMessage(ipv4.FlagInterface|ipv4.FlagDst, true); err != nil {
		return err
	}
	for _, name := range c.links {
		if _, err := c.frames(name); err != nil && !c.absent {
			return err
		}
	}
	c.lookUp()
	return nil
}

// growBuffer requests a large receive buffer. More than the system's limit needs CAP_NET_ADMIN.
func growBuffer(fd int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
}

// ReadDHCP implements [dhcpsrv.Conn].
func (c *linuxConn) ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error) {
	for {
		n, cm, from, err := c.pc.ReadFrom(b)
		if err != nil {
			return 0, "", netip.AddrPort{}, netip.Addr{}, err
		}
		udp, ok := from.(*net.UDPAddr)
		if cm == nil || !ok {
			continue
		}
		if link = c.name(cm.IfIndex); link == "" {
			continue // not an interface we serve
		}
		dst, _ = netip.AddrFromSlice(cm.Dst)
		src = udp.AddrPort()
		return n, link, netip.AddrPortFrom(src.Addr().Unmap(), src.Port()), dst.Unmap(), nil
	}
}

// ReadBatch implements [dhcpsrv.BatchConn].
func (c *linuxConn) ReadBatch(in []dhcpsrv.Packet) (int, error) { return c.b.read(in, c.name) }

// WriteBatch implements [dhcpsrv.BatchConn].
func (c *linuxConn) WriteBatch(out []dhcpsrv.Reply, failed func(int, error)) {
	c.b.write(out, func(i int) (netip.AddrPort, []byte, bool) {
		r := &out[i]
		dst := c.toPort(r.Dst)
		if r.HW != nil {
			if err := c.writeFrame(r.Data, r.Link, r.Src, dst, r.HW); err != nil {
				failed(i, err)
			}
			return dst, nil, false
		}
		if r.Link == "" {
			return dst, nil, true
		}
		return dst, c.b.info(c.index(r.Link), r.Src), true
	}, failed)
}

// toPort returns the destination of a reply when the port is not the usual one.
func (c *linuxConn) toPort(dst netip.AddrPort) netip.AddrPort {
	if c.port == serverPort || c.boot || dst.Port() != serverPort && dst.Port() != clientPort {
		return dst
	}
	return netip.AddrPortFrom(dst.Addr(), uint16(c.port)+dst.Port()-serverPort)
}

// name returns the name of a served interface, or "".
func (c *linuxConn) name(index int) string {
	c.mu.Lock()
	name, ok := c.byIndex[index]
	stale := time.Since(c.looked) > time.Second
	c.mu.Unlock()
	if !ok && stale {
		c.lookUp()
		c.mu.Lock()
		name = c.byIndex[index]
		c.mu.Unlock()
	}
	return name
}

// lookUp reads the current index of each served interface. It asks through the socket, so that the
// answer belongs to the socket's network namespace.
func (c *linuxConn) lookUp() {
	byIndex := make(map[int]string)
	c.raw.Control(func(fd uintptr) {
		for _, name := range c.links {
			if ifr, err := unix.NewIfreq(name); err == nil && unix.IoctlIfreq(int(fd), unix.SIOCGIFINDEX, ifr) == nil {
				byIndex[int(ifr.Uint32())] = name
			}
		}
	})
	c.mu.Lock()
	c.byIndex, c.looked = byIndex, time.Now()
	c.mu.Unlock()
}

// frames returns the packet socket of an interface. It opens a new one after the interface was
// recreated.
func (c *linuxConn) frames(name string) (*frameSocket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sockets[name]; s != nil {
		return s, nil
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %q: %w", name, err)
	}
	s, err := openFrames(ifi)
	if err != nil {
		return nil, fmt.Errorf("packet socket on %q: %w", name, err)
	}
	c.sockets[name] = s
	return s, nil
}

// WriteDHCP implements [dhcpsrv.Conn].
func (c *linuxConn) WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	dst = c.toPort(dst)
	if hw != nil {
		return c.writeFrame(b, link, src, dst, hw)
	}
	var cm *ipv4.ControlMessage
	if link != "" {
		cm = &ipv4.ControlMessage{IfIndex: c.index(link)}
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

func (c *linuxConn) writeFrame(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	s, err := c.frames(link)
	if err != nil {
		return err
	}
	err = s.send(b, netip.AddrPortFrom(src, uint16(c.port)), dst, hw)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENETDOWN) {
		c.mu.Lock()
		if c.sockets[link] == s { // the interface was removed; the next reply looks for it again
			delete(c.sockets, link)
			s.close()
		}
		c.mu.Unlock()
	}
	return err
}

func (c *linuxConn) index(link string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, name := range c.byIndex {
		if name == link {
			return i
		}
	}
	return 0
}

// Close implements [dhcpsrv.Conn].
func (c *linuxConn) Close() error {
	err := c.pc.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, s := range c.sockets {
		s.close()
		delete(c.sockets, name)
	}
	return err
}
