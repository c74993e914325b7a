package discovery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The receive ring of one interface: 1 MiB, of which the kernel hands over a block when it is full
// or retireMillis old.
const (
	blockSize    = 1 << 17
	blockCount   = 8
	retireMillis = 50
)

// packetConn is a packet socket whose frames the kernel writes into memory that is shared with it
// (TPACKET_V3): a busy link costs one system call for hundreds of frames, and no copy.
type packetConn struct {
	file   *os.File
	raw    syscallConn
	fd     int
	iface  Interface
	groups []*os.File // sockets that are in the groups of multicast DNS
	ring   []byte
	block  int

	receiving sync.Mutex // keeps the ring mapped while it is read
	closed    atomic.Bool
}

type syscallConn interface {
	Read(func(fd uintptr) bool) error
}

// OpenPacket opens the interface for frames of the sources (zero means [Passive]). It takes
// CAP_NET_RAW.
func OpenPacket(name string, sources Source) (Conn, error) {
	interfaces, err := Interfaces()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(interfaces, func(l Interface) bool { return l.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("discovery: interface %s: %w", name, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist})
	}
	if !interfaces[i].Ethernet {
		return nil, fmt.Errorf("discovery: interface %s does not speak Ethernet", name)
	}
	c, err := openPacket(interfaces[i], Filter(sources))
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("discovery: interface %s: %w; listening needs root or CAP_NET_RAW", name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("discovery: interface %s: %w", name, err)
	}
	if sources == 0 || sources.Has(MDNS) {
		c.joinGroups()
	}
	return c, nil
}

func openPacket(iface Interface, filter []bpf.Instruction) (*packetConn, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &packetConn{fd: fd, iface: iface}
	if err := c.setUp(filter); err != nil {
		unix.Close(fd)
		return nil, err
	}
	c.file = os.NewFile(uintptr(fd), "packet "+iface.Name)
	if c.raw, err = c.file.SyscallConn(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// setUp sets the filter before the socket is bound, so that no frame slips by it.
func (c *packetConn) setUp(filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	request := unix.TpacketReq3{
		Block_size: blockSize, Block_nr: blockCount, Frame_size: 2048, Frame_nr: blockSize / 2048 * blockCount, Retire_blk_tov: retireMillis,
	}
	// The interface must also pass frames for groups that this host is not in, such as those of
	// neighbor discovery.
	groups := unix.PacketMreq{Ifindex: int32(c.iface.Index), Type: unix.PACKET_MR_ALLMULTI}
	address := unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: c.iface.Index}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"PACKET_VERSION", func() error { return unix.SetsockoptInt(c.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3) }},
		{"SO_ATTACH_FILTER", func() error { return unix.SetsockoptSockFprog(c.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program) }},
		{"PACKET_IGNORE_OUTGOING", func() error { return unix.SetsockoptInt(c.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) }},
		{"PACKET_RX_RING", func() error { return unix.SetsockoptTpacketReq3(c.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request) }},
		{"mmap", func() (err error) {
			c.ring, err = unix.Mmap(c.fd, 0, blockSize*blockCount, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			return err
		}},
		{"bind", func() error { return unix.Bind(c.fd, &address) }},
		{"PACKET_ADD_MEMBERSHIP", func() error {
			return unix.SetsockoptPacketMreq(c.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &groups)
		}},
	} {
		if err := step.do(); err != nil {
			return os.NewSyscallError(step.name, err)
		}
	}
	return nil
}

func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// joinGroups makes switches that snoop on IGMP and MLD forward multicast DNS to this interface. The
// frames come by the packet socket; nothing is received here. A family that the interface has no
// address of is left out.
func (c *packetConn) joinGroups() {
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
		c.groups = append(c.groups, os.NewFile(uintptr(fd), "mdns"))
		_ = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: mdnsGroup4.As4(), Ifindex: int32(c.iface.Index)})
	}
	if fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
		c.groups = append(c.groups, os.NewFile(uintptr(fd), "mdns"))
		_ = unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: mdnsGroup6.As16(), Interface: uint32(c.iface.Index)})
	}
}

// Offsets in a block's header and in a frame's (struct tpacket_block_desc, struct tpacket3_hdr).
const (
	blockStatus = 8
	blockFrames = 12
	blockFirst  = 16
	frameNext   = 0
	frameSnap   = 12
	frameStatus = 20
	frameMAC    = 24
	frameTCI    = 32
)

// Receive hands over the frames of one block.
func (c *packetConn) Receive(fn func(frame []byte, vid uint16)) error {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	var failure error
	err := c.raw.Read(func(uintptr) bool {
		if c.ready() {
			return true
		}
		if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
			failure = unix.Errno(code)
		}
		return failure != nil
	})
	switch {
	case c.closed.Load():
		return net.ErrClosed
	case err != nil:
		return fmt.Errorf("discovery: interface %s: %w", c.iface.Name, err)
	case failure != nil:
		return fmt.Errorf("discovery: interface %s: %w", c.iface.Name, failure)
	}
	c.hand(fn)
	return nil
}

func (c *packetConn) status() *uint32 {
	return (*uint32)(unsafe.Pointer(&c.ring[c.block*blockSize+blockStatus]))
}

func (c *packetConn) ready() bool { return atomic.LoadUint32(c.status())&unix.TP_STATUS_USER != 0 }

// hand calls fn for each frame of the current block and gives the block back to the kernel.
func (c *packetConn) hand(fn func([]byte, uint16)) {
	block := c.ring[c.block*blockSize : (c.block+1)*blockSize]
	n, at := binary.NativeEndian.Uint32(block[blockFrames:]), binary.NativeEndian.Uint32(block[blockFirst:])
	for range n {
		b := block[at:]
		start, vid := uint32(binary.NativeEndian.Uint16(b[frameMAC:])), uint16(0)
		if binary.NativeEndian.Uint32(b[frameStatus:])&unix.TP_STATUS_VLAN_VALID != 0 {
			vid = uint16(binary.NativeEndian.Uint32(b[frameTCI:])) & 0x0fff
		}
		fn(b[start:start+binary.NativeEndian.Uint32(b[frameSnap:])], vid)
		at += binary.NativeEndian.Uint32(b[frameNext:])
	}
	atomic.StoreUint32(c.status(), unix.TP_STATUS_KERNEL)
	c.block = (c.block + 1) % blockCount
}

// Send transmits a frame.
func (c *packetConn) Send(frame []byte) error {
	to := unix.SockaddrLinklayer{Protocol: networkOrder(binary.BigEndian.Uint16(frame[12:])), Ifindex: c.iface.Index, Halen: 6}
	copy(to.Addr[:], frame[:6])
	err := unix.Sendto(c.fd, frame, 0, &to)
	if err == unix.ENOBUFS || err == unix.EAGAIN {
		return nil // the queue is full: a lost frame, as networks lose frames
	}
	if err != nil {
		return fmt.Errorf("discovery: interface %s: %w", c.iface.Name, os.NewSyscallError("send", err))
	}
	return nil
}

// Drops reads the kernel's counter, which starts again with each reading.
func (c *packetConn) Drops() uint64 {
	stats, err := unix.GetsockoptTpacketStatsV3(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0
	}
	return uint64(stats.Drops)
}

func (c *packetConn) Interface() Interface { return c.iface }

func (c *packetConn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	var errs []error
	if c.file != nil {
		errs = append(errs, c.file.Close()) // ends a Receive that waits
	}
	for _, g := range c.groups {
		errs = append(errs, g.Close())
	}
	c.receiving.Lock()
	defer c.receiving.Unlock()
	return errors.Join(append(errs, unix.Munmap(c.ring))...)
}
