//go:build !linux

package discovery

import (
	"context"
	"errors"
)

// OpenPacket needs Linux packet sockets: here it returns errors.ErrUnsupported.
func OpenPacket(string, Source) (Conn, error) { return nil, errors.ErrUnsupported }

// Links needs Linux: here it returns errors.ErrUnsupported.
func Links() ([]Link, error) { return nil, errors.ErrUnsupported }

func followLinks(context.Context) (<-chan struct{}, error) { return nil, errors.ErrUnsupported }
