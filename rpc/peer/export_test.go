package peer

import (
	"context"
	"net"
)

// Welcome takes one connection as a listener would, until it ends.
func (p *Peer) Welcome(ctx context.Context, raw net.Conn) { p.welcome(ctx, raw) }
