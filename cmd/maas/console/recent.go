package console

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/pxe"
)

const (
	// maxRecent bounds the boots that are kept for pages.
	maxRecent = 500
	// recentSteps bounds the first look, in steps of boots.
	recentSteps = 5000
	recentPage  = 256
	// recentEvery bounds how often the boots are looked at, whatever the number of open pages: a
	// change is on them well within 300 ms.
	recentEvery = 100 * time.Millisecond
)

// recent holds the last boots of the site. It reads what progressed since it was asked last.
type recent struct {
	source BootLog

	mu     sync.Mutex // guards the fields below
	opened bool
	place  int64 // in the source
	looked time.Time
	aged   time.Time
	seq    int64 // counts changes of entries
	forgot int64 // the last change of an entry that is no longer kept
	all    map[string]*bootEntry
}

// bootEntry is a boot, and when it changed last.
type bootEntry struct {
	pxe.Attempt
	id   string
	seq  int64 // of its last change
	born int64 // of its first change
	// active boots change by silence, too: it turns them into failed ones.
	active bool
}

// bootID names a boot in pages.
func bootID(a pxe.Attempt) string {
	return strings.ReplaceAll(a.MAC.String(), ":", "") + "-" + itoa(int(a.Start.UnixMilli()))
}

// list returns the last boots, the latest first, and the count of changes up to now.
func (b *recent) list(ctx context.Context) (out []bootEntry, seq int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.read(ctx); err != nil {
		return nil, 0, err
	}
	return b.entries(), b.seq, nil
}

// since returns the last boots as list does, unless nothing changed after a place; then the place
// is returned. forgot is the last change of a boot that was forgotten.
func (b *recent) since(ctx context.Context, place int64) (out []bootEntry, seq, forgot int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.read(ctx); err != nil {
		return nil, 0, 0, err
	}
	if b.seq != place {
		out = b.entries()
	}
	return out, b.seq, b.forgot, nil
}

// entries returns copies of all boots, the latest first. b.mu is held.
func (b *recent) entries() (out []bootEntry) {
	out = make([]bootEntry, 0, len(b.all))
	for _, e := range b.all {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(x, y bootEntry) int { return cmp.Or(y.Start.Compare(x.Start), cmp.Compare(x.id, y.id)) })
	return out
}

// read takes in what progressed. b.mu is held.
func (b *recent) read(ctx context.Context) error {
	if b.opened && time.Since(b.looked) < recentEvery {
		return nil
	}
	if !b.opened {
		last, err := b.source.LastStep(ctx)
		if err != nil {
			return err
		}
		b.place, b.all, b.opened = max(0, last-recentSteps), map[string]*bootEntry{}, true
	}
	for {
		page, next, err := b.source.Since(ctx, b.place, recentPage)
		if err != nil {
			return err
		}
		for _, a := range page {
			b.seq++
			id := bootID(a)
			e := &bootEntry{a, id, b.seq, b.seq, stateOf(a, a.Diagnosis(now())) == bootActive}
			if old := b.all[id]; old != nil {
				e.born = old.born
			}
			b.all[id] = e
		}
		b.trim()
		if len(page) == 0 {
			break
		}
		b.place = next
	}
	b.looked = time.Now()
	b.age(b.looked)
	return nil
}

// age counts it as a change when silence ends an active boot.
func (b *recent) age(at time.Time) {
	if at.Sub(b.aged) < liveAge {
		return
	}
	b.aged = at
	for _, e := range b.all {
		if e.active && stateOf(e.Attempt, e.Diagnosis(at)) != bootActive {
			b.seq++
			e.active, e.seq = false, b.seq
		}
	}
}

// trim forgets the oldest boots.
func (b *recent) trim() {
	if len(b.all) <= maxRecent {
		return
	}
	entries := make([]*bootEntry, 0, len(b.all))
	for _, e := range b.all {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(x, y *bootEntry) int { return y.Last.Compare(x.Last) })
	for _, e := range entries[maxRecent:] {
		b.forgot = max(b.forgot, e.seq)
		delete(b.all, e.id)
	}
}

// The states of a boot.
const (
	bootActive  = "booting"
	bootRunning = "running"
	bootFailed  = "failed"
)

// stateOf returns the state of a boot, by its diagnosis.
func stateOf(a pxe.Attempt, diagnosis string) string {
	switch {
	case a.Running || a.Configured:
		return bootRunning
	case strings.HasPrefix(diagnosis, "booting"):
		return bootActive
	}
	return bootFailed
}
