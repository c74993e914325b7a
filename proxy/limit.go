package proxy

import (
	"cmp"
	"net"

	"github.com/gomaas/maas/internal/bounds"
)

const (
	// defaultPerClient is more than any installer opens.
	defaultPerClient = 256
	// maxConns bounds the connections of one listener. Each may hold a file and a connection to an
	// origin.
	maxConns = 4096
)

// LimitClients returns a listener whose clients, each an address, may have so many connections at a
// time, and 4,096 in all, half of them of one IPv6 /64. At the bound, the connection that is idle
// longest is closed, or the new one if all are in use. Zero means 256 a client. It bounds what one
// machine can take up by opening connections and being slow.
func LimitClients(ln net.Listener, most int) net.Listener {
	return bounds.Listen(ln, bounds.Limits{Total: maxConns, PerSource: cmp.Or(max(most, 0), defaultPerClient)})
}
