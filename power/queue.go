package power

import (
	"context"
	"sync"
	"time"
)

// queues make requests to one BMC go one after the other.
type queues struct {
	spacing time.Duration

	mu    sync.Mutex // guards the fields below
	byBMC map[string]*queue
}

// queue is the turn at one BMC.
type queue struct {
	turn  chan struct{}
	users int       // that wait or have the turn
	ended time.Time // when the last had it
	left  *session  // an open session, for the next request
}

// enter waits for the turn at a BMC, and a little longer if the last request has just ended. The
// caller must leave the turn. The session that was left open, if any, belongs to the caller, also
// with an error.
func (q *queues) enter(ctx context.Context, bmc string) (left *session, err error) {
	q.mu.Lock()
	at := q.byBMC[bmc]
	if at == nil {
		at = &queue{turn: make(chan struct{}, 1)}
		q.byBMC[bmc] = at
	}
	at.users++
	q.mu.Unlock()
	select {
	case at.turn <- struct{}{}:
	case <-ctx.Done():
		return q.forget(bmc, at), waited(ctx)
	}
	if err := q.space(ctx, at); err != nil {
		return q.leave(bmc), err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	left, at.left = at.left, nil
	return left, nil
}

func (q *queues) space(ctx context.Context, at *queue) error {
	q.mu.Lock()
	wait := time.Until(at.ended.Add(q.spacing))
	q.mu.Unlock()
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return waited(ctx)
	}
}

// hand leaves the session to the next request that waits for the turn, if one does.
func (q *queues) hand(bmc string, s *session) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.byBMC[bmc]
	if at.users < 2 || s.driver == nil {
		return false
	}
	at.left = &session{kind: s.kind, params: s.params, log: s.log, driver: s.driver}
	s.driver = nil
	return true
}

// leave gives the turn away. It returns the session that no request waits for any longer.
func (q *queues) leave(bmc string) (orphan *session) {
	q.mu.Lock()
	at := q.byBMC[bmc]
	at.ended = time.Now()
	q.mu.Unlock()
	orphan = q.forget(bmc, at)
	<-at.turn
	return orphan
}

// forget is for who neither waits nor has the turn any longer.
func (q *queues) forget(bmc string, at *queue) (orphan *session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at.users--; at.users > 0 {
		return nil
	}
	orphan, at.left = at.left, nil
	if q.spacing <= 0 {
		delete(q.byBMC, bmc)
		return orphan
	}
	time.AfterFunc(q.spacing, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if at.users == 0 && q.byBMC[bmc] == at {
			delete(q.byBMC, bmc)
		}
	})
	return orphan
}

func waited(ctx context.Context) error {
	return Errorf(Connection, "wait for the BMC's other requests", "%w", ctx.Err())
}
