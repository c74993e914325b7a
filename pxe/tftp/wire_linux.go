package tftp

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// setSegment makes the kernel cut what is written into datagrams of size.
func setSegment(conn *net.UDPConn, size int) error {
	return control(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, size)
	})
}

// joinDatagrams makes the kernel hand over those that came in a row, and are as long as each other,
// with one read.
func joinDatagrams(conn *net.UDPConn) error {
	return control(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	})
}

// joinedSize returns how long each of the joined datagrams is that came with a control message; 0
// when they were not joined.
func joinedSize(oob []byte) int {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return 0
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			return int(binary.NativeEndian.Uint32(data))
		}
		oob = rest
	}
	return 0
}

// pathMTU returns what the kernel knows of the path of a connected socket, 0 when it knows nothing.
func pathMTU(conn *net.UDPConn, client netip.Addr) (mtu int) {
	level, opt := unix.IPPROTO_IP, unix.IP_MTU
	if client.Is6() {
		level, opt = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	_ = control(conn, func(fd int) (err error) {
		mtu, err = unix.GetsockoptInt(fd, level, opt)
		return err
	})
	return max(mtu, 0)
}

// allowFragments clears the don't-fragment bit. IPv6 routers never fragment.
func allowFragments(conn *net.UDPConn, client netip.Addr) {
	if client.Is6() {
		return
	}
	_ = control(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
	})
}

func control(conn *net.UDPConn, f func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
