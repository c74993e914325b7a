package simulate

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
)

var (
	errDead = errors.New("simulated: the process ended")
	errFull = errors.New("simulated: no space left on device")
)

// disk is the disk on which a rack keeps its leases. It outlives the rack's crashes.
type disk struct {
	mem  dhcpsrv.MemStore
	lies bool // acknowledges leases without storing them; a fault that tests plant

	mu   sync.Mutex
	full bool
}

func (d *disk) fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

// leases returns what a crash would leave on the disk.
func (d *disk) leases() (all []dhcpsrv.Lease) {
	for l := range d.mem.Load(context.Background()) {
		all = append(all, l)
	}
	return all
}

// mount is a disk as one life of a rack sees it: nothing is written after its end.
type mount struct {
	disk *disk
	life *life
}

func (m mount) writable() error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	switch {
	case m.life.over():
		return errDead
	case m.disk.full:
		return errFull
	}
	return nil
}

func (m mount) Load(ctx context.Context) iter.Seq2[dhcpsrv.Lease, error] { return m.disk.mem.Load(ctx) }

func (m mount) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	time.Sleep(syncTime)
	if err := m.writable(); err != nil || m.disk.lies {
		return err
	}
	return m.disk.mem.Commit(ctx, batch)
}

func (m mount) Shift(ctx context.Context, by time.Duration) error {
	if err := m.writable(); err != nil {
		return err
	}
	return m.disk.mem.Shift(ctx, by)
}

func (m mount) LoadPartners(ctx context.Context) ([]byte, error) { return m.disk.mem.LoadPartners(ctx) }

func (m mount) SavePartners(ctx context.Context, data []byte) error {
	if err := m.writable(); err != nil {
		return err
	}
	return m.disk.mem.SavePartners(ctx, data)
}

// syncTime passes until a write is on the simulated disk.
const syncTime = time.Millisecond

// life is one life of a process.
type life struct {
	ctx  context.Context
	stop context.CancelFunc
	mu   sync.Mutex
	dead bool
	done chan struct{} // closed when all of it has ended
	err  error         // of its end; valid after done
}

func newLife() *life {
	l := &life{done: make(chan struct{})}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// kill makes everything that the process does from now on without effect.
func (l *life) kill() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	l.stop()
}
