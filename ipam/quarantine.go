package ipam

import "time"

// quarantine holds released addresses back, oldest first. Every entry stays equally long, so the
// order of release is the order of expiry. The zero value is empty.
type quarantine struct {
	queue []restEntry // oldest first; entries no longer in held are skipped
	held  map[u128]restEntry
}

type restEntry struct {
	at    u128
	until time.Time
	key   string // the last holder
}

func (q *quarantine) put(x u128, key string, until time.Time) {
	if q.held == nil {
		q.held = make(map[u128]restEntry)
	}
	e := restEntry{x, until, key}
	q.held[x] = e
	q.queue = append(q.queue, e)
}

// pop removes and returns the oldest entry, or only one that has expired at now.
func (q *quarantine) pop(now time.Time, expiredOnly bool) (u128, bool) {
	for len(q.queue) > 0 {
		e := q.queue[0]
		// Removing from the middle of the queue would be linear, so that stale entries are skipped
		// here.
		if have, ok := q.held[e.at]; !ok || have != e {
			q.queue = q.queue[1:] // taken or put again since
			continue
		}
		if expiredOnly && now.Before(e.until) {
			return u128{}, false
		}
		q.queue = q.queue[1:]
		delete(q.held, e.at)
		return e.at, true
	}
	q.queue = nil
	return u128{}, false
}

// take removes x and reports whether it was held.
func (q *quarantine) take(x u128) bool {
	_, ok := q.held[x]
	delete(q.held, x)
	return ok
}

// by reports whether key was the last to hold x, which rests here.
func (q *quarantine) by(x u128, key string) bool {
	e, ok := q.held[x]
	// Without a key all unnamed holders would be one.
	return ok && key != "" && e.key == key
}
