package discovery

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Interfaces lists the network interfaces of this host, by index.
func Interfaces() ([]Interface, error) {
	var interfaces []Interface
	byIndex := map[int]int{}
	err := eachNetlink(unix.RTM_GETLINK, func(m syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		if len(m.Data) < unix.SizeofIfInfomsg {
			return
		}
		l := Interface{Index: int(int32(binary.NativeEndian.Uint32(m.Data[4:]))), Ethernet: binary.NativeEndian.Uint16(m.Data[2:]) == unix.ARPHRD_ETHER}
		flags := binary.NativeEndian.Uint32(m.Data[8:])
		l.Up, l.Loopback = flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0, flags&unix.IFF_LOOPBACK != 0
		for _, a := range attrs {
			l.attribute(a)
		}
		byIndex[l.Index] = len(interfaces)
		interfaces = append(interfaces, l)
	})
	if err != nil {
		return nil, err
	}
	err = eachNetlink(unix.RTM_GETADDR, func(m syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		if len(m.Data) < unix.SizeofIfAddrmsg {
			return
		}
		i, ok := byIndex[int(binary.NativeEndian.Uint32(m.Data[4:]))]
		if p := address(int(m.Data[1]), attrs); ok && p.IsValid() {
			interfaces[i].Addrs = append(interfaces[i].Addrs, p)
		}
	})
	return interfaces, err
}

func (l *Interface) attribute(a syscall.NetlinkRouteAttr) {
	switch a.Attr.Type &^ unix.NLA_F_NESTED {
	case unix.IFLA_IFNAME:
		l.Name = unix.ByteSliceToString(a.Value)
	case unix.IFLA_ADDRESS:
		if len(a.Value) == 6 {
			l.MAC = MAC(a.Value)
		}
	case unix.IFLA_MASTER:
		if len(a.Value) == 4 {
			l.Master = int(binary.NativeEndian.Uint32(a.Value))
		}
	case unix.IFLA_LINKINFO:
		for b := a.Value; len(b) >= unix.SizeofRtAttr; {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) {
				return
			}
			if binary.NativeEndian.Uint16(b[2:]) == unix.IFLA_INFO_KIND {
				l.Kind = unix.ByteSliceToString(b[unix.SizeofRtAttr:length])
			}
			b = b[min(len(b), (length+3)&^3):]
		}
	}
}

// address returns the interface's own address, not the other end of a point-to-point link.
func address(bits int, attrs []syscall.NetlinkRouteAttr) (p netip.Prefix) {
	for _, a := range attrs {
		if a.Attr.Type != unix.IFA_ADDRESS && a.Attr.Type != unix.IFA_LOCAL || p.IsValid() && a.Attr.Type == unix.IFA_ADDRESS {
			continue
		}
		if addr, ok := netip.AddrFromSlice(a.Value); ok {
			p = netip.PrefixFrom(addr, bits)
		}
	}
	return p
}

func eachNetlink(kind int, f func(syscall.NetlinkMessage, []syscall.NetlinkRouteAttr)) error {
	rib, err := syscall.NetlinkRIB(kind, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("discovery: list interfaces: %w", os.NewSyscallError("netlink", err))
	}
	messages, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return fmt.Errorf("discovery: list interfaces: %w", err)
	}
	for _, m := range messages {
		if m.Header.Type == unix.NLMSG_DONE {
			break
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err == nil {
			f(m, attrs)
		}
	}
	return nil
}

// followInterfaces returns a channel that receives when interfaces or their addresses change. It is
// closed after ctx has ended.
func followInterfaces(ctx context.Context) (<-chan struct{}, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("discovery: follow interfaces: %w", os.NewSyscallError("socket", err))
	}
	f := os.NewFile(uintptr(fd), "netlink")
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		f.Close()
		return nil, fmt.Errorf("discovery: follow interfaces: %w", os.NewSyscallError("bind", err))
	}
	changed := make(chan struct{}, 1)
	stop := context.AfterFunc(ctx, func() { f.Close() })
	go func() {
		defer close(changed)
		defer f.Close()
		defer stop()
		buf := make([]byte, 1<<16)
		for {
			// Lost messages (ENOBUFS) count as a change: the receiver reads everything again.
			if _, err := f.Read(buf); err != nil && ctx.Err() != nil {
				return
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed, nil
}
