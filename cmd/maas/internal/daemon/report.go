package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/gomaas/maas/cmd/maas/region/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// reporting is what a rack has told in a session of how it does.
type reporting struct {
	last inventory.RackReport
	at   time.Time
	mute bool // the region is too old to know
}

// report tells how the rack does when that has changed, and now and then.
func (r *reporting) report(ctx context.Context, conn rpc.Conn, now inventory.RackReport, log *slog.Logger) {
	if r.mute || time.Since(r.at) < register.ReportEvery && slices.Equal(r.last.Services, now.Services) {
		return
	}
	_, err := rpc.Do[register.Answer](ctx, conn, register.HealthMethod, now)
	switch {
	case err == nil:
		r.last, r.at = now, time.Now()
	case errors.Is(err, rpc.ErrUnknownMethod):
		r.mute = true
	case ctx.Err() == nil:
		log.Debug("the region does not take the rack's report", "err", err)
	}
}
