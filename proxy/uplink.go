package proxy

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"time"
)

// uplink shares a budget of bytes a second among clients. A waiting client gets its turn after one
// read of each other client. The zero uplink has no limit.
type uplink struct {
	mu     sync.Mutex // guards the fields below
	rate   int64      // bytes a second, 0 = no limit
	credit float64    // bytes that may pass now, negative after a large read
	at     time.Time  // when credit was right
	queues map[netip.Addr][]*turn
	ring   []netip.Addr // the clients that wait, the next one first
	timer  *time.Timer
}

// turn is a read that waits.
type turn struct {
	bytes int
	ready chan struct{}
}

// quantum is the most that one turn passes, in bytes.
const quantum = 64 << 10

// burst is the idle time that the line may make up for.
const burst = 100 * time.Millisecond

func (u *uplink) setRate(rate int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.rate == rate {
		return
	}
	u.rate, u.credit, u.at = rate, 0, time.Now()
	u.dispatch()
}

// take waits until a client may have got that many bytes.
func (u *uplink) take(ctx context.Context, client netip.Addr, bytes int) error {
	t := &turn{bytes, make(chan struct{})}
	u.mu.Lock()
	if u.queues == nil {
		u.queues = make(map[netip.Addr][]*turn)
	}
	if len(u.queues[client]) == 0 {
		u.ring = append(u.ring, client)
	}
	u.queues[client] = append(u.queues[client], t)
	u.dispatch()
	u.mu.Unlock()
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err() // the turn passes unused
	}
}

// dispatch lets pass who may. u.mu is held.
func (u *uplink) dispatch() {
	now := time.Now()
	most := float64(u.rate) * burst.Seconds()
	u.credit = min(most, u.credit+now.Sub(u.at).Seconds()*float64(u.rate))
	u.at = now
	for len(u.ring) > 0 && (u.credit > 0 || u.rate == 0) {
		client := u.ring[0]
		waiting := u.queues[client]
		// The credit may become negative, so that a read of any size passes; the next one waits
		// longer for it.
		u.credit -= float64(waiting[0].bytes)
		close(waiting[0].ready)
		u.ring = u.ring[1:]
		if len(waiting) == 1 {
			delete(u.queues, client)
			continue
		}
		u.queues[client] = waiting[1:]
		u.ring = append(u.ring, client)
	}
	if len(u.ring) == 0 {
		return
	}
	// A microsecond more, since a timer that rounds down would fire before the credit exists.
	wait := time.Duration((1-u.credit)/float64(u.rate)*float64(time.Second)) + time.Microsecond
	if u.timer == nil {
		u.timer = time.AfterFunc(wait, u.tick)
		return
	}
	u.timer.Reset(wait)
}

func (u *uplink) tick() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dispatch()
}

func (u *uplink) limited() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rate > 0
}

// meter reads no faster than the client's share.
func (u *uplink) meter(ctx context.Context, client netip.Addr, r io.Reader) io.Reader {
	if !u.limited() {
		return r
	}
	return &metered{ctx, u, client, r}
}

type metered struct {
	ctx    context.Context // of the request it belongs to
	u      *uplink
	client netip.Addr
	r      io.Reader
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.r.Read(b[:min(len(b), quantum)])
	if n > 0 {
		if terr := m.u.take(m.ctx, m.client, n); terr != nil {
			return n, terr
		}
	}
	return n, err
}

// meteredBody is a metered body that is closed as before.
type meteredBody struct {
	io.Reader
	io.Closer
}
