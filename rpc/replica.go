package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomaas/maas/rpc/internal/linelog"
)

// A Replica is a rack's copy of its state on disk, one file a topic. A rack that starts without any
// region serves from it. Its methods may be called concurrently.
type Replica struct {
	dir    string
	mu     sync.Mutex // guards the fields below
	topics map[string]*replicaTopic

	damaged []string
}

type replicaTopic struct {
	log      *linelog.Log
	position Position
	objects  map[string][]byte
	live     int64 // bytes of keys and values, to know when the file is worth compacting
}

// replicaSuffix ends the file name of a topic, whose own name is escaped so that it cannot leave
// the directory.
const replicaSuffix = ".state"

// compactAbove is the file size in bytes under which a topic's file is never rewritten.
const compactAbove = 1 << 20

// OpenReplica loads every topic kept in dir, which is made (mode 0700) when missing. A damaged file
// is moved aside, see [Replica.Damaged]. Only one Replica may use dir at a time.
func OpenReplica(dir string) (*Replica, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("rpc: replica: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("rpc: replica: %w", err)
	}
	r := &Replica{dir: dir, topics: map[string]*replicaTopic{}}
	for _, entry := range entries {
		escaped, ok := strings.CutSuffix(entry.Name(), replicaSuffix)
		if !ok {
			continue
		}
		name, err := url.PathUnescape(escaped)
		if err != nil {
			continue // not a file of ours
		}
		if _, err := r.topic(name); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// topic returns the named topic, opening its file at first use. r.mu is held, or r is not shared
// yet.
func (r *Replica) topic(name string) (*replicaTopic, error) {
	if t := r.topics[name]; t != nil {
		return t, nil
	}
	t := &replicaTopic{objects: map[string][]byte{}}
	log, err := linelog.Open(filepath.Join(r.dir, url.PathEscape(name)+replicaSuffix), func(line []byte) error {
		var u Update
		if err := json.Unmarshal(line, &u); err != nil {
			return err
		}
		t.apply(u)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rpc: replica of %s: %w", name, err)
	}
	if aside := log.Damaged(); aside != "" {
		// What reads is served. A change may be missing, so the region sends the whole topic again.
		t.position = Position{}
		r.damaged = append(r.damaged, aside)
		if line, err := json.Marshal(Update{Topic: name, Whole: true, Objects: sortedObjects(t.objects)}); err == nil {
			_ = log.Rewrite(line) // a full disk must not keep the rack from serving
		}
	}
	t.log = log
	r.topics[name] = t
	return t, nil
}

// Damaged returns the files that were found damaged and moved aside since OpenReplica. Their topics
// hold what could be read, and are fetched again.
func (r *Replica) Damaged() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.damaged)
}

// Position says how much of the topic is here.
func (r *Replica) Position(name string) Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.topics[name]; t != nil {
		return t.position
	}
	return Position{}
}

// Objects returns the topic's objects by key. The map is the caller's, the values must not be
// modified.
func (r *Replica) Objects(name string) map[string][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.topics[name]; t != nil {
		return maps.Clone(t.objects)
	}
	return map[string][]byte{}
}

// Apply puts the update on disk and then into memory. When it returns an error nothing has changed.
func (r *Replica) Apply(u Update) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, err := r.topic(u.Topic)
	if err != nil {
		return err
	}
	line, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("rpc: replica of %s: %w", u.Topic, err)
	}
	write := t.log.Append
	if u.Whole {
		write = t.log.Rewrite // what came before is replaced anyway
	}
	if err := write(line); err != nil {
		return fmt.Errorf("rpc: replica of %s: %w", u.Topic, err)
	}
	t.apply(u)
	return t.compact(u.Topic)
}

func (t *replicaTopic) apply(u Update) {
	if u.Whole {
		t.objects, t.live = map[string][]byte{}, 0
	}
	for _, o := range u.Objects {
		if old, ok := t.objects[o.Key]; ok {
			t.live -= int64(len(o.Key) + len(old))
		}
		if o.Deleted {
			delete(t.objects, o.Key)
			continue
		}
		t.objects[o.Key] = o.Value
		t.live += int64(len(o.Key) + len(o.Value))
	}
	t.position = u.Position
}

// compact rewrites a file that is mostly history. Values are written in base64, hence the factor.
func (t *replicaTopic) compact(name string) error {
	if t.log.Size() < compactAbove || t.log.Size() < 4*t.live {
		return nil
	}
	whole := Update{Topic: name, Position: t.position, Whole: true, Objects: sortedObjects(t.objects)}
	line, err := json.Marshal(whole)
	if err == nil {
		err = t.log.Rewrite(line)
	}
	if err != nil {
		return fmt.Errorf("rpc: compact replica of %s: %w", name, err)
	}
	return nil
}

func sortedObjects(objects map[string][]byte) []Object {
	out := make([]Object, 0, len(objects))
	for key, value := range sorted(objects) {
		out = append(out, Object{Key: key, Value: value})
	}
	return out
}

func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// Close closes the files.
func (r *Replica) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, t := range r.topics {
		errs = append(errs, t.log.Close())
	}
	return errors.Join(errs...)
}
