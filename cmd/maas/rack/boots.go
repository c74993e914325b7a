package rack

import (
	"context"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
)

// leaseEvent runs for each lease change before the server answers the client, so that the name of a
// client resolves as soon as the client has its address.
func (r *Rack) leaseEvent(e dhcpsrv.Event) {
	r.names.event(e)
	if e.Partner == "" { // the failover partner reports its own changes
		r.facts.lease(e)
	}
}

// offered runs when DHCP names a boot file to a machine: in the offer and in the acknowledgement.
func (r *Rack) offered(c pxe.Client, o pxe.Offer) {
	r.clients.Remember(c)
	e := o.Event(c, time.Now())
	r.facts.boot(e)
	r.boots.add(e)
}

// booted counts a transfer and reports it to the region.
func (r *Rack) booted(e pxe.Event) {
	result := "ok"
	switch {
	case e.Err != "":
		result = "failed"
	case e.Absent:
		result = "absent"
	case e.Probe:
		result = "size"
	}
	by := []string{e.Proto, string(e.Stage), result}
	r.transfers.count.WithLabelValues(by...).Inc()
	r.transfers.bytes.WithLabelValues(by...).Add(float64(e.Bytes))
	r.transfers.took.WithLabelValues(by...).Observe(e.Duration.Seconds())
	r.retransmits.Add(uint64(e.Retransmits))
	r.facts.boot(e)
	r.boots.add(e)
}

// silently marks the context of an explanation, whose answers must not count as a boot.
type silently struct{}

// boots selects boot files: heard for machines, whose boots are recorded, and silent for
// explanations.
type boots struct{ heard, silent dhcpsrv.BootSelector }

// SelectBoot implements dhcpsrv.BootSelector.
func (b boots) SelectBoot(ctx context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	if ctx.Value(silently{}) != nil {
		return b.silent.SelectBoot(ctx, q)
	}
	return b.heard.SelectBoot(ctx, q)
}
