package region

import (
	"context"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// TaskHealth looks whether racks are still heard of.
const TaskHealth = "health"

const (
	healthEvery = 10 * time.Second
	// awayAfter is how long a rack may be silent: three of its reports.
	awayAfter = 3 * register.ReportEvery
)

// takeReport records how a rack does.
func (r *Region) takeReport(ctx context.Context, report inventory.RackReport) (register.Answer, error) {
	return register.Answer{}, r.inv.Health.Report(ctx, rpc.CallingRack(ctx), r.name, report)
}

// watchRacks notices racks that fall silent, until ctx ends. The time before it began says nothing: there may have been no
// region to report to.
func (r *Region) watchRacks(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if now.Sub(began) < awayAfter {
				continue
			}
			away, err := r.inv.Health.NoticeAway(ctx, now.Add(-awayAfter))
			r.try(ctx, "look for racks that are away", err)
			for _, name := range away {
				r.log.Warn("rack silent", "rack", name, "for", awayAfter)
			}
		}
	}
}
