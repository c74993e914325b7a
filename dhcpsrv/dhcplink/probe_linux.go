package dhcplink

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/packet"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// openProbe opens the socket for some means of probing. It returns nil for an interface without
// Ethernet addresses, which knows neither ARP nor neighbor discovery with them.
func openProbe(by means) (probeConn, error) {
	if by.link == "" {
		return openEcho(by.v6)
	}
	ifi, err := net.InterfaceByName(by.link)
	switch {
	case err != nil:
		return nil, err
	case len(ifi.HardwareAddr) != 6:
		return nil, nil
	case by.v6:
		return openNeighbor(ifi)
	}
	return openARP(ifi)
}

// sendRetries bounds the attempts to send a probe while the queue of the interface is full.
const sendRetries = 20

// unhurried calls send, and again after a pause while the queue of the interface is full: a probe
// that was never sent proves nothing.
func unhurried(send func() error) (err error) {
	for range sendRetries {
		if err = send(); !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, syscall.EAGAIN) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return err
}

// widen makes room for the answers to a whole batch; by default a socket holds about 300.
func widen(c interface {
	SyscallConn() (syscall.RawConn, error)
}) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = growBuffer(int(fd)) })
	return errors.Join(err, failed)
}

// arpConn sends ARP probes.
type arpConn struct {
	*packet.Conn
	ifi *net.Interface
	buf [128]byte // of the one reader
}

func openARP(ifi *net.Interface) (probeConn, error) {
	conn, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_ARP, nil)
	if err != nil {
		return nil, err
	}
	if err := widen(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &arpConn{Conn: conn, ifi: ifi}, nil
}

func (c *arpConn) ask(addrs []netip.Addr) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	out := newFrames(c.ifi, unix.ETH_P_ARP, etherBroadcast)
	for len(addrs) > 0 {
		n := min(len(addrs), batchSize)
		for _, addr := range addrs[:n] {
			out.add(arpRequest(c.ifi.HardwareAddr, addr))
		}
		if err := unhurried(func() error { return out.send(raw) }); err != nil {
			return err
		}
		addrs = addrs[n:]
	}
	return nil
}

func (c *arpConn) hear() (netip.Addr, net.HardwareAddr, error) {
	n, _, err := c.ReadFrom(c.buf[:])
	if err != nil {
		return netip.Addr{}, nil, err
	}
	addr, owner := arpShows(c.buf[:n])
	return addr, owner, nil
}

// echoConn sends ICMP echo requests by the routes of the host.
type echoConn struct {
	net.PacketConn
	cookie [4]byte
	buf    [1500]byte
}

func openEcho(v6 bool) (probeConn, error) {
	network, local := "ip4:icmp", "0.0.0.0"
	if v6 {
		network, local = "ip6:ipv6-icmp", "::"
	}
	conn, err := net.ListenPacket(network, local)
	if err != nil {
		return nil, err
	}
	if err := widen(conn.(*net.IPConn)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &echoConn{PacketConn: conn, cookie: newCookie()}, nil
}

// ask does not count an unreachable address as an error: no host there answers.
func (c *echoConn) ask(addrs []netip.Addr) error {
	for _, addr := range addrs {
		request := echoRequest(addr, c.cookie)
		err := unhurried(func() error { _, err := c.WriteTo(request, &net.IPAddr{IP: addr.AsSlice()}); return err })
		if err != nil && !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) {
			return err
		}
	}
	return nil
}

func (c *echoConn) hear() (netip.Addr, net.HardwareAddr, error) {
	n, _, err := c.ReadFrom(c.buf[:])
	if err != nil {
		return netip.Addr{}, nil, err
	}
	return echoShows(c.buf[:n], c.cookie), nil, nil
}

// neighborConn sends neighbor solicitations.
type neighborConn struct {
	*ipv6.PacketConn
	ifi *net.Interface
	buf [1500]byte
}

func openNeighbor(ifi *net.Interface) (probeConn, error) {
	conn, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, err
	}
	pc := ipv6.NewPacketConn(conn)
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeNeighborAdvertisement)
	if err := errors.Join(widen(conn.(*net.IPConn)), pc.SetICMPFilter(&filter), pc.SetMulticastHopLimit(onLinkHops)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &neighborConn{PacketConn: pc, ifi: ifi}, nil
}

func (c *neighborConn) ask(addrs []netip.Addr) error {
	by := &ipv6.ControlMessage{IfIndex: c.ifi.Index, HopLimit: onLinkHops}
	for _, addr := range addrs {
		group, err := ndp.SolicitedNodeMulticast(addr)
		if err != nil {
			return err
		}
		solicit, err := neighborSolicit(c.ifi.HardwareAddr, addr)
		if err != nil {
			return err
		}
		// Without a zone: the net package remembers names of zones for longer than interfaces last.
		to := &net.IPAddr{IP: group.AsSlice()}
		if err := unhurried(func() error { _, err := c.WriteTo(solicit, by, to); return err }); err != nil {
			return err
		}
	}
	return nil
}

func (c *neighborConn) hear() (netip.Addr, net.HardwareAddr, error) {
	n, _, _, err := c.ReadFrom(c.buf[:])
	if err != nil {
		return netip.Addr{}, nil, err
	}
	addr, owner := neighborShows(c.buf[:n])
	return addr, owner, nil
}
