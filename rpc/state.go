package rpc

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Position says how much of a topic a rack has. The zero Position has nothing.
type Position struct {
	// Epoch names one life of the region's [State]. Revisions of different epochs cannot be
	// compared, so a rack that comes with another epoch gets the whole topic.
	Epoch string `json:"epoch,omitempty"`
	// Revision counts changes within the epoch.
	Revision uint64 `json:"revision,omitempty"`
}

// An Object is one keyed piece of a topic's state.
type Object struct {
	Key     string `json:"key"`
	Value   []byte `json:"value,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
}

// An Update brings a topic from one position to a later one. Its objects are applied together or
// not at all.
type Update struct {
	Topic string `json:"topic"`
	// Position is the topic's position after the update.
	Position Position `json:"position"`
	// Whole means that Objects is everything: keys that are not named are gone.
	Whole bool `json:"whole,omitempty"`
	// Metadata came along with the last of the changes, see [State.Carry].
	Metadata map[string]string `json:"metadata,omitempty"`
	// Objects are sorted by key, each key once.
	Objects []Object `json:"objects"`
}

// maxRecent bounds how many changes of objects a topic remembers. A rack that is further behind
// gets the whole topic.
const maxRecent = 8192

// State holds the objects that one rack is to serve, by topic and key, with each change numbered.
// The zero State is not usable; make one with [NewState]. Its methods may be called concurrently.
type State struct {
	epoch   string
	mu      sync.Mutex // guards the fields below
	topics  map[string]*topic
	created chan struct{}     // closed when a topic is made
	carried map[string]string // with what changes now
}

type topic struct {
	revision uint64
	objects  map[string][]byte
	recent   []touch           // what changed after floor, in order of revision
	floor    uint64            // changes up to here are forgotten
	changed  chan struct{}     // closed at the next change
	metadata map[string]string // of the last change
}

// touch is one object's change.
type touch struct {
	revision uint64
	key      string
}

// NewState returns an empty state in a new epoch.
func NewState() *State {
	return &State{epoch: rand.Text(), topics: map[string]*topic{}, created: make(chan struct{})}
}

// topic returns the named topic, made when new. s.mu is held.
func (s *State) topic(name string) *topic {
	t := s.topics[name]
	if t == nil {
		t = &topic{objects: map[string][]byte{}, changed: make(chan struct{})}
		s.topics[name] = t
		close(s.created)
		s.created = make(chan struct{})
	}
	return t
}

// Set makes objects the whole content of the topic. Only what differs becomes a change; when
// nothing does, the revision stays. The values must not be modified afterwards. It returns the
// topic's position.
func (s *State) Set(name string, objects map[string][]byte) Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topic(name)
	return s.change(t, objects, func() (deletes []string) {
		if len(t.objects) == len(objects) {
			return nil // the upserts are in by now, so nothing else is
		}
		for key := range t.objects {
			if _, keep := objects[key]; !keep {
				deletes = append(deletes, key)
			}
		}
		return deletes
	})
}

// Change puts the upserts and removes the deletes as one change, in time proportional to them
// alone. Upserts that equal the present object and deletes of absent keys are no change.
func (s *State) Change(name string, upserts map[string][]byte, deletes []string) Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change(s.topic(name), upserts, func() []string { return deletes })
}

// Difference returns what [State.Change] is to be called with when some objects become others: all
// of after as JSON, and the keys that only before has.
func Difference[T any](before, after []T, key func(T) string) (upserts map[string][]byte, deletes []string, err error) {
	upserts = make(map[string][]byte, len(after))
	for _, x := range after {
		k := key(x)
		if upserts[k], err = json.Marshal(x); err != nil {
			return nil, nil, fmt.Errorf("rpc: %s: %w", k, err)
		}
	}
	for _, x := range before {
		if k := key(x); upserts[k] == nil {
			deletes = append(deletes, k)
		}
	}
	return upserts, deletes, nil
}

// change calls deletes after the upserts.
func (s *State) change(t *topic, upserts map[string][]byte, deletes func() []string) Position {
	next := t.revision + 1
	changed := t.revision == 0 // a topic that was set, even to nothing, exists for its readers
	touched := func(key string) {
		t.recent = append(t.recent, touch{next, key})
		changed = true
	}
	for key, value := range upserts {
		if old, ok := t.objects[key]; ok && bytes.Equal(old, value) {
			continue
		}
		t.objects[key] = value
		touched(key)
	}
	for _, key := range deletes() {
		if _, ok := t.objects[key]; ok {
			delete(t.objects, key)
			touched(key)
		}
	}
	if changed {
		t.revision, t.metadata = next, s.carried
		t.forget()
		close(t.changed)
		t.changed = make(chan struct{})
	}
	return Position{Epoch: s.epoch, Revision: t.revision}
}

// forget drops the older half of the changes once there are too many; readers from before then
// start over.
func (t *topic) forget() {
	if len(t.recent) <= maxRecent {
		return
	}
	keep := len(t.recent) - maxRecent/2
	t.floor = t.recent[keep-1].revision
	for keep < len(t.recent) && t.recent[keep].revision == t.floor {
		keep++ // half a change would be worse than none
	}
	t.recent = append([]touch(nil), t.recent[keep:]...)
}

// Next waits until the topic is past from and returns the update that leads from there to now. It
// returns an error only when ctx ends.
func (s *State) Next(ctx context.Context, name string, from Position) (Update, error) {
	for {
		s.mu.Lock()
		// A reader makes no topic: a rack may ask for any name.
		changed := s.created
		t := s.topics[name]
		if t != nil {
			changed = t.changed
		}
		if t != nil && t.revision > 0 && (from.Epoch != s.epoch || from.Revision != t.revision) {
			u := s.update(name, t, from)
			s.mu.Unlock()
			return u, nil
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Update{}, ctx.Err()
		}
	}
}

func (s *State) update(name string, t *topic, from Position) Update {
	u := Update{Topic: name, Position: Position{Epoch: s.epoch, Revision: t.revision}, Metadata: t.metadata}
	u.Whole = from.Epoch != s.epoch || from.Revision < t.floor || from.Revision > t.revision
	if u.Whole {
		u.Objects = make([]Object, 0, len(t.objects))
		for key, value := range t.objects {
			u.Objects = append(u.Objects, Object{Key: key, Value: value})
		}
	} else {
		u.Objects = t.since(from.Revision)
	}
	slices.SortFunc(u.Objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return u
}

// since returns each object that changed after a revision, as it is now: a small change to a large
// topic is small work.
func (t *topic) since(revision uint64) []Object {
	first, _ := slices.BinarySearchFunc(t.recent, revision+1, func(c touch, r uint64) int { return cmp.Compare(c.revision, r) })
	var out []Object
	seen := make(map[string]bool, len(t.recent)-first)
	for _, c := range t.recent[first:] {
		if seen[c.key] {
			continue
		}
		seen[c.key] = true
		value, there := t.objects[c.key]
		out = append(out, Object{Key: c.key, Value: value, Deleted: !there})
	}
	return out
}
