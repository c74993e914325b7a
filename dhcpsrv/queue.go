package dhcpsrv

import "sync"

// queue holds received packets until a worker takes them. It is bounded: when it is full the oldest packet goes, since its
// client is the first to ask again; and when it is long the newest is taken first, since its client is still waiting.
type queue struct {
	mu     sync.Mutex
	more   sync.Cond
	ring   []*job
	head   int // the oldest
	n      int
	closed bool
}

func newQueue(size int) *queue {
	q := &queue{ring: make([]*job, size)}
	q.more.L = &q.mu
	return q
}

// put appends a job and returns the one that had to go, or nil.
func (q *queue) put(j *job) (dropped *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == len(q.ring) {
		dropped = q.popOldest()
	}
	q.ring[(q.head+q.n)%len(q.ring)] = j
	q.n++
	q.more.Signal()
	return dropped
}

// get waits for a job; nil means that the queue is closed and empty.
func (q *queue) get() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n == 0 {
		if q.closed {
			return nil
		}
		q.more.Wait()
	}
	if q.n > len(q.ring)/4 {
		q.n--
		i := (q.head + q.n) % len(q.ring)
		j := q.ring[i]
		q.ring[i] = nil
		return j
	}
	return q.popOldest()
}

func (q *queue) popOldest() *job {
	j := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return j
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}
