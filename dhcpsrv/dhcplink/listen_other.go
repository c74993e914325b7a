//go:build !linux

package dhcplink

import (
	"context"
	"errors"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
)

func listen(ListenConfig, bool) (dhcpsrv.Conn, error) { return nil, errors.ErrUnsupported }

func listen6(ListenConfig) (dhcpsrv.Conn, error) { return nil, errors.ErrUnsupported }

func listenAdvertise(ListenConfig) (radv.Conn, error) { return nil, errors.ErrUnsupported }

func findServers(context.Context, string, *probePacket) ([]dhcpsrv.RogueServer, error) {
	return nil, errors.ErrUnsupported
}

func arpProbe(context.Context, string, netip.Addr) (bool, error) { return false, errors.ErrUnsupported }

func echoProbe(context.Context, netip.Addr) (bool, error) { return false, errors.ErrUnsupported }

func neighborProbe(context.Context, string, netip.Addr) (bool, error) {
	return false, errors.ErrUnsupported
}
