package oauth

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxNames bounds the names that a limiter remembers, since strangers choose them.
const maxNames = 4096

// Limiter lets each name do something Burst times at once and then once each Every. Refused
// attempts cost nothing, so a client that tries too often is let through as soon as one that waits.
// It is safe for concurrent use.
type Limiter struct {
	Every time.Duration
	Burst int

	mu    sync.Mutex
	names map[string]*rate.Limiter
}

// Take returns 0 if the name may act now, and otherwise how long it has to wait.
func (l *Limiter) Take(now time.Time, name string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.names[name]
	if bucket == nil {
		if l.names == nil {
			l.names = map[string]*rate.Limiter{}
		}
		if len(l.names) >= maxNames {
			l.sweep(now)
		}
		bucket = rate.NewLimiter(rate.Every(l.Every), l.Burst)
		l.names[name] = bucket
	}
	r := bucket.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// sweep forgets the names that have their whole burst again. If there are none, it forgets those
// that have more of it than the mean: the names that try most often stay limited.
func (l *Limiter) sweep(now time.Time) {
	maps.DeleteFunc(l.names, func(_ string, b *rate.Limiter) bool { return b.TokensAt(now) >= float64(l.Burst) })
	if len(l.names) < maxNames {
		return
	}
	sum := 0.0
	for _, b := range l.names {
		sum += b.TokensAt(now)
	}
	mean := sum / float64(len(l.names))
	maps.DeleteFunc(l.names, func(_ string, b *rate.Limiter) bool { return b.TokensAt(now) >= mean })
}

// Network returns what a limiter counts as one address of a client: an IPv4 address, or an IPv6
// network of 64 bits, in which one host chooses its addresses freely.
func Network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		p, _ := addr.Prefix(64) // 64 is in range
		return p.String()
	}
	return addr.String()
}
