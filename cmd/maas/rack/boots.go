package rack

import (
	"context"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
)

// leaseEvent runs for each lease change, before the client hears of it: the name answers first.
func (r *Rack) leaseEvent(e dhcpsrv.Event) {
	r.names.event(e)
	if e.Partner == "" { // the other rack reports its own
		r.facts.lease(e)
	}
}

// offered runs when DHCP tells a machine what to load, in the offer and in the acknowledgement.
func (r *Rack) offered(c pxe.Client, o pxe.Offer) {
	r.clients.Remember(c)
	e := o.Event(c, time.Now())
	r.facts.boot(e)
	r.boots.add(e)
}

// booted counts a transfer and tells the region of it.
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

// silently marks questions that are no machine's.
type silently struct{}

// boots answers machines with a selector that hears of them, and questions with one that does not.
type boots struct{ heard, silent dhcpsrv.BootSelector }

// SelectBoot implements dhcpsrv.BootSelector.
func (b boots) SelectBoot(ctx context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	if ctx.Value(silently{}) != nil {
		return b.silent.SelectBoot(ctx, q)
	}
	return b.heard.SelectBoot(ctx, q)
}
