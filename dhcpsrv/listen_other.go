//go:build !linux

package dhcpsrv

import (
	"context"
	"errors"
	"net/netip"
)

func listen(ListenConfig, bool) (Conn, error) { return nil, errors.ErrUnsupported }

func listen6(ListenConfig) (Conn, error) { return nil, errors.ErrUnsupported }

func listenAdvertise(ListenConfig) (AdvertiseConn, error) { return nil, errors.ErrUnsupported }

func findServers(context.Context, string, *probePacket) ([]ForeignServer, error) {
	return nil, errors.ErrUnsupported
}

func arpProbe(context.Context, string, netip.Addr) (bool, error) { return false, errors.ErrUnsupported }

func echoProbe(context.Context, netip.Addr) (bool, error) { return false, errors.ErrUnsupported }

func neighborProbe(context.Context, string, netip.Addr) (bool, error) {
	return false, errors.ErrUnsupported
}
