package pxe

import (
	"context"
	"net/netip"
	"slices"
	"sync"
)

// queue bounds the HTTP requests in service, in all and of each client, so that
// a client whose connections stand still does not keep the places of the others.
// Who finds no place waits, in order.
type queue struct {
	all  chan struct{} // a token for each request in service
	each int           // requests of one address, at most

	mu      sync.Mutex
	clients map[netip.Addr]int             // requests that have a place among those of their client
	waiting map[netip.Addr][]chan struct{} // of those that have none; closed when they get one
}

func newQueue(all, each int) *queue {
	return &queue{all: make(chan struct{}, all), each: each,
		clients: make(map[netip.Addr]int), waiting: make(map[netip.Addr][]chan struct{})}
}

// enter waits for a place. It reports false when ctx ends before.
func (q *queue) enter(ctx context.Context, client netip.Addr) bool {
	if !q.enterOwn(ctx, client) {
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

// enterOwn waits for a place among the client's own.
func (q *queue) enterOwn(ctx context.Context, client netip.Addr) bool {
	q.mu.Lock()
	if q.clients[client] < q.each {
		q.clients[client]++
		q.mu.Unlock()
		return true
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
