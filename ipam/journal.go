package ipam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"sync"

	"github.com/gomaas/maas/internal/atomicfile"
	"github.com/gomaas/maas/internal/damaged"
)

// Journal is a [Ledger] in a file. What Insert or Delete has returned for is on disk; calls that
// run at the same time share one sync. The file is rewritten when most of it is out of date.
//
// A record that a crash cut off is removed when the journal is opened: it belongs to a call that
// never returned. A damaged record inside is skipped, and the damaged file is kept beside the new
// one; see [Journal.Recovered]. A journal belongs to one process: a second one is refused on Linux.
// The methods are safe for concurrent use.
type Journal struct {
	path      string
	salt      []byte // of the file's checksums
	lock      *os.File
	recovered Recovery
	writer    sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	f      *os.File
	size   int64
	live   int64 // bytes of the records that are in force
	held   map[netip.Addr]string
	next   *batch // to be written; nil = none
	busy   bool   // a batch is being written
	broken error  // a write failed, so that the file may have less or more than was answered
	closed bool
}

// batch holds the records of one write and one sync.
type batch struct {
	buf  []byte
	undo []undo // of its changes, in order
	done chan struct{}
	err  error // valid after done
}

// undo is the state of an address before a change.
type undo struct {
	addr netip.Addr
	key  string
	held bool
}

// Recovery holds what opening a journal had to repair.
type Recovery struct {
	Torn    int64  // bytes cut off at the end
	Skipped int64  // damaged bytes inside; what they said is lost
	Kept    string // name of the damaged file; "" = nothing was skipped
}

// compactAt is the size below which a journal is not rewritten: that would cost more than the
// space.
const compactAt = 1 << 18

// OpenJournal opens the journal at path, or creates an empty one. The directory must exist. An
// error wraps the error of the file system, or reports that another process has the journal open.
func OpenJournal(path string) (*Journal, error) {
	j := &Journal{path: path}
	if err := j.open(); err != nil {
		for _, f := range []*os.File{j.lock, j.f} {
			if f != nil {
				f.Close()
			}
		}
		return nil, fmt.Errorf("ipam: journal %s: %w", path, err)
	}
	return j, nil
}

