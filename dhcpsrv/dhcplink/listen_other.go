//go:build !linux

package dhcplink

import (
	"context"
	"errors"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
)

func listen(ListenConfig, bool) (dhcpsrv.Conn, error) { return nil, errors.ErrUnsupported }

func listen6(ListenConfig) (dhcpsrv.Conn, error) { return nil, errors.ErrUnsupported }

func listenAdvertise(ListenConfig) (radv.Conn, error) { return nil, errors.ErrUnsupported }

func findServers(context.Context, string, *probePacket) ([]dhcpsrv.RogueServer, error) {
	return nil, errors.ErrUnsupported
}

func openProbe(means) (probeConn, error) { return nil, errors.ErrUnsupported }
