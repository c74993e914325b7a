package dhcpsrv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// rewrite is a journal file being written anew. It keeps what its source holds up to a point; what is appended there
// meanwhile is copied at the end.
type rewrite struct {
	f     *os.File
	w     *bufio.Writer
	size  int64
	moved map[int64]int64 // places in the source of the records kept -> places here
	buf   []byte
}

// compact writes the journal anew while commits go on; only the last step, which copies what they appended, holds them up.
func (j *Journal) compact() {
	j.mu.Lock()
	from, places, src := j.size, j.sortedPlaces(), j.f
	j.mu.Unlock()
	w, err := j.rewrite(src, places)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.compacting = false
	if err == nil && j.broken == nil {
		err = j.swap(w, from)
	}
	if w != nil && j.f != w.f {
		w.f.Close()
	}
	if err != nil {
		os.Remove(j.path + ".new") // the old file goes on; the next commit tries again
	}
}

// repair replaces a file that cannot be trusted by a new one with all that had been committed. The caller holds j.mu.
func (j *Journal) repair() error {
	if j.compacting {
		return errors.New("being written anew")
	}
	w, err := j.rewrite(j.f, j.sortedPlaces())
	if err == nil {
		err = j.swap(w, j.size)
	}
	if err != nil {
		if w != nil {
			w.f.Close()
		}
		return err
	}
	j.broken = nil
	return nil
}

func (j *Journal) sortedPlaces() []place {
	places := make([]place, 0, len(j.index))
	for _, p := range j.index {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int { return int(a.off - b.off) })
	return places
}

// rewrite copies the records at places into a new file.
func (j *Journal) rewrite(src io.ReaderAt, places []place) (*rewrite, error) {
	f, err := os.OpenFile(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w := &rewrite{f: f, w: bufio.NewWriterSize(f, 1<<18), moved: make(map[int64]int64, len(places))}
	if err := w.fill(src, places); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

func (w *rewrite) fill(src io.ReaderAt, places []place) error {
	if err := lockFile(w.f); err != nil {
		return err
	}
	w.write([]byte(journalHeader))
	now := time.Now()
	for _, p := range places {
		w.buf = slices.Grow(w.buf[:0], int(p.len))[:p.len]
		if _, err := src.ReadAt(w.buf, p.off); err != nil {
			return err
		}
		l, err := parseRecord(w.buf)
		if err != nil {
			return fmt.Errorf("record at %d: %w", p.off, err)
		}
		if outdated(&l, now) {
			continue
		}
		w.moved[p.off] = w.size
		w.write(w.buf)
	}
	if err := w.w.Flush(); err != nil { // reports the first error of all writes
		return err
	}
	return w.f.Sync()
}

func (w *rewrite) write(b []byte) {
	w.w.Write(b)
	w.size += int64(len(b))
}

// swap copies what the journal holds from the offset on and puts the new file in its place. The caller holds j.mu.
func (j *Journal) swap(w *rewrite, from int64) error {
	tail := w.size
	n, err := io.Copy(io.NewOffsetWriter(w.f, tail), io.NewSectionReader(j.f, from, j.size-from))
	if err == nil && n != j.size-from {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = w.f.Sync()
	}
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		return err
	}
	index := make(map[netip.Addr]place, len(j.index))
	j.live = 0
	for a, p := range j.index {
		off, kept := w.moved[p.off]
		if p.off >= from {
			off, kept = p.off-from+tail, true
		}
		if kept {
			index[a] = place{off, p.len}
			j.live += int64(p.len)
		}
	}
	j.f.Close()
	j.f, j.size, j.index = w.f, tail+n, index
	return syncDir(filepath.Dir(j.path))
}
