package objects

import (
	"container/list"
	"slices"
	"sync/atomic"
)

// An Object is a stored response. Its exported fields do not change.
type Object struct {
	URL  string
	Vary []Field
	Size int64
	// Parts are the present parts of an incomplete body. If nil, the body is whole.
	Parts Extents

	id       uint64
	received int64         // when it came, in ns; later variants go first
	uses     atomic.Int32  // since its last turn in the queue, at most maxUses
	trusted  atomic.Bool   // the body was written or checked since the machine booted
	queue    *fifo         // under Store.mu
	place    *list.Element // under Store.mu
}

// overhead is the disk space of an object beside its body: its sidecar, and on average half a block
// of each file.
const overhead = 8 << 10

func (o *Object) cost() int64 {
	if o.Parts != nil {
		return o.Parts.Bytes() + overhead
	}
	return o.Size + overhead
}

// use notes a hit. Losing one of two simultaneous ones is harmless.
func (o *Object) use() {
	// No write once the count is full: popular objects stay in the cache of each core.
	if n := o.uses.Load(); n < maxUses {
		o.uses.Store(n + 1)
	}
}

func newObject(id uint64, m *Meta) *Object {
	return &Object{URL: m.URL, Vary: m.Vary, Size: m.Size, Parts: m.Parts, id: id, received: m.Received.UnixNano()}
}

// sameVariant reports whether b answers the same requests as a.
func sameVariant(a, b *Object) bool { return slices.Equal(a.Vary, b.Vary) }
