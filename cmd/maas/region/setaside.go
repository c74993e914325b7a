package region

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// takeOneByOne records each fact in a transaction of its own, so that one that makes its
// transaction fail takes no other along. Such a fact is set aside if the database works without it.
func (r *Region) takeOneByOne(ctx context.Context, rack string, facts []rpc.Fact) error {
	for _, f := range facts {
		err := r.takeBatch(ctx, rack, []rpc.Fact{f})
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		err = r.inv.Atomically(ctx, func(ctx context.Context) error {
			if _, err := r.onlyNew(ctx, rack, []rpc.Fact{f}); err != nil {
				return err
			}
			return r.setAside(ctx, rack, f, err)
		})
		if err != nil {
			return err
		}
	}
	r.stuck.forget(rack)
	return nil
}

// setAside records that a fact was not applied.
func (r *Region) setAside(ctx context.Context, rack string, f rpc.Fact, why error) error {
	r.refusals.Warn("fact refused", "rack", rack, "kind", f.Kind, "revision", f.Seq, "err", why)
	if !r.asides.Take(rack) {
		return nil // a rack of another version may send thousands
	}
	return r.inv.Events.Add(ctx, inventory.Event{
		Time: time.Now(), Kind: "rack", Level: "warning",
		Description: fmt.Sprintf("a report of rack %s (%s, number %d) was set aside: %.200s", rack, f.Kind, f.Seq, why),
	})
}

// asidesOf is the rate of events about facts of one rack that were set aside.
var asidesOf = bounds.Rate{Burst: 5, Every: time.Minute}

// stuck counts how often the same batch of a rack failed. It may be used concurrently.
type stuck struct {
	mu    sync.Mutex // guards batch
	batch map[string]failedBatch
}

type failedBatch struct {
	outbox string
	first  uint64
	times  int
}

// oftenStuck is the number of failures after which a batch is taken one by one. A database that is
// restarted, or a transaction that lost against another, fails less often.
const oftenStuck = 3

// again notes another failure of the batch that begins with a fact. It reports whether there were
// many.
func (s *stuck) again(rack string, first rpc.Fact) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.batch == nil {
		s.batch = make(map[string]failedBatch)
	}
	b := s.batch[rack]
	if b.outbox != first.Outbox || b.first != first.Seq {
		b = failedBatch{outbox: first.Outbox, first: first.Seq}
	}
	b.times++
	s.batch[rack] = b
	return b.times >= oftenStuck
}

func (s *stuck) forget(rack string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.batch, rack)
}
