package bounds

import (
	"sync"
	"time"
)

// A Rate allows something Burst times at once, at least once, and then once each interval of Every,
// which is more than 0.
type Rate struct {
	Burst int
	Every time.Duration
}

// take moves the time at which a bucket will be full again, unless the bucket is empty. The zero
// time belongs to a full bucket.
func (r Rate) take(full *time.Time, now time.Time) bool {
	at := *full
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) > time.Duration(max(r.Burst, 1)-1)*r.Every {
		return false
	}
	*full = at.Add(r.Every)
	return true
}

// A Bucket holds tokens for one purpose. It may be used concurrently.
type Bucket struct {
	rate Rate
	mu   sync.Mutex
	full time.Time
}

// NewBucket returns a full bucket.
func NewBucket(rate Rate) *Bucket { return &Bucket{rate: rate} }

// Take takes a token and reports whether one was left.
func (b *Bucket) Take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rate.take(&b.full, time.Now())
}

// Buckets holds a bucket for each key. It may be used concurrently.
type Buckets[K comparable] struct {
	rate Rate
	most int
	mu   sync.Mutex
	// Two generations: a key that is in use moves to the young one, and when that is full, the old
	// one is dropped. So the number of keys is bounded without a list in order of use.
	young, old map[K]time.Time
}

// NewBuckets returns buckets for at most so many keys, at least 2. A key that was not used for the
// longest time loses its bucket, and has a full one when it is used again: where strangers choose
// the keys, a Bucket for all of them belongs beside it.
func NewBuckets[K comparable](rate Rate, most int) *Buckets[K] {
	return &Buckets[K]{rate: rate, most: max(most, 2), young: make(map[K]time.Time)}
}

// Take takes a token of the key's bucket and reports whether one was left.
func (b *Buckets[K]) Take(key K) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	full, ok := b.young[key]
	if !ok {
		full = b.old[key]
		if len(b.young) >= b.most/2 {
			b.young, b.old = make(map[K]time.Time), b.young
		}
	}
	took := b.rate.take(&full, time.Now())
	b.young[key] = full
	return took
}
