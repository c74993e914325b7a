//go:build !linux

package pxe

import (
	"errors"
	"net"
	"time"
)

func pace(net.Conn, int) error { return errors.ErrUnsupported }

func giveUp(net.Conn, time.Duration) error { return errors.ErrUnsupported }
