//go:build !linux

package discovery

import (
	"context"
	"errors"
)

// Watch needs Linux packet sockets: here it returns an error that is errors.ErrUnsupported.
func Watch(_ context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	return errors.ErrUnsupported
}
