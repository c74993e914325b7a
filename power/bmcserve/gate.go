package bmcserve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"

	"github.com/gomaas/maas/internal/bounds"
)

// gate bounds what one client may ask and guess.
type gate struct {
	requests, guesses *bounds.Buckets[netip.Prefix]

	mu sync.Mutex
	// proved are credentials that were right, by the network that they came from: a client that
	// sends them with each request guesses nothing. Guarded by mu.
	proved map[[sha256.Size]byte]bool
}

// maxSources bounds the clients that are known by their rate, and maxProved the credentials.
const (
	maxSources = 65536
	maxProved  = 4096
)

func newGate(requests, guesses bounds.Rate) *gate {
	return &gate{
		requests: bounds.NewBuckets[netip.Prefix](requests, maxSources), guesses: bounds.NewBuckets[netip.Prefix](guesses, maxSources),
		proved: map[[sha256.Size]byte]bool{},
	}
}

// source returns the network of a client. Clients without an IP address are one.
func source(address string) netip.Prefix {
	at, _ := netip.ParseAddrPort(address)
	return bounds.Source(at.Addr())
}

// login returns the client of a user and password. limited means that the client has guessed too
// often.
func (s *Server) login(from netip.Prefix, user, password string) (c client, ok, limited bool) {
	g := s.gate
	key := sha256.Sum256([]byte(from.String() + "\x00" + user + "\x00" + password))
	g.mu.Lock()
	known := g.proved[key]
	g.mu.Unlock()
	// The bucket is asked before the password is looked at: an answer shows whether it is right.
	if !known && !g.guesses.Take(from) {
		return client{}, false, true
	}
	c, ok = s.find(user)
	want := ""
	if ok {
		want = c.account.Password
	}
	given, expected := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(given[:], expected[:]) != 1 || !ok {
		return client{}, false, false
	}
	if !known {
		g.mu.Lock()
		if len(g.proved) >= maxProved {
			clear(g.proved)
		}
		g.proved[key] = true
		g.mu.Unlock()
	}
	return c, true, false
}
