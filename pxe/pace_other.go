//go:build !linux

package pxe

import (
	"errors"
	"net"
)

func pace(net.Conn, int) error { return errors.ErrUnsupported }
