package pxe

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// queue bounds the HTTP requests in service, in all and of each client, so that a client whose
// connections are stuck does not keep the places of the others. A request without a place waits, in
// order. Clients without an IP address, as on a UNIX socket, have no bound of their own.
type queue struct {
	all  chan struct{} // a token for each request in service
	each int           // requests of one address, at most

	mu      sync.Mutex
	clients map[netip.Addr]int             // requests that have a place, by client
	waiting map[netip.Addr][]chan struct{} // of those that have none; closed when they get one
}

// A waiting request holds a connection, whose client may have gone: so they are bounded, to so many
// times those in service of their client, and in time.
const (
	maxWaiting = 4
	waitTime   = time.Minute
)

func newQueue(all, each int) *queue {
	return &queue{all: make(chan struct{}, all), each: each,
		clients: make(map[netip.Addr]int), waiting: make(map[netip.Addr][]chan struct{})}
}

// enter waits for a place. It reports false when too many wait already, when the wait takes too
// long, or when ctx ends.
func (q *queue) enter(ctx context.Context, client netip.Addr) bool {
	own := q.enterOwn(client)
	if own {
		select {
		case q.all <- struct{}{}:
			return true
		default:
		}
	}
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	if !own && !q.awaitOwn(ctx, client) {
		return false
	}
	select {
	case q.all <- struct{}{}:
		return true
	case <-ctx.Done():
		q.leaveOwn(client)
		return false
	}
}

// leave gives a place back.
func (q *queue) leave(client netip.Addr) {
	<-q.all
	q.leaveOwn(client)
}

// enterOwn takes a place among the client's own if one is free.
func (q *queue) enterOwn(client netip.Addr) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.takeOwn(client)
}

// takeOwn is called with the lock held.
func (q *queue) takeOwn(client netip.Addr) bool {
	if client.IsValid() && q.clients[client] >= q.each {
		return false
	}
	q.clients[client]++
	return true
}

// awaitOwn waits for a place among the client's own.
func (q *queue) awaitOwn(ctx context.Context, client netip.Addr) bool {
	q.mu.Lock()
	if q.takeOwn(client) {
		q.mu.Unlock()
		return true
	}
	if len(q.waiting[client]) >= maxWaiting*q.each {
		q.mu.Unlock()
		return false
	}
	turn := make(chan struct{})
	q.waiting[client] = append(q.waiting[client], turn)
	q.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting[client], turn)
	if i >= 0 {
		q.setWaiting(client, slices.Delete(q.waiting[client], i, i+1))
	}
	q.mu.Unlock()
	if i < 0 { // the place came at the same time
		q.leaveOwn(client)
	}
	return false
}

// leaveOwn passes a place on to the client's request that has waited longest.
func (q *queue) leaveOwn(client netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := q.waiting[client]; len(w) > 0 {
		close(w[0])
		q.setWaiting(client, w[1:])
		return
	}
	if q.clients[client]--; q.clients[client] == 0 {
		delete(q.clients, client)
	}
}

func (q *queue) setWaiting(client netip.Addr, w []chan struct{}) {
	if q.waiting[client] = w; len(w) == 0 {
		delete(q.waiting, client)
	}
}
