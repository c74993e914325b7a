package rack

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// facts moves reports of the servers to the outbox without delaying the servers.
type facts struct {
	outbox *rpc.Outbox
	disk   *disk
	log    *slog.Logger
	queue  chan fact
	// lost is set when the queue was full for a lease. Leases are not lost for good: all leases are
	// then reported again.
	lost atomic.Bool
}

type fact struct {
	kind  string
	value any
}

// factQueue is the number of facts that wait for the disk; factBatch is the number that share one
// write.
const (
	factQueue = 8192
	factBatch = 256
)

func newFacts(outbox *rpc.Outbox, disk *disk, log *slog.Logger) *facts {
	return &facts{outbox: outbox, disk: disk, log: log, queue: make(chan fact, factQueue)}
}

// lease queues a lease. If the queue is full, all leases are reported later.
func (f *facts) lease(e dhcpsrv.Event) {
	select {
	case f.queue <- fact{dhcprpc.FactKind, dhcprpc.FactOf(e)}:
	default:
		f.lost.Store(true)
	}
}

func (f *facts) boot(e pxe.Event) { f.offer(fact{pxerpc.FactKind, e}) }

func (f *facts) seen(e discovery.Event) { f.offer(fact{discoveryrpc.FactKind, discoveryrpc.FactOf(e)}) }

// offer queues a fact, or drops it when the queue is full: a boot or an observation is worth less
// than a prompt answer to a machine.
func (f *facts) offer(o fact) {
	select {
	case f.queue <- o:
	default:
	}
}

// report puts all leases into the outbox, as after a start: the rack may have stopped between the
// write of a lease and the write of its fact.
func (f *facts) report(all iter.Seq[dhcpsrv.Lease]) {
	var batch []any
	for l := range all {
		kind := dhcpsrv.Expired
		if l.State == dhcpsrv.Bound {
			kind = dhcpsrv.Renewed
		}
		batch = append(batch, dhcprpc.FactOf(dhcpsrv.Event{Kind: kind, Lease: l}))
		if len(batch) == factBatch {
			f.add(dhcprpc.FactKind, batch)
			batch = nil
		}
	}
	if len(batch) > 0 {
		f.add(dhcprpc.FactKind, batch)
	}
}

// run reports all leases, and then writes facts until ctx ends and the queue is empty.
func (f *facts) run(ctx context.Context, all func() iter.Seq[dhcpsrv.Lease]) {
	f.report(all())
	for {
		select {
		case first := <-f.queue:
			f.write(first)
		case <-ctx.Done():
			for len(f.queue) > 0 {
				f.write(<-f.queue)
			}
			return
		}
		if len(f.queue) == 0 && f.lost.Swap(false) {
			f.report(all())
		}
	}
}

// write stores the fact and the queued facts of the same kind behind it by one write and one sync.
func (f *facts) write(next fact) {
	for {
		kind, values, rest := next.kind, []any{next.value}, (*fact)(nil)
		for len(values) < factBatch && rest == nil && len(f.queue) > 0 {
			if more := <-f.queue; more.kind == kind {
				values = append(values, more.value)
			} else {
				rest = &more
			}
		}
		f.add(kind, values)
		if rest == nil {
			return
		}
		next = *rest
	}
}

// add pauses after a failure, since a full disk does not recover faster by more attempts.
func (f *facts) add(kind string, values []any) {
	err := f.disk.note(writesFacts, f.outbox.Add(kind, values...))
	if err == nil {
		return
	}
	f.log.Error("facts not stored", "kind", kind, "count", len(values), "err", err)
	if kind == dhcprpc.FactKind {
		f.lost.Store(true)
	}
	time.Sleep(100 * time.Millisecond)
}
