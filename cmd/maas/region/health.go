package region

import (
	"context"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// TaskHealth is the task of noticing racks without reports.
const TaskHealth = "health"

const (
	healthEvery = 10 * time.Second
	// awayAfter is the silence after which a rack counts as away: three reports, so that a lost one
	// is no alarm.
	awayAfter = 3 * register.ReportEvery
)

// takeReport records the health report of a rack.
func (r *Region) takeReport(ctx context.Context, report inventory.RackReport) (register.Answer, error) {
	return register.Answer{}, r.inv.Health.Report(ctx, rpc.CallingRack(ctx), r.name, report)
}

// watchRacks notices racks that fall silent until ctx ends. It begins after awayAfter: during an
// outage of all regions racks had no region to report to.
func (r *Region) watchRacks(ctx context.Context) error {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			// After a change of the leader too: the last one may have been cut off from the racks.
			if now.Sub(began) < awayAfter {
				continue
			}
			away, err := r.inv.Health.NoticeAway(ctx, now.Add(-awayAfter))
			r.try(ctx, "look for racks that are away", err)
			for _, name := range away {
				r.log.Warn("rack silent", "rack", name, "took", awayAfter)
			}
		}
	}
}
