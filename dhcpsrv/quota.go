package dhcpsrv

import (
	"net/netip"
	"sync"
	"time"
)

// circuit names a port of an access network: who relayed, and what it says where the client is.
type circuit struct {
	relay netip.Addr
	id    string
}

// circuits counts the addresses that are leased to, or held for, the clients of each circuit. It belongs to a table.
type circuits map[circuit]int

func (c circuits) add(k circuit, n int) {
	if c[k] += n; c[k] <= 0 {
		delete(c, k)
	}
}

// charged reports whether an entry counts against its circuit: leases and offers of subnets that have a quota.
func (e *entry) charged() bool {
	return e.circuit != "" && e.sub != nil && e.sub.CircuitQuota > 0 && (e.state == Bound || e.state == offered)
}

func (e *entry) circuitKey() circuit { return circuit{e.relay.addr(), e.circuit} }

func (e *entry6) charged() bool {
	l := &e.lease
	return len(l.CircuitID) > 0 && e.sub != nil && e.sub.CircuitQuota > 0 && (l.State == Bound || l.State == offered)
}

func (e *entry6) circuitKey() circuit { return circuit{e.lease.Relay, string(e.lease.CircuitID)} }

// rateWindow is the time in which a client's packets are counted, and maxCounted how many clients are: beyond them nobody
// is held back, since a flood of made-up clients is not one client's.
const (
	rateWindow = time.Second
	maxCounted = 1 << 16
)

// rateLimit counts the packets of each client in the current window.
type rateLimit struct {
	most int // 0 = no limit

	mu     sync.Mutex
	ends   time.Time
	counts map[uint64]int // by hash of the client
}

// exceeded counts a packet and reports whether it is one too many.
func (l *rateLimit) exceeded(client []byte, now time.Time) bool {
	if l.most == 0 || len(client) == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.After(l.ends) {
		clear(l.counts)
		l.ends = now.Add(rateWindow)
	}
	if l.counts == nil {
		l.counts = make(map[uint64]int)
	}
	h := hashKey(client)
	if len(l.counts) >= maxCounted && l.counts[h] == 0 {
		return false
	}
	l.counts[h]++
	return l.counts[h] > l.most
}
