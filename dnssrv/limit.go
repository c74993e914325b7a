package dnssrv

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// A limiter bounds how much of the same a network of clients is sent in datagrams, so that forged
// questions do not make the server a weapon. Nil limits nothing. Every second answer above the
// limit is an empty, truncated one: a real client then comes over TCP, which cannot be forged.
type limiter struct {
	rate    uint32 // answers a second
	seed    maphash.Seed
	buckets [1 << 16]atomic.Uint64 // second since the start in the upper half, answers in it in the lower
	start   time.Time
}

// DefaultResponseRate is a [Config].ResponseRate for most sites. A resolver of strangers caches, so
// that all of its network asks about a few names a second.
const DefaultResponseRate = 200

func newLimiter(rate int) *limiter {
	if rate <= 0 {
		return nil
	}
	return &limiter{rate: uint32(rate), seed: maphash.MakeSeed(), start: time.Now()}
}

// concerns reports whether the client's answers are counted. Answers to clients that may have
// questions forwarded are not: they are the site's own, whose addresses strangers cannot forge from
// outside, and many of them may be one address behind a translator. Nor are answers to this host,
// since no packet from outside has its address.
func (l *limiter) concerns(client netip.Addr, known networks) bool {
	return l != nil && !client.IsLoopback() && !known.contains(client)
}

// verdict says what becomes of an answer.
type verdict int

const (
	send verdict = iota
	truncate
	drop
)

// judge counts an answer of that code to a client's network.
func (l *limiter) judge(client netip.Addr, rcode int) verdict {
	var id [17]byte
	a := client.As16()
	// A /24 and a /56: an attacker of one network can use all addresses of it.
	if client.Is4() {
		copy(id[:], a[12:15])
	} else {
		copy(id[:], a[:7])
	}
	// Errors have a budget of their own, so that a flood of wrong names does not stop right
	// answers.
	id[16] = byte(rcode)
	at := &l.buckets[maphash.Bytes(l.seed, id[:])%uint64(len(l.buckets))]
	// Zero is the second of an empty bucket.
	second := uint64(time.Since(l.start)/time.Second) + 1
	var count uint64
	for {
		old := at.Load()
		count = old&0xFFFFFFFF + 1
		if old>>32 != second {
			count = 1
		}
		// One word holds second and count, so that counting takes no lock.
		if at.CompareAndSwap(old, second<<32|count) {
			break
		}
	}
	switch {
	case count <= uint64(l.rate):
		return send
	case count%2 == 0:
		return truncate
	}
	return drop
}

// pass reports whether an answer of the general handler may be sent as it is. Clients that proved
// their address by a cookie are not limited.
func (l *limiter) pass(client netip.Addr, known networks, m *dns.Msg) bool {
	if !l.concerns(client, known) {
		return true
	}
	c := cookieIn(m)
	return c != nil && c.proven || l.judge(client, m.Rcode) == send
}

// slip is sent in place of an answer that did not pass: nil for half of them.
func (l *limiter) slip(m *dns.Msg) *dns.Msg {
	// The client's random ID stands for a coin: half of the answers are dropped.
	if m.Id%2 == 0 {
		return nil
	}
	m.Answer, m.Ns, m.Truncated = nil, nil, true
	return m
}

// limit applies the limiter to an answer of the plain path, whose question ends at end. It returns
// the new size.
func (l *limiter) limit(out []byte, end int, client netip.Addr) int {
	switch l.judge(client, int(out[3]&0xF)) {
	case truncate:
		out[2] |= 0x02
		// No records: only the question goes back, so that nothing is amplified.
		binary.BigEndian.PutUint32(out[6:], 0)
		binary.BigEndian.PutUint16(out[10:], 0)
		return end
	case drop:
		return -1
	}
	return len(out)
}
