package dhcpsrv

import (
	"context"
	"errors"
	"net/netip"
)

// ForeignServer is a DHCP server that answered a probe.
type ForeignServer struct {
	ID    netip.Addr // server identifier, option 54
	Addr  netip.Addr // source address of its offer
	Offer netip.Addr // the address it offered
}

// FindServers sends a DISCOVER with a random link address on the interface named link and returns every server that
// makes an offer before ctx ends. The probe takes no lease.
func FindServers(ctx context.Context, link string) ([]ForeignServer, error) {
	return nil, errors.ErrUnsupported
}

// Listen opens the DHCP server port on the interfaces of cfg.
func Listen(cfg ListenConfig) (Conn, error) { return nil, errors.ErrUnsupported }