func (j *Journal) open() (err error) {
	// A file of its own, since the journal's is replaced.
	if j.lock, err = os.OpenFile(j.path+".lock", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := lockFile(j.lock); err != nil {
		return err
	}
	text, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	read, err := readJournal(text)
	if err != nil {
		return err
	}
	j.held, j.salt = read.held, read.salt
	j.recovered = Recovery{Torn: read.torn, Skipped: read.skipped}
	if read.skipped > 0 {
		if j.recovered.Kept, err = damaged.MoveAside(j.path); err != nil {
			return err
		}
	}
	if read.skipped > 0 || read.torn > 0 || len(text) == 0 {
		return j.rewrite() // what was cut off must not be in front of what is appended
	}
	j.size, j.live = int64(len(text)), read.live
	j.f, err = os.OpenFile(j.path, os.O_WRONLY, 0)
	return err
}

// Recovered returns what had to be repaired when the journal was opened.
func (j *Journal) Recovered() Recovery { return j.recovered }

// Insert implements Ledger.
func (j *Journal) Insert(ctx context.Context, addr netip.Addr, key string) error {
	if !addr.IsValid() || addr.Zone() != "" {
		return fmt.Errorf("ipam: journal: %q is not an address without a zone", addr)
	}
	if len(key) > maxKey {
		return fmt.Errorf("ipam: journal: the key of %s has %d bytes; at most %d are kept", addr, len(key), maxKey)
	}
	addr = addr.Unmap()
	return j.change(ctx, addr, func() ([]byte, error) {
		if holder, ok := j.held[addr]; ok {
			return nil, fmt.Errorf("ipam: address %s is held by %q: %w", addr, holder, fs.ErrExist)
		}
		j.held[addr] = key
		j.live += recordLen(addr, key)
		return appendRecord(nil, j.salt, opInsert, addr, key), nil
	})
}

// Delete implements Ledger.
func (j *Journal) Delete(ctx context.Context, addr netip.Addr) error {
	addr = addr.Unmap()
	return j.change(ctx, addr, func() ([]byte, error) {
		key, ok := j.held[addr]
		if !ok {
			return nil, fmt.Errorf("ipam: address %s is not held: %w", addr, fs.ErrNotExist)
		}
		delete(j.held, addr)
		j.live -= recordLen(addr, key)
		return appendRecord(nil, j.salt, opDelete, addr, ""), nil
	})
}

// change applies a change of one address and waits until its record is on disk. A call that ctx
// ends changes nothing: once the record is to be written, the call waits for that.
func (j *Journal) change(ctx context.Context, addr netip.Addr, apply func() ([]byte, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	if err := j.ready(); err != nil {
		j.mu.Unlock()
		return fmt.Errorf("ipam: journal %s: %w", j.path, err)
	}
	key, held := j.held[addr]
	record, err := apply()
	if err != nil {
		j.mu.Unlock()
		return err
	}
	if j.next == nil {
		j.next = &batch{done: make(chan struct{})}
	}
	b := j.next
	b.buf, b.undo = append(b.buf, record...), append(b.undo, undo{addr, key, held})
	if !j.busy {
		j.busy = true
		j.writer.Go(j.write)
	}
	j.mu.Unlock()
	<-b.done
	if b.err != nil {
		return fmt.Errorf("ipam: journal %s: %w", j.path, b.err)
	}
	return nil
}

// ready reports why nothing can be changed, and repairs the file after a failed write. j.mu is
// held.
func (j *Journal) ready() error {
	if j.closed {
		return os.ErrClosed
	}
	if j.broken == nil || j.busy {
		return j.broken
	}
	was := j.broken
	if err := j.rewrite(); err != nil {
		return errors.Join(err, was)
	}
	return nil
}

// write writes batches until none is left.
func (j *Journal) write() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.next != nil {
		b, f, at := j.next, j.f, j.size
		j.next = nil
		j.mu.Unlock() // the next batch fills meanwhile
		_, err := f.WriteAt(b.buf, at)
		if err == nil {
			err = syncData(f)
		}
		j.mu.Lock()
		if err != nil {
			j.fail(err, b)
			break
		}
		j.size += int64(len(b.buf))
		close(b.done)
		if j.next == nil && j.size > compactAt && j.size > 2*j.live {
			_ = j.rewrite() // nothing waits; after an error the old file stays in use
		}
	}
	j.busy = false
}

// fail takes the changes of a batch back, and first those that were made on top of them. j.mu is
// held.
func (j *Journal) fail(err error, b *batch) {
	j.broken = err
	failed := []*batch{b}
	if j.next != nil {
		failed, j.next = []*batch{j.next, b}, nil
	}
	for _, b := range failed {
		for i := len(b.undo) - 1; i >= 0; i-- {
			u := b.undo[i]
			if key, ok := j.held[u.addr]; ok {
				j.live -= recordLen(u.addr, key)
				delete(j.held, u.addr)
			}
			if u.held {
				j.held[u.addr] = u.key
				j.live += recordLen(u.addr, u.key)
			}
		}
		b.err = err
		close(b.done)
	}
}

// rewrite replaces the file by one that has only what is held. With an error the old file stays in
// use, or the journal is marked as broken. j.mu is held, or the journal is being opened.
func (j *Journal) rewrite() error {
	salt := make([]byte, saltLen)
	rand.Read(salt)
	text := append([]byte(fileHeader), salt...)
	start := len(text)
	for addr, key := range j.held {
		text = appendRecord(text, salt, opInsert, addr, key)
	}
	f, err := atomicfile.Replace(j.path, text)
	if f == nil {
		return err
	}
	if j.f != nil {
		j.f.Close()
	}
	j.f, j.salt, j.size, j.live = f, salt, int64(len(text)), int64(len(text)-start)
	j.broken = err // the directory could not be synced, so the old file may return after a power cut
	return err
}

// Holder implements Ledger.
func (j *Journal) Holder(_ context.Context, addr netip.Addr) (string, error) {
	addr = addr.Unmap()
	j.mu.Lock()
	defer j.mu.Unlock()
	key, ok := j.held[addr]
	if !ok {
		return "", fmt.Errorf("ipam: address %s is not held: %w", addr, fs.ErrNotExist)
	}
	return key, nil
}

// Len returns how many addresses are held.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.held)
}

// Addrs implements Lister, on a snapshot.
func (j *Journal) Addrs(_ context.Context, p netip.Prefix) iter.Seq2[netip.Addr, error] {
	j.mu.Lock()
	var held []netip.Addr
	for a := range j.held {
		if p.Contains(a) {
			held = append(held, a)
		}
	}
	j.mu.Unlock()
	return func(yield func(netip.Addr, error) bool) {
		for _, a := range held {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// Close waits for what is being written and closes the file. The journal cannot be changed
// afterwards. Close may be called more than once.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	if closed {
		return nil
	}
	j.writer.Wait()
	return errors.Join(j.f.Close(), j.lock.Close())
}
