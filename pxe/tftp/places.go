package tftp

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// places bounds the transfers that run. A transfer is half open until its client acknowledges
// something: as long as that, anyone may have sent the request under the client's address. So
// half-open transfers give way, the oldest first, when places run out.
type places struct {
	most, each int // transfers in all, and of one client
	strangers  int // half-open transfers of clients that have never acknowledged anything
	large      int // transfers of large files

	mu      sync.Mutex // guards the fields below
	total   int
	unknown int // half-open transfers of strangers
	larges  int
	waiting int
	clients map[netip.Addr]*queue
	half    *list.List // of half-open transfers, in the order of their requests
}

// queue holds what a client has running, and the requests that wait for one of its places.
type queue struct {
	running int
	waiting []*transfer
}

// maxWaiting bounds the waiting requests of a client, as a multiple of those that run: machines
// behind one address, as of a relay that translates, are served in turn.
const maxWaiting = 8

func newPlaces(cfg Config) *places {
	return &places{
		most: cfg.MaxTransfers, each: cfg.MaxPerClient, strangers: max(cfg.MaxTransfers/4, 1),
		// A quarter of the places is left to small files, see Config.MaxPerClient.
		large:   max(cfg.MaxTransfers-cfg.MaxTransfers/4, 1),
		clients: make(map[netip.Addr]*queue), half: list.New(),
	}
}

// entry says what became of a request.
type entry int

const (
	entered entry = iota
	queued        // it starts when leave returns it
	refused
)

// enter takes a place, if necessary that of a victim, which the caller ends.
func (p *places) enter(t *transfer) (e entry, victim *transfer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.clients[t.client]
	switch {
	case q != nil && q.running >= p.each:
		// One that was sent its first packet just now is about to be acknowledged.
		missed := func(o *transfer) bool { return o.client == t.client && time.Since(o.entered) > initialRTO }
		if victim = p.oldest(missed); victim != nil {
			break
		}
		if len(q.waiting) >= maxWaiting*p.each || p.waiting >= p.most {
			return refused, nil
		}
		q.waiting = append(q.waiting, t)
		p.waiting++
		return queued, nil
	case t.stranger && p.unknown >= p.strangers:
		if victim = p.oldest(func(o *transfer) bool { return o.stranger && o.greeted() }); victim == nil {
			return refused, nil
		}
	case p.total >= p.most:
		if victim = p.oldest((*transfer).greeted); victim == nil {
			return refused, nil
		}
	}
	if victim != nil {
		p.remove(victim)
	}
	p.take(t)
	return entered, victim
}

// greetTime is the time in which clients of a network acknowledge what they were sent first. Until
// then a half-open transfer does not give way: of many machines that are switched on together, all
// would lose their places to each other, and what a client acknowledges in vain it does not ask for
// again. A request that is refused is repeated.
const greetTime = 10 * time.Millisecond

// greeted reports whether the client has had time to acknowledge.
func (t *transfer) greeted() bool { return time.Since(t.entered) > greetTime }

// oldest returns the half-open transfer that has waited longest, nil if none fits.
func (p *places) oldest(fits func(*transfer) bool) *transfer {
	for e := p.half.Front(); e != nil; e = e.Next() {
		if t := e.Value.(*transfer); fits(t) {
			return t
		}
	}
	return nil
}

func (p *places) take(t *transfer) {
	q := p.clients[t.client]
	if q == nil {
		q = &queue{}
		p.clients[t.client] = q
	}
	q.running++
	p.total++
	t.half, t.entered = p.half.PushBack(t), time.Now()
	t.placed = true
	if t.stranger {
		p.unknown++
	}
}

// remove ends the place of a transfer.
func (p *places) remove(t *transfer) {
	if !t.placed {
		return
	}
	t.placed = false
	p.settle(t)
	p.total--
	if t.large {
		t.large = false
		p.larges--
	}
	q := p.clients[t.client]
	if q.running--; q.running == 0 && len(q.waiting) == 0 {
		delete(p.clients, t.client)
	}
}

// settle takes a transfer from the half-open ones.
func (p *places) settle(t *transfer) {
	if t.half == nil {
		return
	}
	p.half.Remove(t.half)
	t.half = nil
	if t.stranger {
		p.unknown--
	}
}

// open notes that the client of a transfer acknowledged something.
func (p *places) open(t *transfer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(t)
}

// smallFile is the size up to which a file need not wait for larger ones.
const smallFile = 1 << 20

// enlarge takes a place among the large files, unless the file is small. It reports false if none
// is left.
func (p *places) enlarge(t *transfer, size int64) (ok bool, victim *transfer) {
	if size >= 0 && size <= smallFile {
		return true, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !t.placed {
		return false, nil // it gave way
	}
	if p.larges >= p.large {
		if victim = p.oldest(func(o *transfer) bool { return o.large }); victim == nil {
			return false, nil
		}
		p.remove(victim)
	}
	t.large = true
	p.larges++
	return true, victim
}

// leave gives a place back. It returns the transfers that have waited for it, with their places;
// the caller starts them.
func (p *places) leave(t *transfer) (next []*transfer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(t)
	q := p.clients[t.client]
	for q != nil && len(q.waiting) > 0 && q.running < p.each && p.total < p.most {
		first := q.waiting[0]
		q.waiting = q.waiting[1:]
		p.waiting--
		p.take(first)
		next = append(next, first)
	}
	return next
}
