package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/internal/record"
)

// fileHeader begins the file.
const fileHeader = "gomaas leases 1\n"

// compactAt is the size below which a journal is not compacted: a rewrite would cost more than the
// space.
const compactAt = 1 << 20

// Journal is a [dhcpsrv.LeaseStore] in one file. Records are appended and synced, one sync for a
// whole batch, and the file is rewritten in the background when more than half of it is out of
// date.
//
// After a crash a torn record at the end is cut off: it belongs to a commit that never returned. A
// damaged record inside is skipped, and the records after it are kept. Two more files exist next to
// path: with ".new" appended during a rewrite, and with ".partners" for the data of failover.Store.
//
// A journal belongs to one process: a second one is refused. Its methods are safe for concurrent
// use.
type Journal struct {
	path      string
	recovered Recovery
	compactor sync.WaitGroup

	mu         sync.Mutex
	f          *os.File
	size       int64
	index      *index // the latest record of each address, by record.Key
	live       int64  // bytes of the records in index
	buf        []byte
	places     []place // of the batch in buf
	compacting bool
	changed    []netip.Addr // since the current compaction began
	broken     error        // a write or sync failed, so that the file may lack committed bytes
	closed     bool

	syncDir func(path string) error // tests let it fail
}

// place is the position of a record.
type place struct {
	off int64
	len int32
}

// Recovery holds what opening a journal had to repair.
type Recovery struct {
	Torn    int64 // bytes cut off at the end
	Skipped int64 // damaged bytes inside
}

// Open opens the journal at path, or creates an empty one. The directory must exist. The error
// wraps the error of the file system, or reports that another process has the journal open.
func Open(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	j := &Journal{path: path, f: f, index: newIndex(), syncDir: syncDir}
	if err := j.open(); err != nil {
		f.Close()
		return nil, fmt.Errorf("journal: open %s: %w", path, err)
	}
	return j, nil
}

func (j *Journal) open() error {
	if err := lockFile(j.f); err != nil {
		return err
	}
	os.Remove(j.path + ".new") // of a compaction that a crash ended
	info, err := j.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < int64(len(fileHeader)) {
		return j.create(info.Size())
	}
	j.size, j.recovered.Skipped, err = scan(j.f, 1<<62, func(h *record.Head, _ []byte, p place) bool {
		j.note(h.Key(), p)
		return true
	})
	if err != nil {
		return err
	}
	if j.recovered.Torn = info.Size() - j.size; j.recovered.Torn > 0 {
		return j.f.Truncate(j.size)
	}
	return nil
}

// create writes the header of a new file, or of one that a crash left without it.
func (j *Journal) create(size int64) error {
	have := make([]byte, size)
	if _, err := j.f.ReadAt(have, 0); err != nil && err != io.EOF {
		return err
	}
	if string(have) != fileHeader[:size] {
		return errors.New("not a lease journal")
	}
	if _, err := j.f.WriteAt([]byte(fileHeader), 0); err != nil {
		return err
	}
	j.size = int64(len(fileHeader))
	return errors.Join(j.f.Sync(), syncDir(filepath.Dir(j.path)))
}

// note enters the position of the latest record of an address.
func (j *Journal) note(a netip.Addr, p place) {
	j.live += int64(p.len) - int64(j.index.get(a).len)
	j.index.set(a, p)
}

