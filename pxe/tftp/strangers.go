package tftp

import (
	"net/netip"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// Before its first acknowledgement, a transfer is sent so many times, within so much time. A client
// that has missed all of them asks again.
const (
	maxGreetings = 3
	greetingTime = 3 * time.Second
)

// A client that is not known has to repeat a request whose first answer is much larger, as the
// first block of a loader is for a request without options: the request of another host under that
// address must not make the server a weapon. A small file is answered at once, and so is a request
// with options, whose first answer is as large as the request.
var (
	repeatWithin = bounds.Rate{Burst: 1, Every: time.Minute}
	firstBlocks  = bounds.Rate{Burst: 4, Every: time.Second}
)

// mostTimes bounds the first answer to a stranger, in sizes of the request.
const mostTimes = 10

// maxAddresses bounds the addresses that are remembered for each purpose, at about 100 bytes each.
const maxAddresses = 8192

// strangers tells the clients that have acknowledged a transfer lately from those that have not.
type strangers struct {
	trusted func(netip.Addr) bool
	first   *bounds.Buckets[netip.Addr]
	blocks  *bounds.Buckets[netip.Addr]

	mu         sync.Mutex // guards the fields below
	known, old map[netip.Addr]struct{}
	began      time.Time // of known
}

func newStrangers(trusted func(netip.Addr) bool) *strangers {
	return &strangers{trusted: trusted, first: bounds.NewBuckets[netip.Addr](repeatWithin, maxAddresses),
		blocks: bounds.NewBuckets[netip.Addr](firstBlocks, maxAddresses), known: make(map[netip.Addr]struct{})}
}

// knownFor is the time after which a client that asks no more is a stranger again, at the earliest.
const knownFor = 10 * time.Minute

// meet notes that a client received what it was sent.
func (s *strangers) meet(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); len(s.known) >= maxAddresses/2 || now.Sub(s.began) > knownFor {
		s.known, s.old, s.began = make(map[netip.Addr]struct{}), s.known, now
	}
	s.known[client] = struct{}{}
}

// knows reports whether a client received something lately, or need not prove that it does.
func (s *strangers) knows(client netip.Addr) bool {
	s.mu.Lock()
	_, ok := s.known[client]
	if !ok && time.Since(s.began) <= 2*knownFor {
		_, ok = s.old[client]
	}
	s.mu.Unlock()
	return ok || s.trusted(client)
}

// answerable reports whether a stranger's request of one size may be answered with a block of
// another one, in bytes.
func (s *strangers) answerable(client netip.Addr, request, block int) bool {
	if block > mostTimes*request && s.first.Take(client) {
		return false
	}
	return s.blocks.Take(client)
}
