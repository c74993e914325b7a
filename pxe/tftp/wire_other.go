//go:build !linux

package tftp

import (
	"errors"
	"net"
	"net/netip"
)

func setSegment(*net.UDPConn, int) error { return errors.ErrUnsupported }

func joinDatagrams(*net.UDPConn) error { return errors.ErrUnsupported }

func joinedSize([]byte) int { return 0 }

// pathMTU assumes Ethernet.
func pathMTU(*net.UDPConn, netip.Addr) int { return 1500 }

func allowFragments(*net.UDPConn, netip.Addr) {}
