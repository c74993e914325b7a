package rpc

import (
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
	// Droppable lists the kinds that give way, oldest first, when the outbox is full. All others
	// are never dropped, even above Limit.
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
	name    string // of the outbox, in each Fact
	pending []Fact // by Seq
	last    uint64 // Seq of the newest fact ever added
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

// OpenOutbox loads the outbox at cfg.Path. Only one Outbox may use the file at a time.
func OpenOutbox(cfg OutboxConfig) (*Outbox, error) {
	if cfg.Limit == 0 {
		cfg.Limit = 100_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	o := &Outbox{cfg: cfg, added: make(chan struct{})}
	log, err := linelog.Open(cfg.Path, o.replay)
	if err != nil {
		return nil, fmt.Errorf("rpc: outbox: %w", err)
	}
	o.log = log
	if o.name == "" {
		if err := o.baptize(); err != nil {
			return nil, errors.Join(fmt.Errorf("rpc: outbox: %w", err), log.Close())
		}
	}
	for i := range o.pending {
		o.pending[i].Outbox = o.name
	}
	return o, nil
}

// baptize gives a new outbox its name.
func (o *Outbox) baptize() error {
	o.name = rand.Text()
	line, err := json.Marshal(outboxLine{Name: o.name})
	if err != nil {
		return err
	}
	return o.log.Append(line)
}

func (o *Outbox) replay(line []byte) error {
	var l outboxLine
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	if l.Name != "" {
		o.name = l.Name
	}
	if l.Fact != nil {
		o.pending = append(o.pending, *l.Fact)
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
		i++
	}
	o.pending = slices.Delete(o.pending, 0, i)
}

// Add puts facts of one kind into the outbox and returns when they are on disk. Each value is
// encoded as JSON. When it returns an error none was added.
func (o *Outbox) Add(kind string, values ...any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	facts := make([]Fact, 0, len(values))
	lines := make([][]byte, 0, len(values))
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
	o.pending = append(o.pending, facts...)
	o.last += uint64(len(facts))
	o.shed()
	close(o.added)
	o.added = make(chan struct{})
	return nil
}

// shed drops the oldest droppable facts above the limit.
func (o *Outbox) shed() {
	excess := len(o.pending) - o.cfg.Limit
	if excess <= 0 {
		return
	}
	o.pending = slices.DeleteFunc(o.pending, func(f Fact) bool {
		if excess == 0 || !slices.Contains(o.cfg.Droppable, f.Kind) {
			return false
		}
		excess--
		o.dropped++
		return true
	})
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
	write := o.log.Append
	lines := []outboxLine{{Acked: seq, Last: o.last}}
	if o.log.Size() > compactAbove && len(o.pending)*2 < o.cfg.Limit {
		write = o.log.Rewrite
		lines[0].Name = o.name
		for i := range o.pending {
			lines = append(lines, outboxLine{Fact: &o.pending[i]})
		}
	}
	encoded := make([][]byte, 0, len(lines))
	for _, l := range lines {
		line, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("rpc: outbox: %w", err)
		}
		encoded = append(encoded, line)
	}
	if err := write(encoded...); err != nil {
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
