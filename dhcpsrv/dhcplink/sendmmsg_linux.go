package dhcplink

import (
	"encoding/binary"
	"net"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// frames are sent to one link address by one system call: a probe of thousands of addresses costs
// more in system calls than in anything else.
type frames struct {
	to   unix.RawSockaddrLinklayer
	data [][]byte
}

// mmsghdr is the kernel's struct of that name; the compiler adds its padding.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

func newFrames(ifi *net.Interface, protocol uint16, to net.HardwareAddr) *frames {
	f := &frames{to: unix.RawSockaddrLinklayer{Family: unix.AF_PACKET, Ifindex: int32(ifi.Index), Halen: uint8(len(to))}}
	// The field is in network order whatever the machine's is.
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&f.to.Protocol))[:], protocol)
	copy(f.to.Addr[:], to)
	return f
}

// add queues a frame, without its Ethernet header.
func (f *frames) add(b []byte) { f.data = append(f.data, b) }

// send sends what is queued. After an error the frames that were not sent stay queued.
func (f *frames) send(raw syscall.RawConn) error {
	for len(f.data) > 0 {
		n, err := f.sendSome(raw)
		if err != nil {
			return err
		}
		f.data = f.data[n:]
	}
	return nil
}

// sendSome makes one system call and returns how many frames it took.
func (f *frames) sendSome(raw syscall.RawConn) (n int, err error) {
	msgs, iovs := make([]mmsghdr, len(f.data)), make([]unix.Iovec, len(f.data))
	for i, b := range f.data {
		iovs[i].Base = &b[0]
		iovs[i].SetLen(len(b))
		msgs[i].hdr = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&f.to)), Namelen: unix.SizeofSockaddrLinklayer, Iov: &iovs[i]}
		msgs[i].hdr.SetIovlen(1)
	}
	var errno syscall.Errno
	if failed := raw.Write(func(fd uintptr) (done bool) {
		var sent uintptr
		sent, _, errno = unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), 0, 0, 0)
		n = int(sent)
		return errno != syscall.EAGAIN
	}); failed != nil {
		return 0, failed
	}
	runtime.KeepAlive(f)
	runtime.KeepAlive(iovs)
	if errno != 0 {
		return 0, errno
	}
	return n, nil
}
