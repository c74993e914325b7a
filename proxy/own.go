package proxy

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// ownAddresses are the addresses of this host, which listens on them with what is not for machines.
// The zero value works.
type ownAddresses struct {
	mu   sync.Mutex // guards the fields below
	at   time.Time
	list map[netip.Addr]bool
}

// ownFresh is the time for which the list is believed.
const ownFresh = 5 * time.Second

func (o *ownAddresses) has(addr netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) > ownFresh {
		if found, err := net.InterfaceAddrs(); err == nil {
			o.list = make(map[netip.Addr]bool, len(found))
			for _, a := range found {
				if prefix, err := netip.ParsePrefix(a.String()); err == nil {
					o.list[prefix.Addr().Unmap().WithZone("")] = true
				}
			}
			o.at = time.Now()
		}
	}
	return o.list[addr.Unmap().WithZone("")]
}
