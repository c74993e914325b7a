package rack

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// connected runs in each session with a region: it counts the session and reports the rack's
// health.
func (r *Rack) connected(ctx context.Context, conn rpc.Conn) error {
	r.sessions.Add(1)
	defer r.sessions.Add(-1)
	defer r.region.use(conn)()
	if r.cfg.Connected == nil {
		r.reportHealth(ctx, conn)
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var reporting sync.WaitGroup
	reporting.Go(func() { r.reportHealth(ctx, conn) })
	defer reporting.Wait()
	defer cancel()
	return r.cfg.Connected(ctx, conn)
}

// lookAtHealth is the interval at which a session looks for changes of the rack's health.
const lookAtHealth = 5 * time.Second

// reportHealth reports the rack's health to the region of a session when it changes, and every
// [register.ReportEvery], until ctx ends.
func (r *Rack) reportHealth(ctx context.Context, conn rpc.Conn) {
	ticker := time.NewTicker(lookAtHealth)
	defer ticker.Stop()
	var last inventory.RackReport
	var at time.Time
	for {
		now := r.Report()
		if time.Since(at) >= register.ReportEvery || !slices.Equal(last.Services, now.Services) {
			_, err := rpc.Do[register.Answer](ctx, conn, register.HealthMethod, now)
			switch {
			case err == nil:
				last, at = now, time.Now()
			case errors.Is(err, rpc.ErrUnknownMethod):
				return // an older region
			case ctx.Err() == nil:
				r.log.Debug("health report refused", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
