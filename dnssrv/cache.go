package dnssrv

import (
	"container/list"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// The limits of the cache. Answers are kept whole, each under its question, so that no answer can
// speak for another name.
const (
	maxCacheBytes = 64 << 20
	entryOverhead = 320 // bytes of an entry besides its answer and name, by measurement of the heap
	maxEntry      = 8 << 10
	maxTTL        = 24 * time.Hour
	maxDenial     = 3 * time.Hour    // RFC 2308 section 5
	failureTTL    = 5 * time.Second  // RFC 9520 section 3.2
	maxStale      = 24 * time.Hour   // RFC 8767 section 5
	staleTTL      = 30 * time.Second // RFC 8767 section 4
)

// A key holds everything that an answer depends on.
type key struct {
	name   string // canonical
	qtype  uint16
	do, cd bool
}

func newKey(q *dns.Msg) key {
	opt := q.IsEdns0()
	return key{dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype, opt != nil && opt.Do(), q.CheckingDisabled}
}

// bytes returns the key in the form that indexes the cache.
func (k key) bytes() []byte {
	return appendKey([]byte(k.name), k.qtype, k.do, k.cd)
}

func appendKey(b []byte, qtype uint16, do, cd bool) []byte {
	var flags byte
	if do {
		flags |= 1
	}
	if cd {
		flags |= 2
	}
	return append(b, byte(qtype>>8), byte(qtype), flags)
}

// A cache keeps answers until memory is short. Of those that were not used since the last round it
// drops the oldest.
type cache struct {
	mu       sync.RWMutex // guards the fields below
	entries  map[string]*list.Element
	order    list.List // of *entry
	bytes    int
	inFlight map[string]*pendingQuestion
}

// A pendingQuestion is a question on its way to an upstream.
type pendingQuestion struct {
	done  chan struct{} // closed when entry and err are set
	entry *entry
	err   error
}

func newCache() *cache {
	return &cache{entries: map[string]*list.Element{}, inFlight: map[string]*pendingQuestion{}}
}

// get returns the answer to a question, fresh or stale, nil when there is none.
func (c *cache) get(key []byte) *entry {
	c.mu.RLock()
	at := c.entries[string(key)]
	c.mu.RUnlock()
	if at == nil {
		return nil
	}
	e := at.Value.(*entry)
	// A load before the store keeps popular entries from moving their cache line between cores.
	if !e.used.Load() {
		e.used.Store(true)
	}
	// Older ones are dropped when memory is short, not here: a reader holds no lock.
	if time.Since(e.stored) > e.ttl+maxStale {
		return nil
	}
	return e
}

func (c *cache) put(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[e.key]; old != nil {
		c.drop(old)
	}
	c.entries[e.key] = c.order.PushFront(e)
	c.bytes += e.size()
	for c.bytes > maxCacheBytes {
		last := c.order.Back()
		// Second chance: an entry used since the last round stays for another one.
		if le := last.Value.(*entry); le.used.Swap(false) {
			c.order.MoveToFront(last)
			continue
		}
		c.drop(last)
	}
}

// drop removes an element; the caller holds the lock.
func (c *cache) drop(at *list.Element) {
	e := c.order.Remove(at).(*entry)
	delete(c.entries, e.key)
	c.bytes -= e.size()
}

// failure caches for a short time that no upstream answered, and returns the entry.
func (c *cache) failure(k key) *entry {
	m := new(dns.Msg)
	m.SetQuestion(k.name, k.qtype)
	m.Rcode = dns.RcodeServerFailure
	e, err := newEntry(k, m)
	if err != nil {
		return &entry{rcode: dns.RcodeServerFailure, key: string(k.bytes())}
	}
	e.ttl = failureTTL
	c.put(e)
	return e
}

// once runs ask unless an equal question is on its way, whose result it then waits for.
func (c *cache) once(ctx context.Context, k key, ask func() (*entry, error)) (*entry, error) {
	id := string(k.bytes())
	c.mu.Lock()
	if f := c.inFlight[id]; f != nil {
		c.mu.Unlock()
		select {
		case <-f.done:
			return f.entry, f.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	// The waiters get this error if ask panics.
	f := &pendingQuestion{done: make(chan struct{}), err: errors.New("dnssrv: the question was given up")}
	c.inFlight[id] = f
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.inFlight, id)
		c.mu.Unlock()
		close(f.done)
	}()
	if f.entry, f.err = ask(); f.err == nil && f.entry.ttl > 0 && len(f.entry.body) <= maxEntry {
		c.put(f.entry)
	}
	return f.entry, f.err
}

// An entry is an answer in wire form without header, question and OPT record. It does not change.
type entry struct {
	key        string
	question   []byte
	body       []byte
	ttls       []uint16 // where in body the TTLs are
	an, ns, ar uint16
	rcode      byte
	ad         bool
	stored     time.Time
	ttl        time.Duration

	used       atomic.Bool // since the cache last looked for something to drop
	refreshing atomic.Bool
}

func (e *entry) size() int { return len(e.body) + len(e.key) + 2*len(e.ttls) + entryOverhead }

func (e *entry) fresh() bool { return time.Since(e.stored) < e.ttl }

// wantsRefresh reports, once, that a fresh entry that is in use ends soon.
func (e *entry) wantsRefresh(age time.Duration) bool {
	return e.rcode != dns.RcodeServerFailure && age > e.ttl-e.ttl/10 && !e.refreshing.Swap(true)
}

// newEntry encodes an answer.
func newEntry(k key, answer *dns.Msg) (*entry, error) {
	m := &dns.Msg{Compress: true, Question: []dns.Question{{Name: k.name, Qtype: k.qtype, Qclass: dns.ClassINET}}}
	m.Answer, m.Ns = answer.Answer, answer.Ns
	// The OPT record belongs to one hop (RFC 6891 section 6.1.1).
	m.Extra = slices.DeleteFunc(slices.Clone(answer.Extra), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section { // RFC 8767 section 4
			rr.Header().Ttl = min(rr.Header().Ttl, uint32(maxTTL/time.Second))
		}
	}
	wire, err := m.Pack()
	if err != nil {
		return nil, err
	}
	end, _ := skipName(wire, headerSize)
	// Type and class
	end += 4
	e := &entry{
		key: string(k.bytes()), question: wire[headerSize:end], body: wire[end:], rcode: byte(answer.Rcode & 0xF), ad: answer.AuthenticatedData,
		an: uint16(len(m.Answer)), ns: uint16(len(m.Ns)), ar: uint16(len(m.Extra)), stored: time.Now(), ttl: lifetime(m, answer.Rcode),
	}
	e.ttls, err = ttlOffsets(e.body, int(e.an)+int(e.ns)+int(e.ar))
	return e, err
}

// lifetime returns the time for which an answer may be kept: its least TTL, or for denials the TTL
// of RFC 2308 section 5.
func lifetime(m *dns.Msg, rcode int) time.Duration {
	// Other codes say something about the server and not about the name.
	if rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError {
		return 0
	}
	denial, most, least := rcode == dns.RcodeNameError || len(m.Answer) == 0, maxTTL, maxTTL
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			least = min(least, time.Duration(rr.Header().Ttl)*time.Second)
			// The first SOA record counts: it is the one of the zone that denies.
			if soa, ok := rr.(*dns.SOA); ok && denial {
				least, most, denial = min(least, time.Duration(soa.Minttl)*time.Second), maxDenial, false
			}
		}
	}
	if denial {
		return 0 // without SOA nothing says for how long
	}
	return min(least, most)
}

