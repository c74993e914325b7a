package dhcpsrv

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// Stats holds the counters of a server since it was made.
type Stats struct {
	Received map[string]uint64 // by message type: DISCOVER, REQUEST ..., a 6 follows the types of DHCPv6: SOLICIT6
	Sent     map[string]uint64 // by message type: OFFER, ACK, NAK, ADVERTISE6 ...
	Reasons  map[string]uint64 // silences and NAKs by [Reason]
	Events   map[string]uint64 // by [EventKind]

	Commits      uint64        // batches given to the store
	Committed    uint64        // records in them
	CommitTime   time.Duration // spent in the store, summed up
	CommitErrors uint64
	WriteErrors  uint64 // replies the socket did not take
	ReadErrors   uint64
	Probes       uint64 // probes made
	ProbesAhead  uint64 // addresses probed before a client asked
	ProbesMissed uint64 // offers made without a probe because too many were under way
	Panics       uint64
	ClockSet     uint64 // times that the wall clock was found set

	PartnerSent     uint64 // lease versions sent to partners
	PartnerReceived uint64 // lease versions received from them
	PartnerLate     uint64 // replies that left before a connected partner had their leases
}

// stats holds the live counters. Any goroutine may count.
type stats struct {
	received, sent          [16]atomic.Uint64 // by wire.Type; unknown ones last
	received6, sent6        [16]atomic.Uint64 // by wire6.Type
	reasons                 [numReasons]atomic.Uint64
	events                  [len(eventNames)]atomic.Uint64
	commits, committed      atomic.Uint64
	commitTime              atomic.Int64
	commitErrors            atomic.Uint64
	readErrors, writeErrors atomic.Uint64
	probes, probesMissed    atomic.Uint64
	probesAhead             atomic.Uint64
	panics                  atomic.Uint64
	clockSet                atomic.Uint64

	partnerSent, partnerReceived, partnerLate atomic.Uint64
}

// receive counts a packet. Types are chosen by strangers, so that all unknown types share one
// counter.
func (s *stats) receive(t wire.Type) { s.received[min(int(t), len(s.received)-1)].Add(1) }

// Stats returns the counters. Keys whose count is zero are left out.
func (s *Server) Stats() Stats {
	c := &s.stats
	// The counters are read one by one: together they are not of one moment, which rates do not
	// need.
	out := Stats{
		Received: map[string]uint64{}, Sent: map[string]uint64{}, Reasons: map[string]uint64{}, Events: map[string]uint64{},
		Commits: c.commits.Load(), Committed: c.committed.Load(), CommitTime: time.Duration(c.commitTime.Load()),
		CommitErrors: c.commitErrors.Load(), WriteErrors: c.writeErrors.Load(), ReadErrors: c.readErrors.Load(),
		Probes: c.probes.Load(), ProbesAhead: c.probesAhead.Load(), ProbesMissed: c.probesMissed.Load(), Panics: c.panics.Load(),
		PartnerSent: c.partnerSent.Load(), PartnerReceived: c.partnerReceived.Load(),
		PartnerLate: c.partnerLate.Load(), ClockSet: c.clockSet.Load(),
	}
	for t := range c.received {
		addCount(out.Received, wire.Type(t).String(), c.received[t].Load())
		addCount(out.Sent, wire.Type(t).String(), c.sent[t].Load())
	}
	for t := range c.received6 {
		addCount(out.Received, wire6.Type(t).String()+"6", c.received6[t].Load())
		addCount(out.Sent, wire6.Type(t).String()+"6", c.sent6[t].Load())
	}
	for r := range c.reasons {
		addCount(out.Reasons, Reason(r).String(), c.reasons[r].Load())
	}
	for k := range c.events {
		addCount(out.Events, EventKind(k).String(), c.events[k].Load())
	}
	return out
}

func addCount(m map[string]uint64, key string, n uint64) {
	if n > 0 {
		m[key] += n
	}
}

// recovered is deferred around everything that handles input from outside or code of the embedder:
// it counts and logs a panic and ends it. One packet must not stop the service.
func (s *Server) recovered(where string) {
	if v := recover(); v != nil {
		s.stats.panics.Add(1)
		s.faults.Error("handler panicked", "handler", where, "panic", v, "stack", string(debug.Stack()))
	}
}
