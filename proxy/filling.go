package proxy

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// filling is a body that comes in, for any number of readers at their own speed. Transfers bring it; where it can be asked
// for by ranges, a reader whose next byte nobody brings begins another transfer.
type filling struct {
	key    string
	flight *flight
	fill   *objects.Fill
	length int64 // of the body, -1 when the origin did not say
	ranges bool  // parts of it may be asked for

	outdated atomic.Bool // an unsafe request or a purge came after it

	meta      *objects.Meta
	fresh     rfc9111.Freshness
	mu        sync.Mutex // guards following
	readers   int
	have      objects.Extents
	transfers []*transfer
	failures  int   // transfers in a row that brought next to nothing
	noted     int64 // how much there was when that was last written down
	closing   bool  // nobody can join any more
	done      bool
	err       error         // why it ended early
	changed   chan struct{} // closed when one of the above changes
}

// transfer brings the bytes from at up to end.
type transfer struct {
	at, end int64
	got     int64
	stopped bool // by us
	short   bool // the origin sends less than it was asked for
	cancel  context.CancelCauseFunc
}

// stop ends the transfer's request, if that has begun. The filling's mu is held.
func (t *transfer) stop() {
	t.stopped = true
	if t.cancel != nil {
		t.cancel(errNobodyWaits)
	}
}

const (
	// maxFailures is how many transfers in a row may break off before the origin is given up.
	maxFailures = 3
	// progress is how many bytes make a transfer that broke off a good one.
	progress = 1 << 20
	// maxParts is how many pieces of one body are kept apart. More come from clients that want to exhaust something.
	maxParts = 512
	// noteEach is after how many bytes, at most, it is written down what is there of a body, for the case of a kill.
	noteEach = 8 << 20
)

func newFilling(f *flight, key string, m *objects.Meta, fresh rfc9111.Freshness, length int64) *filling {
	return &filling{
		key: key, flight: f, meta: m, fresh: fresh, length: length, readers: 1, changed: make(chan struct{}),
		ranges: length > 0 && rfc9111.StrongValidator(m.Header) != "",
	}
}

// wake lets the readers look again. f.mu is held.
func (f *filling) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// enter adds a reader, unless the filling ends. Then it returns when it has ended.
func (f *filling) enter(ctx context.Context) bool {
	for {
		f.mu.Lock()
		if !f.closing {
			f.readers++
			f.mu.Unlock()
			return true
		}
		done, changed := f.done, f.changed
		f.mu.Unlock()
		if done {
			return false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// state returns how far the bytes go on from at without waiting, whether no more comes, and why that was too early.
func (f *filling) state(at int64) (to int64, done bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.have.Run(at), f.done, f.err
}

// reach waits for the byte at an offset and returns how far they go on from there, at most to end. When nobody brings it,
// begin is told to. It returns at itself at the end of the body.
func (f *filling) reach(ctx context.Context, at, end int64, begin func(*transfer)) (to int64, err error) {
	for {
		f.mu.Lock()
		if to = min(f.have.Run(at), end); to > at || f.done {
			err = f.err
			f.mu.Unlock()
			if to > at {
				err = nil
			}
			return to, err
		}
		t, changed := f.missing(at, end), f.changed
		f.mu.Unlock()
		if t != nil {
			begin(t)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return at, ctx.Err()
		}
	}
}

// missing adds a transfer for what is missing from at on, when none is on its way there. f.mu is held.
func (f *filling) missing(at, end int64) *transfer {
	if !f.ranges || f.closing {
		return nil
	}
	gap, _ := f.have.Gap(at, min(end, f.length))
	for _, t := range f.transfers {
		if reached := t.at + t.got; t.at <= at && at < t.end && at-reached < lateStart {
			return nil
		}
		if t.at > at {
			gap.End = min(gap.End, t.at)
		}
	}
	if gap.Start >= gap.End {
		return nil
	}
	return f.addTransfer(gap)
}

// addTransfer makes a transfer count. f.mu is held, or nobody else knows the filling.
func (f *filling) addTransfer(gap objects.Extent) *transfer {
	for _, t := range f.transfers { // what it overtakes ends where it begins
		if t.at < gap.Start && gap.Start < t.end {
			t.end = gap.Start
		}
	}
	t := &transfer{at: gap.Start, end: gap.End}
	f.transfers = append(f.transfers, t)
	return t
}

// cut ends a transfer where its response does.
func (f *filling) cut(t *transfer, end int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.short = end < t.end
	t.end = max(t.at, min(t.end, end))
}

// room is how many more bytes a transfer has to bring.
func (f *filling) room(t *transfer) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return t.end - t.at - t.got
}

// arrived publishes n more bytes of a transfer. The last ones of a body are not published: whole means that it has to be
// committed first. note says that it is time to write down what is there.
func (f *filling) arrived(t *transfer, n int64) (whole, note bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := objects.Extent{Start: t.at + t.got, End: t.at + t.got + n}
	t.got += n
	if f.closing {
		return false, false
	}
	if f.length >= 0 && f.have.Bytes()+n >= f.length {
		all := append(objects.Extents(nil), f.have...)
		if all.Add(e); all.Bytes() == f.length {
			f.closing = true
			return true, false
		}
	}
	f.have.Add(e)
	f.wake()
	if f.ranges && f.have.Bytes()-f.noted >= min(noteEach, max(progress, f.noted)) {
		f.noted = f.have.Bytes()
		return false, true
	}
	return false, false
}

// parts is a copy of what is there.
func (f *filling) parts() objects.Extents {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(objects.Extents(nil), f.have...)
}

// closed marks the filling as ending and reports whether it was not before. f.mu is held.
func (f *filling) closed() bool {
	was := f.closing
	f.closing = true
	return !was
}

// finish publishes the end. Without an error the whole body is there.
func (f *filling) finish(size int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.err, f.closing = true, err, true
	if err == nil {
		f.have = objects.Extents{{Start: 0, End: size}}
		if size == 0 {
			f.have = nil
		}
	}
	f.wake()
}

// endless is the end of a transfer whose length the origin did not say.
const endless = math.MaxInt64

// fetchRest is how many missing bytes are fetched although nobody waits for them any more.
const fetchRest = 16 << 20

// exit ends a reader. Without readers the rest is only fetched when that is little, or less than what is there; otherwise
// what there is is parked.
func (c *Cache) exit(f *filling) {
	f.mu.Lock()
	f.readers--
	park := false
	if f.readers == 0 && !f.closing {
		have := f.have.Bytes()
		for _, t := range f.transfers {
			if t.end == endless || t.end-t.at-t.got > max(fetchRest, have) {
				t.stop()
			}
		}
		park = len(f.transfers) == 0 && f.closed()
	}
	f.mu.Unlock()
	if park {
		c.park(f, errNobodyWaits)
	}
}
