package proxy

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// download is a body that arrives, for any number of readers at their own speed. Segments bring it.
// If it can be fetched by ranges, a reader whose next byte is in no segment starts one.
type download struct {
	key    string
	group  *fetchGroup
	writer *objects.Writer
	length int64 // of the body, -1 when the origin did not say
	ranges bool  // parts of it may be asked for

	outdated atomic.Bool // an unsafe request or a purge came after it

	meta     *objects.Meta
	fresh    rfc9111.Freshness
	mu       sync.Mutex // guards the fields below
	readers  int
	have     objects.Extents
	segments []*segment
	failures int   // segments in a row that brought next to nothing
	noted    int64 // how much there was when that was last written down
	closing  bool  // no reader can join any more
	done     bool
	err      error         // why it ended early
	changed  chan struct{} // closed when one of the above changes
}

// segment brings the bytes from at up to end.
type segment struct {
	at, end int64
	got     int64
	stopped bool // by us
	short   bool // the origin sends less than it was asked for
	cancel  context.CancelCauseFunc
}

// stop ends the segment's request, if that has begun. The download's mu is held.
func (seg *segment) stop() {
	seg.stopped = true
	if seg.cancel != nil {
		seg.cancel(errNobodyWaits)
	}
}

const (
	// maxFailures is the number of segments in a row that may break off before the origin is given
	// up.
	maxFailures = 3
	// progress is the number of bytes from which a segment that broke off counts as a success.
	progress = 1 << 20
	// maxParts bounds the separate parts of one body. Only an attack on memory needs more.
	maxParts = 512
	// noteEach is the number of bytes after which the parts on disk are written down, so that they
	// outlive a kill.
	noteEach = 8 << 20
)

func newDownload(g *fetchGroup, key string, m *objects.Meta, fresh rfc9111.Freshness, length int64) *download {
	return &download{
		key: key, group: g, meta: m, fresh: fresh, length: length, readers: 1, changed: make(chan struct{}),
		ranges: length > 0 && rfc9111.StrongValidator(m.Header) != "",
	}
}

// notify lets the readers look again. d.mu is held.
func (d *download) notify() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// addReader adds a reader, unless the download ends. Then it returns when it has ended.
func (d *download) addReader(ctx context.Context) bool {
	for {
		d.mu.Lock()
		if !d.closing {
			d.readers++
			d.mu.Unlock()
			return true
		}
		done, changed := d.done, d.changed
		d.mu.Unlock()
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

// state returns, without waiting, the end of the bytes that continue from at, whether the download
// has ended, and the error if it ended early.
func (d *download) state(at int64) (to int64, done bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.have.Run(at), d.done, d.err
}

// waitFor waits for the byte at an offset and returns the end of the bytes that continue from
// there, at most end. If no segment brings the byte, begin is called with one. At the end of the
// body it returns at.
func (d *download) waitFor(ctx context.Context, at, end int64, begin func(*segment)) (to int64, err error) {
	for {
		d.mu.Lock()
		if to = min(d.have.Run(at), end); to > at || d.done {
			err = d.err
			d.mu.Unlock()
			if to > at {
				err = nil
			}
			return to, err
		}
		// The channel is taken under the lock, so that no change is missed.
		seg, changed := d.nextSegment(at, end), d.changed
		d.mu.Unlock()
		if seg != nil {
			begin(seg)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return at, ctx.Err()
		}
	}
}

// nextSegment adds a segment for what is missing from at on, when none is on its way there. d.mu is
// held.
func (d *download) nextSegment(at, end int64) *segment {
	if !d.ranges || d.closing {
		return nil
	}
	gap, _ := d.have.Gap(at, min(end, d.length))
	for _, seg := range d.segments {
		// A segment that is close to the byte is faster than a new request.
		if reached := seg.at + seg.got; seg.at <= at && at < seg.end && at-reached < lateStart {
			return nil
		}
		// The gap ends where another segment begins.
		if seg.at > at {
			gap.End = min(gap.End, seg.at)
		}
	}
	if gap.Start >= gap.End {
		return nil
	}
	return d.addSegment(gap)
}

// addSegment adds a segment. d.mu is held, or the download is not shared yet.
func (d *download) addSegment(gap objects.Extent) *segment {
	for _, seg := range d.segments { // what it overtakes ends where it begins
		if seg.at < gap.Start && gap.Start < seg.end {
			seg.end = gap.Start
		}
	}
	seg := &segment{at: gap.Start, end: gap.End}
	d.segments = append(d.segments, seg)
	return seg
}

// cut ends a segment where its response does.
func (d *download) cut(seg *segment, end int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	seg.short = end < seg.end
	seg.end = max(seg.at, min(seg.end, end))
}

// room returns the number of bytes that a segment still has to bring.
func (d *download) room(seg *segment) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return seg.end - seg.at - seg.got
}

// received publishes n more bytes of a segment. The last bytes of a body are not published: whole
// means that the body must be committed first. note means that the parts should be written down.
func (d *download) received(seg *segment, n int64) (whole, note bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := objects.Extent{Start: seg.at + seg.got, End: seg.at + seg.got + n}
	seg.got += n
	if d.closing {
		return false, false
	}
	if d.length >= 0 && d.have.Bytes()+n >= d.length {
		// Parts of overlapping segments count once, so that the sum is checked on a copy.
		all := append(objects.Extents(nil), d.have...)
		if all.Add(e); all.Bytes() == d.length {
			d.closing = true
			return true, false
		}
	}
	d.have.Add(e)
	d.notify()
	// The first note is early, since most bodies are small; later ones double up to noteEach.
	if d.ranges && d.have.Bytes()-d.noted >= min(noteEach, max(progress, d.noted)) {
		d.noted = d.have.Bytes()
		return false, true
	}
	return false, false
}

// parts returns a copy of the parts that have arrived.
func (d *download) parts() objects.Extents {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append(objects.Extents(nil), d.have...)
}

// beginClosing marks the download as ending and reports whether it was not before. d.mu is held.
func (d *download) beginClosing() bool {
	was := d.closing
	d.closing = true
	return !was
}

// finish publishes the end. Without an error the body is whole.
func (d *download) finish(size int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done, d.err, d.closing = true, err, true
	if err == nil {
		d.have = objects.Extents{{Start: 0, End: size}}
		if size == 0 {
			d.have = nil
		}
	}
	d.notify()
}

// endless is the end of a segment whose length the origin did not say.
const endless = math.MaxInt64

// smallRest is the number of missing bytes that are fetched even without a reader.
const smallRest = 16 << 20

// removeReader removes a reader. Without readers the rest is fetched only if it is small, or
// smaller than the part that has arrived; otherwise the download ends as a partial entry.
func (c *Cache) removeReader(d *download) {
	d.mu.Lock()
	d.readers--
	end := false
	if d.readers == 0 && !d.closing {
		have := d.have.Bytes()
		for _, seg := range d.segments {
			// A body of unknown length may never end.
			if seg.end == endless || seg.end-seg.at-seg.got > max(smallRest, have) {
				seg.stop()
			}
		}
		end = len(d.segments) == 0 && d.beginClosing()
	}
	d.mu.Unlock()
	if end {
		c.endPartial(d, errNobodyWaits)
	}
}
