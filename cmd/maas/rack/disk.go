package rack

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/journal"
)

// disk has the errors of the last writes, by what was written. A rack with a full disk answers DNS
// and boots as before, so that nothing but this shows why leases are not acknowledged.
type disk struct {
	mu     sync.Mutex // guards failed
	failed map[string]string
}

// What a rack writes while it runs.
const (
	writesLeases = "lease journal"
	writesFacts  = "outbox of facts"
	writesImages = "list of images"
)

// note records the result of a write.
func (d *disk) note(what string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		delete(d.failed, what)
	case d.failed == nil:
		d.failed = map[string]string{what: err.Error()}
	default:
		d.failed[what] = err.Error()
	}
	return err
}

// errors returns the errors of writes that have not succeeded since.
func (d *disk) errors() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.failed)
}

// leaseStore is the journal with its write errors noted.
type leaseStore struct {
	*journal.Journal
	disk *disk
}

func (s leaseStore) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	return s.disk.note(writesLeases, s.Journal.Commit(ctx, batch))
}

func (s leaseStore) Shift(ctx context.Context, by time.Duration) error {
	return s.disk.note(writesLeases, s.Journal.Shift(ctx, by))
}
