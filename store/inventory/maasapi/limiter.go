package maasapi

import (
	"maps"
	"sync"
	"time"
)

// maxWatched bounds whom a limiter remembers.
const maxWatched = 4096

// limiter lets each name do something burst times at once and then once each every. Of names it remembers those that were
// last here, maxWatched of them. It is safe for concurrent use.
type limiter struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	full map[string]time.Time // when the name has its whole burst again
}

// take returns 0 when the name may, and otherwise how long it has to wait.
func (l *limiter) take(now time.Time, name string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.full[name]
	if at.Before(now) {
		at = now
	}
	at = at.Add(l.every)
	if wait := at.Sub(now) - time.Duration(l.burst)*l.every; wait > 0 {
		return wait
	}
	if l.full == nil {
		l.full = map[string]time.Time{}
	}
	if len(l.full) >= maxWatched {
		l.sweep(now)
	}
	l.full[name] = at
	return 0
}

// sweep forgets who has the whole burst or, when that is nobody, who is nearer to it than the mean: those who try often stay.
func (l *limiter) sweep(now time.Time) {
	maps.DeleteFunc(l.full, func(_ string, at time.Time) bool { return !at.After(now) })
	if len(l.full) < maxWatched {
		return
	}
	var sum time.Duration
	for _, at := range l.full {
		sum += at.Sub(now)
	}
	mean := now.Add(sum / time.Duration(len(l.full)))
	maps.DeleteFunc(l.full, func(_ string, at time.Time) bool { return !at.After(mean) })
}
