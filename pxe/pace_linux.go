package pxe

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pace has the kernel spread what is sent on a connection over time.
func pace(c net.Conn, bytesPerSecond int) error {
	return setOption(c, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, bytesPerSecond)
}

// giveUp makes the kernel end a connection whose client acknowledges nothing for so long. Without
// it the connection of a machine that was switched off lasts a quarter of an hour.
func giveUp(c net.Conn, after time.Duration) error {
	return setOption(c, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(after.Milliseconds()))
}

func setOption(c net.Conn, level, name, value int) error {
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
		inner = unix.SetsockoptInt(int(fd), level, name, value)
	})
	return errors.Join(err, inner)
}
