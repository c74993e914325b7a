package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/internal/record"
)

// rewrite is a journal file that replaces another. It holds the records of its source up to a
// point; records that are appended meanwhile are copied at the end.
type rewrite struct {
	src   *os.File
	from  int64 // how much of src is in it
	f     *os.File
	w     *bufio.Writer
	size  int64
	index *index
	live  int64

	pause func(worked time.Duration) // called after each piece of work; nil = none
	old   *os.File                   // to close, once f has taken its place
}

// Bounds of the work that compaction does at a time, so that commits on the same processor hardly
// notice it.
const (
	rewriteBatch = 512       // records between two looks at the index
	smallTail    = 64 << 10  // bytes that may be copied while commits wait
	tailRounds   = 4         // attempts to get there
	rewriteWrite = 256 << 10 // bytes written at once
	rewriteShare = 4         // it works for one part of so many of the time
)

// compact rewrites the journal while commits go on. Only the last step, which copies the last few
// appended records, delays them.
func (j *Journal) compact() {
	j.mu.Lock()
	w := &rewrite{src: j.f, from: j.size, pause: j.pause}
	j.mu.Unlock()
	err := w.run(j.path+".new", 0, func(batch []kept) []kept {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.current(batch)
	})
	for range tailRounds {
		j.mu.Lock()
		end := j.size
		j.mu.Unlock()
		if err != nil || end-w.from < smallTail {
			break
		}
		err = w.copyTail(end)
	}
	j.mu.Lock()
	j.finish(w, err)
	j.compacting, j.changed = false, nil
	j.mu.Unlock()
	if w.old != nil {
		w.old.Close() // takes a while, since the file system frees its space
	}
}

// pause leaves the processor to packets, unless the journal is being closed: then nothing else
// wants it.
func (j *Journal) pause(worked time.Duration) {
	j.mu.Lock()
	closed := j.closed
	j.mu.Unlock()
	if !closed {
		time.Sleep((rewriteShare - 1) * worked)
	}
}

// Shift implements [dhcpsrv.ShiftStore]. It writes a new file, so that a crash leaves either all
// times moved or none.
func (j *Journal) Shift(ctx context.Context, by time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.compactor.Wait() // no other begins before the next commit
	j.mu.Lock()
	defer j.mu.Unlock()
	err := os.ErrClosed
	if !j.closed {
		err = j.rewriteAll(by)
	}
	if err != nil {
		return fmt.Errorf("journal: %s: move all times by %v: %w", j.path, by, err)
	}
	return nil
}

// repair replaces a file that a failed write or sync has made doubtful by a new one with all
// committed records. The caller holds j.mu.
func (j *Journal) repair() error {
	if j.compacting {
		return errors.New("being written anew")
	}
	if err := j.rewriteAll(0); err != nil {
		return err
	}
	return j.broken
}

// rewriteAll writes a new file while commits wait, and moves the times in it. After an error the
// old file stays in use. When the new file is in place but may not survive a power failure,
// j.broken is set. The caller holds j.mu.
func (j *Journal) rewriteAll(by time.Duration) error {
	w := &rewrite{src: j.f, from: j.size}
	err := j.finish(w, w.run(j.path+".new", by, j.current))
	if w.old != nil {
		w.old.Close() // no goroutine reads it now
	}
	return err
}

// kept is a record that may go into the new file.
type kept struct {
	key netip.Addr
	at  place
	raw []byte
}

// current keeps the records that are the latest of their address. The caller holds j.mu.
func (j *Journal) current(batch []kept) []kept {
	out := batch[:0]
	for _, k := range batch {
		if j.index.get(k.key) == k.at {
			out = append(out, k)
		}
	}
	return out
}

// run writes the records of the source that current leaves, with their times moved.
func (w *rewrite) run(path string, by time.Duration, current func([]kept) []kept) (err error) {
	if w.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return err
	}
	if err := lockFile(w.f); err != nil {
		return err
	}
	w.w, w.index = bufio.NewWriterSize(w.f, rewriteWrite), newIndex()
	w.write([]byte(fileHeader))
	if err := w.copyRecords(by, current); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil { // the first error of all writes
		return err
	}
	return w.f.Sync()
}

func (w *rewrite) copyRecords(by time.Duration, current func([]kept) []kept) error {
	now, began := time.Now(), time.Now()
	batch, raw := make([]kept, 0, rewriteBatch), make([]byte, 0, 64<<10)
	put := func() {
		w.put(current(batch))
		if batch, raw = batch[:0], raw[:0]; w.pause != nil {
			w.pause(time.Since(began))
			began = time.Now()
		}
	}
	_, _, err := scan(w.src, w.from, func(h *record.Head, b []byte, p place) bool {
		start := len(raw)
		if by == 0 {
			raw = append(raw, b...)
		} else {
			var l dhcpsrv.Lease
			if l.UnmarshalBinary(b) != nil {
				return true // as in Load
			}
			l.Start, l.End, h.End = l.Start.Add(by), l.End.Add(by), h.End+int64(by)
			if !l.Changed.IsZero() {
				l.Changed = l.Changed.Add(by)
			}
			raw, _ = l.AppendBinary(raw)
		}
		if !outdated(h, now) {
			batch = append(batch, kept{h.Key(), p, raw[start:]})
		}
		if len(batch) == cap(batch) {
			put()
		}
		return true
	})
	put()
	return err
}

// put writes records and records their places.
func (w *rewrite) put(batch []kept) {
	for _, k := range batch {
		w.index.set(k.key, place{w.size, int32(len(k.raw))})
		w.live += int64(len(k.raw))
		w.write(k.raw)
	}
}

func (w *rewrite) write(b []byte) {
	w.w.Write(b)
	w.size += int64(len(b))
}

// copyTail copies what was appended to the source up to end.
func (w *rewrite) copyTail(end int64) error {
	n, err := io.Copy(io.NewOffsetWriter(w.f, w.size), io.NewSectionReader(w.src, w.from, end-w.from))
	if err == nil && n != end-w.from {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	w.size, w.from = w.size+n, end
	return w.f.Sync()
}

// finish puts the new file in the place of the journal's, or removes it after an error: the old one
// stays in use, and the next commit tries again. The caller holds j.mu.
func (j *Journal) finish(w *rewrite, err error) error {
	if err == nil && j.compacting && j.broken != nil {
		err = j.broken
	}
	if err == nil {
		err = w.copyTail(j.size)
	}
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		if w.f != nil {
			w.f.Close()
			os.Remove(j.path + ".new")
		}
		return err
	}
	moved := w.size - j.size // of the records that were appended meanwhile
	for _, a := range j.changed {
		p := j.index.get(a)
		w.live += int64(p.len) - int64(w.index.get(a).len)
		w.index.set(a, place{p.off + moved, p.len})
	}
	w.old, j.f, j.size, j.index, j.live = j.f, w.f, w.size, w.index, w.live
	j.broken = j.syncDir(filepath.Dir(j.path)) // the next commit repairs it
	return nil
}
