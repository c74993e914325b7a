package rpc

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/rpc/internal/linelog"
)

// A Fact is something a rack saw and its region should know: a lease, a boot event, an observation,
// a power state.
type Fact struct {
	// Outbox names the outbox of the fact. An outbox that lost its file has another name and begins
	// again with Seq 1, so a region recognizes repeated facts by rack, Outbox and Seq.
	Outbox string `json:"outbox,omitempty"`
	// Seq numbers the facts of one outbox from 1 without gaps, except where facts were dropped
	// because it was full.
	Seq uint64 `json:"seq"`
	// Kind says what Data is.
	Kind string `json:"kind"`
	// Time is the time of the observation.
	Time time.Time `json:"time"`
	// Behind is by how much the rack's clock was behind the region's when the fact was delivered,
	// negative if it was ahead. Times of the fact are right once it is added. The connection
	// measures it; 0 = the clocks agree, or it is not known.
	Behind time.Duration `json:"-"`
	// Data is one JSON document.
	Data json.RawMessage `json:"data"`
}

// OutboxConfig says where an outbox lives and how much it may hold.
type OutboxConfig struct {
	// Path is the file, made when missing.
	Path string
	// Limit is the number of undelivered facts from which on droppable ones are dropped. Zero means
	// 100,000.
	Limit int
	// LimitBytes is their size in bytes from which on droppable ones are dropped. Memory holds no
	// more than twice of it, and the file no more than four times. Zero means 32 MiB.
	LimitBytes int64
	// Droppable lists the kinds that give way when the outbox is full: the oldest facts of the kind
	// that takes most bytes first. All others are never dropped; [Outbox.Add] refuses them when
	// twice the limit is reached.
	Droppable []string
	// Now stamps facts. Nil means time.Now.
	Now func() time.Time
}

// An Outbox keeps facts on disk, in order, until a region has taken them. Its methods may be called
// concurrently.
type Outbox struct {
	cfg     OutboxConfig
	mu      sync.Mutex // guards the fields below
	log     *linelog.Log
	name    string           // of the outbox, in each Fact
	named   bool             // the file has the name
	pending []Fact           // by Seq
	bytes   int64            // of the lines of pending
	kinds   map[string]int64 // bytes by kind
	aside   string           // a damaged file
	last    uint64           // Seq of the newest fact ever added
	dropped uint64
	added   chan struct{} // closed at the next Add
}

// outboxLine is one line of the file: the outbox's name, a fact, or how far facts were taken.
type outboxLine struct {
	Name  string `json:"name,omitempty"`
	Fact  *Fact  `json:"fact,omitempty"`
	Acked uint64 `json:"acked,omitempty"`
	Last  uint64 `json:"last,omitempty"`
}

// ErrOutboxFull is returned when facts that must not be dropped have no room. The caller reports
// what is so by then, once the outbox has room again.
var ErrOutboxFull = errors.New("rpc: outbox is full")

// OpenOutbox loads the outbox at cfg.Path. A damaged file is moved aside, see [Outbox.Damaged].
// Only one Outbox may use the file at a time.
func OpenOutbox(cfg OutboxConfig) (*Outbox, error) {
	if cfg.Limit == 0 {
		cfg.Limit = 100_000
	}
	if cfg.LimitBytes == 0 {
		cfg.LimitBytes = 32 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	o := &Outbox{cfg: cfg, added: make(chan struct{}), kinds: make(map[string]int64)}
	log, err := linelog.Open(cfg.Path, o.replay)
	if err != nil {
		return nil, fmt.Errorf("rpc: outbox: %w", err)
	}
	o.log, o.named = log, o.name != ""
	if o.aside = log.Damaged(); o.aside != "" {
		// A number may be missing that a region has taken: under another name all of them are new.
		o.name, o.named = "", false
	}
	if o.name == "" {
		o.name = rand.Text()
	}
	for i := range o.pending {
		o.pending[i].Outbox = o.name
	}
	o.shed()
	if o.aside != "" {
		_ = o.compact() // a full disk must not keep the rack from serving; the file gets its name later
	}
	return o, nil
}

// Damaged returns the name of a file that was found damaged and moved aside by OpenOutbox, empty if
// none was. The outbox has the facts that could be read.
func (o *Outbox) Damaged() string { return o.aside }

func (o *Outbox) replay(line []byte) error {
	var l outboxLine
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	if l.Name != "" {
		o.name = l.Name
	}
	if l.Fact != nil {
		o.hold(*l.Fact)
		o.last = max(o.last, l.Fact.Seq)
	}
	o.take(l.Acked)
	o.last = max(o.last, l.Last, l.Acked)
	return nil
}

// take forgets the pending facts up to seq.
func (o *Outbox) take(seq uint64) {
	i := 0
	for i < len(o.pending) && o.pending[i].Seq <= seq {
		o.count(o.pending[i], -1)
		i++
	}
	o.pending = slices.Delete(o.pending, 0, i)
}

// hold appends a fact to those that wait.
func (o *Outbox) hold(f Fact) {
	o.pending = append(o.pending, f)
	o.count(f, 1)
}

// overhead is about what a fact takes besides its data, in memory and in the file.
const overhead = 160

// count adds the size of a fact to the sums, or subtracts it.
func (o *Outbox) count(f Fact, sign int64) {
	size := sign * int64(len(f.Data)+len(f.Kind)+overhead)
	o.bytes += size
	o.kinds[f.Kind] += size
}

// Add puts facts of one kind into the outbox and returns when they are on disk. Each value is
// encoded as JSON. When it returns an error none was added. Droppable facts may give way at once.
func (o *Outbox) Add(kind string, values ...any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	droppable := slices.Contains(o.cfg.Droppable, kind)
	if !droppable && (len(o.pending) >= 2*o.cfg.Limit || o.bytes >= 2*o.cfg.LimitBytes) {
		return fmt.Errorf("%w: %d facts wait", ErrOutboxFull, len(o.pending))
	}
	facts := make([]Fact, 0, len(values))
	lines := make([][]byte, 0, len(values)+1)
	if !o.named {
		line, err := json.Marshal(outboxLine{Name: o.name})
		if err != nil {
			return fmt.Errorf("rpc: outbox: %w", err)
		}
		lines = append(lines, line)
	}
	for i, value := range values {
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("rpc: outbox: %s: %w", kind, err)
		}
		fact := Fact{Seq: o.last + 1 + uint64(i), Kind: kind, Time: o.cfg.Now(), Data: data}
		line, err := json.Marshal(outboxLine{Fact: &fact})
		if err != nil {
			return fmt.Errorf("rpc: outbox: %s: %w", kind, err)
		}
		fact.Outbox = o.name // once a file is enough
		facts, lines = append(facts, fact), append(lines, line)
	}
	if err := o.log.Append(lines...); err != nil {
		return fmt.Errorf("rpc: outbox: %w", err)
	}
	o.named = true
	for _, f := range facts {
		o.hold(f)
	}
	o.last += uint64(len(facts))
	o.shed()
	if o.log.Size() > compactAbove+3*o.bytes {
		// The facts are on disk already; the file is only longer than it need be.
		_ = o.compact()
	}
	close(o.added)
	o.added = make(chan struct{})
	return nil
}

