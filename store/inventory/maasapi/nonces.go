package maasapi

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// maxNonces bounds what is remembered: about 40 MB, or 1,700 requests each second over the whole window.
const maxNonces = 1 << 20

// nonces remembers which requests of the last minutes were seen, so that one that was overheard cannot be sent again. When
// there are more than most, the oldest are forgotten, and requests signed that long ago are refused from then on. The zero
// value keeps maxNonces. It is safe for concurrent use.
type nonces struct {
	most int // 0 = maxNonces

	mu    sync.Mutex                  // guards all below
	seen  map[int64]map[[16]byte]bool // by timestamp in seconds since 1970
	count int
	floor int64 // what is signed at or before it is refused
}

// fresh reports whether a nonce is new with its timestamp, which is at most maxSkew from now, and remembers it.
func (n *nonces) fresh(now time.Time, at int64, nonce string) bool {
	sum := sha256.Sum256([]byte(nonce))
	key := [16]byte(sum[:16])
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(now.Add(-maxSkew).Unix() - 1)
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

// forget drops what was signed at or before a time.
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

func oldest(seen map[int64]map[[16]byte]bool) (first int64) {
	for at := range seen {
		if first == 0 || at < first {
			first = at
		}
	}
	return first
}
