package pxe

import (
	"net"
	"sync"

	"github.com/gomaas/maas/pxe/firmware"
)

// maxClients bounds Clients: at about 300 bytes each, 5 MB.
const maxClients = 16384

// Clients remembers what machines said about themselves in DHCP, so that the boot server knows
// their architecture and UUID when a loader does not tell them. It holds the 16,384 machines heard
// most recently. Its zero value is empty and ready; it may be used from many goroutines.
type Clients struct {
	mu    sync.Mutex
	known map[[6]byte]firmware.Client
	older map[[6]byte]firmware.Client // the generation before; dropped when known is full
}

// Remember keeps c, unless it has no 6-byte MAC address.
func (s *Clients) Remember(c firmware.Client) {
	if len(c.MAC) != 6 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxClients/2 {
		s.known, s.older = make(map[[6]byte]firmware.Client), s.known
	}
	s.known[[6]byte(c.MAC)] = c
}

// Describe returns what the machine said last; it fits Config.Describe.
func (s *Clients) Describe(mac net.HardwareAddr) (firmware.Client, bool) {
	if len(mac) != 6 {
		return firmware.Client{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.known[[6]byte(mac)]
	if !ok {
		c, ok = s.older[[6]byte(mac)]
	}
	return c, ok
}
