package journal_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcptest"
	"github.com/gomaas/maas/dhcpsrv/journal"
)

func openJournal(t testing.TB, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestJournal(t *testing.T) {
	dhcptest.Run(t, func(t *testing.T) dhcptest.Harness { return journalHarness(t) })
}

func BenchmarkJournal(b *testing.B) {
	dhcptest.Benchmark(b, func(b *testing.B) dhcptest.Harness { return journalHarness(b) })
}

// journalHarness reopens a copy of the file, as a crash leaves it: the journal in use is not closed.
func journalHarness(t testing.TB) dhcptest.Harness {
	path := filepath.Join(t.TempDir(), "leases")
	return dhcptest.Harness{Store: openJournal(t, path), Reopen: func() dhcpsrv.LeaseStore {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(t.TempDir(), "leases")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return openJournal(t, path)
	}}
}

func journalLease(i byte, end time.Time) dhcpsrv.Lease {
	return dhcpsrv.Lease{Addr: netip.MustParseAddr("192.0.2.100").Next(), State: dhcpsrv.Bound, MAC: []byte{2, 0, 0, 0, 0, i}, Subnet: "office", Start: end, End: end}
}

// TestJournalTornTail cuts the file at every length: commits before the cut record are kept, and
// the journal goes on.
func TestJournalTornTail(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "leases")
	j := openJournal(t, path)
	var ends []int64 // of the file after each commit
	a := netip.MustParseAddr("192.0.2.1")
	for i := range 4 {
		l := journalLease(byte(i), time.Unix(1e9, 0))
		l.Addr = a
		a = a.Next()
		if err := j.Commit(context.Background(), []dhcpsrv.Lease{l}); err != nil {
			t.Fatal(err)
		}
		info, _ := os.Stat(path)
		ends = append(ends, info.Size())
	}
	whole, _ := os.ReadFile(path)
	for n := range whole {
		cut := filepath.Join(dir, "cut")
		if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(cut)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		want := 0
		for _, end := range ends {
			if end <= int64(n) {
				want++
			}
		}
		if got := count(t, j); got != want {
			t.Errorf("cut at %d: %d leases, want %d", n, got, want)
		}
		l := journalLease(9, time.Unix(1e9, 0))
		l.Addr = netip.MustParseAddr("192.0.2.99")
		if err := j.Commit(context.Background(), []dhcpsrv.Lease{l}); err != nil || count(t, j) != want+1 {
			t.Errorf("cut at %d: commit afterwards: %v", n, err)
		}
		j.Close()
	}
}

func count(t testing.TB, s dhcpsrv.LeaseStore) (n int) {
	t.Helper()
	for _, err := range s.Load(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestJournalDamage flips every byte in turn: at most the lease it belongs to is lost.
func TestJournalDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "leases")
	j := openJournal(t, path)
	header, _ := os.Stat(path)
	a := netip.MustParseAddr("192.0.2.1")
	for i := range 4 {
		l := journalLease(byte(i), time.Unix(1e9, 0))
		l.Addr = a
		a = a.Next()
		if err := j.Commit(context.Background(), []dhcpsrv.Lease{l}); err != nil {
			t.Fatal(err)
		}
	}
	whole, _ := os.ReadFile(path)
	for i := int(header.Size()); i < len(whole); i++ {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 0x55
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(bad)
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		if r := j.Recovered(); count(t, j) != 3 || r.Skipped+r.Torn == 0 {
			t.Errorf("byte %d: %d leases, %+v", i, count(t, j), r)
		}
		j.Close()
	}
}

func TestJournalCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j := openJournal(t, path)
	ctx := context.Background()
	batch := make([]dhcpsrv.Lease, 200)
	for round := range 200 {
		a := netip.MustParseAddr("10.0.0.1")
		for i := range batch {
			batch[i] = journalLease(byte(round), time.Unix(int64(round), 0))
			batch[i].Addr = a
			a = a.Next()
		}
		if err := j.Commit(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	info, err := os.Stat(path)
	if err != nil || info.Size() > 2<<20 {
		t.Errorf("journal of 200 leases: %v %v", info.Size(), err)
	}
	j = openJournal(t, path)
	n := 0
	for l, err := range j.Load(ctx) {
		if err != nil || l.End.Unix() != 199 {
			t.Fatalf("%v %+v", err, l)
		}
		n++
	}
	if n != 200 || j.Recovered() != (journal.Recovery{}) {
		t.Errorf("%d leases, %+v", n, j.Recovered())
	}
}

// A journal that has its new file in place has moved the times, and says so, even when the directory cannot be synced;
// commits fail until it can.
func TestJournalShiftedButNotSynced(t *testing.T) {
	ctx := context.Background()
	j := openJournal(t, filepath.Join(t.TempDir(), "leases"))
	l := journalLease(1, time.Unix(1e9, 0))
	if err := j.Commit(ctx, []dhcpsrv.Lease{l}); err != nil {
		t.Fatal(err)
	}
	j.FailSyncDir(errors.New("no sync"))
	if err := j.Shift(ctx, time.Hour); err != nil {
		t.Errorf("moved, and yet: %v", err)
	}
	for l, err := range j.Load(ctx) {
		if err != nil || l.End.Unix() != 1e9+3600 {
			t.Errorf("%v %+v", err, l)
		}
	}
	if err := j.Commit(ctx, []dhcpsrv.Lease{l}); err == nil {
		t.Error("committed to a file that a power failure may take away")
	}
	j.FailSyncDir(nil)
	if err := j.Commit(ctx, []dhcpsrv.Lease{l}); err != nil || count(t, j) != 1 {
		t.Error(err)
	}
}

func TestJournalRefused(t *testing.T) {
	dir := t.TempDir()
	open := openJournal(t, filepath.Join(dir, "leases"))
	if _, err := journal.Open(filepath.Join(dir, "leases")); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("opened twice: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("no leases in here, but a long text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Open(filepath.Join(dir, "text")); err == nil || !strings.Contains(err.Error(), "not a lease journal") {
		t.Errorf("opened a text: %v", err)
	}
	if _, err := journal.Open(filepath.Join(dir, "none", "leases")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory missing: %v", err)
	}
	open.Close()
	if err := open.Commit(context.Background(), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
}
