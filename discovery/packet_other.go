//go:build !linux

package discovery

import (
	"context"
	"errors"
)

// OpenPacket needs Linux packet sockets: here it returns errors.ErrUnsupported.
func OpenPacket(string, Source) (Conn, error) { return nil, errors.ErrUnsupported }

// Interfaces needs Linux: here it returns errors.ErrUnsupported.
func Interfaces() ([]Interface, error) { return nil, errors.ErrUnsupported }

func followInterfaces(context.Context) (<-chan struct{}, error) { return nil, errors.ErrUnsupported }