// scan calls yield for every record before limit, in the order of the file, and returns the end of
// the last record and the number of damaged bytes between records. Both arguments of yield are
// valid until it returns.
func scan(f io.ReaderAt, limit int64, yield func(h *record.Head, raw []byte, p place) bool) (end, skipped int64, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, limit), 1<<18)
	header := make([]byte, len(fileHeader))
	if _, err := io.ReadFull(r, header); err != nil || string(header) != fileHeader {
		return 0, 0, errors.Join(err, errors.New("not a lease journal, or of a version this program does not know"))
	}
	end = int64(len(header))
	var h record.Head // one for all records: it escapes through yield
	for off, bad := end, int64(0); ; {
		head, err := r.Peek(record.HeaderLen)
		if len(head) == 0 {
			return end, skipped, ignoreEOF(err)
		}
		n := record.Len(head)
		b, _ := r.Peek(max(n, 1))
		if h, _, err = record.Parse(b); err != nil {
			// Look for the next record byte by byte, since the length in a damaged header cannot be
			// trusted. If there is none, this was a torn tail.
			r.Discard(1)
			off++
			bad++
			continue
		}
		skipped += bad
		bad = 0
		if !yield(&h, b[:n], place{off, int32(n)}) {
			return end, skipped, nil
		}
		r.Discard(n)
		off += int64(n)
		end = off
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// Recovered returns what had to be repaired when the journal was opened.
func (j *Journal) Recovered() Recovery { return j.recovered }

// Load implements [dhcpsrv.LeaseStore].
func (j *Journal) Load(ctx context.Context) iter.Seq2[dhcpsrv.Lease, error] {
	return func(yield func(dhcpsrv.Lease, error) bool) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.closed {
			yield(dhcpsrv.Lease{}, os.ErrClosed)
			return
		}
		_, _, err := scan(j.f, 1<<62, func(h *record.Head, raw []byte, p place) bool {
			if j.index.get(h.Key()) != p {
				return true
			}
			var l dhcpsrv.Lease
			if l.UnmarshalBinary(raw) != nil {
				return true // right checksum, wrong fields: lost like a damaged record
			}
			return ctx.Err() == nil && yield(l, nil)
		})
		if err = errors.Join(err, ctx.Err()); err != nil {
			yield(dhcpsrv.Lease{}, err)
		}
	}
}

// Commit implements [dhcpsrv.LeaseStore]: one write and one sync for the batch.
func (j *Journal) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return fmt.Errorf("journal: %s: %w", j.path, os.ErrClosed)
	}
	if j.broken != nil {
		if err := j.repair(); err != nil {
			return fmt.Errorf("journal: %s: %w (after: %v)", j.path, err, j.broken)
		}
	}
	if err := j.append(batch); err != nil {
		j.broken = err
		return fmt.Errorf("journal: %s: %w", j.path, err)
	}
	if j.size > compactAt && j.size > 2*j.live && !j.compacting {
		j.compacting, j.changed = true, nil
		j.compactor.Go(j.compact)
	}
	return nil
}

func (j *Journal) append(batch []dhcpsrv.Lease) error {
	j.buf, j.places = j.buf[:0], j.places[:0]
	for i := range batch {
		start := len(j.buf)
		j.buf, _ = batch[i].AppendBinary(j.buf) // never fails
		j.places = append(j.places, place{j.size + int64(start), int32(len(j.buf) - start)})
	}
	if _, err := j.f.WriteAt(j.buf, j.size); err != nil {
		return err
	}
	if err := syncData(j.f); err != nil {
		return err
	}
	j.size += int64(len(j.buf))
	for i := range batch {
		key := record.Key(batch[i].Addr, batch[i].VRF)
		j.note(key, j.places[i])
		if j.compacting {
			j.changed = append(j.changed, key)
		}
	}
	return nil
}

// LoadPartners implements failover.Store.
func (j *Journal) LoadPartners(context.Context) ([]byte, error) {
	return os.ReadFile(j.path + ".partners")
}

// SavePartners implements failover.Store.
func (j *Journal) SavePartners(_ context.Context, data []byte) error {
	path := j.path + ".partners"
	if err := renameio.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path)) // renameio syncs the file, but not its name
}

// Close waits for a compaction in progress and closes the file. The journal cannot be used
// afterwards.
func (j *Journal) Close() error {
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	j.compactor.Wait()
	if closed {
		return nil
	}
	return j.f.Close()
}

// outdated reports whether a record is not worth keeping: a declined address whose time is over.
func outdated(h *record.Head, now time.Time) bool {
	return dhcpsrv.LeaseState(h.State) == dhcpsrv.Declined && h.End < now.UnixNano()
}
