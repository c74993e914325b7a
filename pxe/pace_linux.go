package pxe

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// pace has the kernel spread what is sent on a connection over time.
func pace(c net.Conn, bytesPerSecond int) error {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, bytesPerSecond)
	})
	return errors.Join(err, inner)
}
