package rack

import (
	"context"
	"sync"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

// maxClients bounds the memory of clients. A flood of invented addresses forgets real ones, which costs no more than a
// machine listed without its architecture until its next boot.
const maxClients = 16384

// clients remembers what firmware said about itself in DHCP, by MAC. The zero value is empty.
type clients struct {
	mu    sync.Mutex // guards following
	known map[string]client
}

type client struct {
	uuid   string
	arch   pxe.Arch
	method string
}

func (c *clients) note(mac string, seen client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxClients {
		c.known = map[string]client{}
	}
	c.known[mac] = seen
}

// complete fills in what the event does not say itself.
func (c *clients) complete(e pxe.Event) pxe.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, ok := c.known[string(e.MAC)]
	if !ok {
		return e
	}
	if e.UUID == "" {
		e.UUID = seen.uuid
	}
	if e.Method == "" {
		e.Method = seen.method
	}
	if e.Arch == pxe.ArchUnknown {
		e.Arch = seen.arch
	}
	return e
}

// noting answers like its selector and notes who asked.
type noting struct {
	*pxedhcp.Selector
	clients *clients
}

// SelectBoot is called for every client; only those that boot from the network are noted.
func (n noting) SelectBoot(ctx context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	answer, ok := n.Selector.SelectBoot(ctx, q)
	if offer, boots := n.Select(q); boots && len(q.MAC) > 0 {
		c := pxedhcp.ClientOf(q)
		n.clients.note(string(q.MAC), client{uuid: c.UUID, arch: offer.Arch, method: offer.Method.Name})
	}
	return answer, ok
}
