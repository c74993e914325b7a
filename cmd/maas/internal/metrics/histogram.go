package metrics

import (
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// bounds are the upper ends of buckets, in seconds: from what memory answers to what people give up on.
var bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}

// A Histogram counts durations. Its zero value is ready; its methods may be called concurrently.
type Histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	sum     atomic.Int64 // nanoseconds
}

// Observe counts one.
func (h *Histogram) Observe(d time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], d.Seconds())
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Histogram writes all samples of one.
func (f Family) Histogram(h *Histogram, labels ...string) {
	var total uint64
	for i := range h.buckets {
		total += h.buckets[i].Load()
		bound := math.Inf(1)
		if i < len(bounds) {
			bound = bounds[i]
		}
		text := strconv.FormatFloat(bound, 'g', -1, 64)
		f.sample("_bucket", float64(total), append(slices.Clone(labels), "le", text))
	}
	f.sample("_sum", time.Duration(h.sum.Load()).Seconds(), labels)
	f.sample("_count", float64(total), labels)
}

// A Counters is numbers that grow, and histograms, by labels. Its zero value is ready; its methods may be called concurrently.
// Labels are to be of a bounded number of values: nothing is forgotten.
type Counters[L comparable] struct {
	all sync.Map // of *Entry by L
}

// Entry is what is counted for one set of labels.
type Entry struct {
	Count atomic.Uint64
	Bytes atomic.Int64
	Took  Histogram
}

// At is the entry of some labels.
func (c *Counters[L]) At(labels L) *Entry {
	if e, ok := c.all.Load(labels); ok {
		return e.(*Entry)
	}
	e, _ := c.all.LoadOrStore(labels, new(Entry))
	return e.(*Entry)
}

// Sorted calls each for all entries, in the order that less tells.
func (c *Counters[L]) Sorted(compare func(a, b L) int, each func(L, *Entry)) {
	var keys []L
	c.all.Range(func(k, _ any) bool {
		keys = append(keys, k.(L))
		return true
	})
	slices.SortFunc(keys, compare)
	for _, k := range keys {
		each(k, c.At(k))
	}
}
