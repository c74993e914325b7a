package dhcpsrv

import (
	"sync"
	"sync/atomic"
	"time"
)

// job is one packet on its way through the server. Its reply leaves after two events, in either
// order: the reply is built, and the lease is durable.
type job struct {
	pkt   Packet
	v6    bool
	box   *outbox           // where the reply goes; nil = to done
	done  func(Reply, bool) // called once, from any goroutine
	reply Reply             // what to send
	data  []byte            // memory of pkt.Data
	out   []byte            // memory of reply.Data

	asked  int     // probes made for it
	clash  int     // of these, those that found a host
	vrf    *vrf    // of what is probed
	probe  *entry  // address to probe before the next run
	probe6 *entry6 // the same for IPv6

	parked time.Time   // when it began to wait for an answer of Hosts
	answer *hostAnswer // which it has waited for

	steps  atomic.Int32
	failed atomic.Bool
	silent bool // it has no reply, but a caller waits for the commit
	lost   bool // handling it panicked, and other goroutines may still refer to it
}

// step counts one of the two events and ends the job after the second. Whichever of worker and
// committer is second sends the reply.
func (j *job) step() {
	if j.steps.Add(1) == 2 {
		j.end(!j.failed.Load() && !j.silent)
	}
}

// end sends the reply, or nothing. The job must not be used afterwards.
func (j *job) end(send bool) {
	switch {
	case j.box == nil:
		j.done(j.reply, send)
	case send:
		j.box.put(j)
	default:
		j.box.recycle(j)
	}
}

// queue holds received packets until a worker takes them. It is bounded. When it is full the oldest
// packet is dropped, since its client is the first to ask again; when it is long the newest is
// taken first, since its client is still waiting.
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

// put appends a job and returns the job that it dropped, or nil. [queue.wake] wakes a worker
// afterwards.
func (q *queue) put(j *job) (dropped *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == len(q.ring) {
		dropped = q.popOldest()
	}
	q.ring[(q.head+q.n)%len(q.ring)] = j
	q.n++
	return dropped
}

// wake wakes a worker after one put or several.
func (q *queue) wake() { q.more.Signal() }

// get waits for jobs, stores some in jobs and returns their number; 0 means that the queue is
// closed and empty.
func (q *queue) get(jobs []*job) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.n == 0 {
		if q.closed {
			return 0
		}
		q.more.Wait()
	}
	for ; n < len(jobs) && q.n > 0; n++ {
		if q.n > len(q.ring)/4 {
			jobs[n] = q.popNewest()
		} else {
			jobs[n] = q.popOldest()
		}
	}
	if q.n > 0 {
		q.more.Signal() // for the rest
	}
	return n
}

func (q *queue) popNewest() *job {
	q.n--
	i := (q.head + q.n) % len(q.ring)
	j := q.ring[i]
	q.ring[i] = nil
	return j
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