// hasRoom reports whether less than a quarter of the outbox is used.
func (o *Outbox) hasRoom() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending) < o.cfg.Limit/4 && o.bytes < o.cfg.LimitBytes/4
}

// shed drops droppable facts above the limits, the oldest of the kind that takes most bytes first.
func (o *Outbox) shed() {
	// Somewhat more than necessary, so that not each fact that is added costs a walk.
	facts, bytes := o.cfg.Limit, o.cfg.LimitBytes
	if len(o.pending) <= facts && o.bytes <= bytes {
		return
	}
	if len(o.pending) > 1000 {
		facts -= facts / 64
	}
	bytes -= bytes / 64
	kinds := slices.Clone(o.cfg.Droppable)
	slices.SortStableFunc(kinds, func(a, b string) int { return cmp.Compare(o.kinds[b], o.kinds[a]) })
	for _, kind := range kinds {
		left := len(o.pending)
		o.pending = slices.DeleteFunc(o.pending, func(f Fact) bool {
			if f.Kind != kind || left <= facts && o.bytes <= bytes {
				return false
			}
			o.count(f, -1)
			left--
			o.dropped++
			return true
		})
	}
}

// compact writes the file anew with what waits.
func (o *Outbox) compact() error {
	lines := []outboxLine{{Name: o.name, Last: o.last}}
	for i := range o.pending {
		lines = append(lines, outboxLine{Fact: &o.pending[i]})
	}
	encoded := make([][]byte, 0, len(lines))
	for _, l := range lines {
		line, err := json.Marshal(l)
		if err != nil {
			return err
		}
		encoded = append(encoded, line)
	}
	err := o.log.Rewrite(encoded...)
	o.named = o.named || err == nil
	return err
}

// Next waits until there are facts and returns the oldest, at most limit of them. They stay until
// [Outbox.Ack]. It returns an error only when ctx ends.
func (o *Outbox) Next(ctx context.Context, limit int) ([]Fact, error) {
	for {
		o.mu.Lock()
		added := o.added
		facts := slices.Clone(o.pending[:min(limit, len(o.pending))])
		o.mu.Unlock()
		if len(facts) > 0 {
			return facts, nil
		}
		select {
		case <-added:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Ack forgets the facts up to and including seq, which a region has taken.
func (o *Outbox) Ack(seq uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.take(seq)
	if o.log.Size() > compactAbove && o.bytes*2 < o.cfg.LimitBytes && len(o.pending)*2 < o.cfg.Limit {
		if err := o.compact(); err != nil {
			return fmt.Errorf("rpc: outbox: %w", err)
		}
		return nil
	}
	line, err := json.Marshal(outboxLine{Acked: seq, Last: o.last})
	if err == nil {
		err = o.log.Append(line)
	}
	if err != nil {
		return fmt.Errorf("rpc: outbox: %w", err)
	}
	return nil
}

// Pending returns the number of facts that wait, and the number dropped since the outbox was
// opened.
func (o *Outbox) Pending() (waiting int, dropped uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pending), o.dropped
}

// Close closes the file.
func (o *Outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Close()
}
