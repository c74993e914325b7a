//go:build !linux

package dhcpsrv

import (
	"context"
	"errors"
)

func listen(ListenConfig) (Conn, error) { return nil, errors.ErrUnsupported }

func findServers(context.Context, string, *probePacket) ([]ForeignServer, error) {
	return nil, errors.ErrUnsupported
}