var errShort = errors.New("dnssrv: record ends early")

// skipName returns the offset after the name at the given one.
func skipName(b []byte, at int) (int, error) {
	for at < len(b) {
		switch n := int(b[at]); {
		case n == 0:
			return at + 1, nil
		case n >= 0xC0:
			return at + 2, nil
		default:
			at += n + 1
		}
	}
	return 0, errShort
}

// ttlOffsets finds the TTLs of n records.
func ttlOffsets(b []byte, n int) ([]uint16, error) {
	out := make([]uint16, 0, n)
	at := 0
	for range n {
		var err error
		if at, err = skipName(b, at); err != nil || at+10 > len(b) {
			return nil, errShort
		}
		// After type and class
		out = append(out, uint16(at+4))
		at += 10 + int(binary.BigEndian.Uint16(b[at+8:]))
	}
	return out, nil
}

// append appends the records of the answer, with TTLs of now, to a message that ends with its
// question.
func (e *entry) append(out []byte, age time.Duration) []byte {
	at := len(out)
	out = append(out, e.body...)
	for _, off := range e.ttls {
		ttl := out[at+int(off):]
		// A stale answer gets a short TTL, so that clients ask again soon (RFC 8767 section 4).
		left := uint32(staleTTL / time.Second)
		if age < e.ttl {
			left = binary.BigEndian.Uint32(ttl) - uint32(age/time.Second)
		}
		binary.BigEndian.PutUint32(ttl, left)
	}
	binary.BigEndian.PutUint16(out[6:], e.an)
	binary.BigEndian.PutUint16(out[8:], e.ns)
	binary.BigEndian.PutUint16(out[10:], e.ar)
	return out
}

// reply puts the answer into m.
func (e *entry) reply(m *dns.Msg) error {
	if e.question == nil {
		m.Rcode = int(e.rcode)
		return nil
	}
	wire := make([]byte, headerSize, headerSize+len(e.question)+len(e.body))
	// One question
	wire[5] = 1
	wire = e.append(append(wire, e.question...), time.Since(e.stored))
	var answer dns.Msg
	if err := answer.Unpack(wire); err != nil {
		return err
	}
	m.Rcode, m.AuthenticatedData = int(e.rcode), e.ad
	m.Answer, m.Ns = answer.Answer, answer.Ns
	m.Extra = append(m.Extra, answer.Extra...)
	return nil
}
