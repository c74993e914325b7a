package oauth

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// maxNonces bounds the memory of nonces: about 40 MB, or 1,700 requests a second over the whole
// window.
const maxNonces = 1 << 20

// nonces remembers the requests of the last minutes, so that a recorded request cannot be sent
// again. When there are more than most, the oldest are forgotten, and requests signed that long ago
// are refused from then on: forgetting must not make a replay possible. The zero value keeps
// maxNonces. It is safe for concurrent use.
type nonces struct {
	most int // 0 = maxNonces

	mu    sync.Mutex                  // guards all below
	seen  map[int64]map[[16]byte]bool // by timestamp in seconds since 1970; half a SHA-256 of the nonce
	count int
	floor int64 // requests signed at or before it are refused
}

// fresh reports whether a nonce is new with its timestamp, which is at most MaxSkew from now, and
// remembers it.
func (n *nonces) fresh(now time.Time, at int64, nonce string) bool {
	sum := sha256.Sum256([]byte(nonce))
	key := [16]byte(sum[:16])
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(now.Add(-MaxSkew).Unix() - 1)
	if at <= n.floor || n.seen[at][key] {
		return false
	}
	if n.seen == nil {
		n.seen = map[int64]map[[16]byte]bool{}
	}
	if n.seen[at] == nil {
		n.seen[at] = map[[16]byte]bool{}
	}
	n.seen[at][key] = true
	n.count++
	most := n.most
	if most == 0 {
		most = maxNonces
	}
	for n.count > most {
		n.forget(oldest(n.seen))
	}
	return true
}

// forget drops the nonces of requests signed at or before a time.
func (n *nonces) forget(until int64) {
	if until <= n.floor {
		return
	}
	n.floor = until
	maps.DeleteFunc(n.seen, func(at int64, keys map[[16]byte]bool) bool {
		if at <= until {
			n.count -= len(keys)
		}
		return at <= until
	})
}

// oldest returns the earliest timestamp.
func oldest(seen map[int64]map[[16]byte]bool) (first int64) {
	for at := range seen {
		if first == 0 || at < first {
			first = at
		}
	}
	return first
}
