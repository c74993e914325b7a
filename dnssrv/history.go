package dnssrv

import "github.com/miekg/dns"

// maxHistory is how many records the changes of one zone may hold that secondaries can still fetch piecemeal. Who is
// further behind gets the whole zone.
const maxHistory = 20_000

// A delta leads from one serial of a zone to the next.
type delta struct {
	restart   bool // something other than records changed, so that there is no way from the serial before
	from, to  *dns.SOA
	gone, new []dns.RR
}

// history is the latest changes of a zone.
type history struct {
	steps []*delta // the oldest first
	size  int      // records in them
}

func (d *delta) size() int { return len(d.gone) + len(d.new) + 2 }

// add appends a change and forgets the oldest ones when there are too many.
func (h *history) add(d *delta) {
	h.steps = append(h.steps, d)
	h.size += d.size()
	for h.size > maxHistory {
		h.size -= h.steps[0].size()
		h.steps[0] = nil
		h.steps = h.steps[1:]
	}
}

// record notes that a set is now served in place of another. Either may be nil.
func (d *delta) record(z *zoneData, before, after *parsed) {
	if d.restart {
		return
	}
	if before != nil {
		d.gone = append(d.gone, before.owned(before.name, z.ttl)...)
	}
	if after != nil {
		d.new = append(d.new, after.owned(after.name, z.ttl)...)
	}
}

// advance gives the zone its next serial and remembers how it came to it.
func (z *zoneData) advance(d *delta) {
	z.serial++
	d.from = z.soa
	soa := *z.soa
	soa.Serial = z.serial
	z.soa, d.to = &soa, &soa
	z.encodeDenial()
	if d.restart || d.size() > maxHistory {
		z.history = history{}
		return
	}
	z.history.add(d)
}

// since returns the changes that lead from a serial to now, false when they are no longer all known.
func (h history) since(serial uint32) ([]*delta, bool) {
	for i := len(h.steps) - 1; i >= 0; i-- {
		if h.steps[i].from.Serial == serial {
			return h.steps[i:], true
		}
	}
	return nil, false
}
