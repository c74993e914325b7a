package dnssrv

import "github.com/miekg/dns"

// maxJournal is the largest number of records in the changes of one zone that secondaries can fetch
// one by one. A secondary that is further behind gets the whole zone.
const maxJournal = 20_000

// A delta leads from one serial of a zone to the next.
type delta struct {
	restart   bool // something other than records changed, so that there is no way from the serial before
	from, to  *dns.SOA
	gone, new []dns.RR
}

// ixfrJournal holds the latest changes of a zone.
type ixfrJournal struct {
	steps []*delta // the oldest first
	size  int      // records in them
}

func (d *delta) size() int { return len(d.gone) + len(d.new) + 2 }

// add appends a change and forgets the oldest ones when there are too many.
func (j *ixfrJournal) add(d *delta) {
	j.steps = append(j.steps, d)
	j.size += d.size()
	for j.size > maxJournal {
		j.size -= j.steps[0].size()
		// Else the array would keep the records
		j.steps[0] = nil
		j.steps = j.steps[1:]
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
	// Secondaries then get the whole zone.
	if d.restart || d.size() > maxJournal {
		z.journal = ixfrJournal{}
		return
	}
	z.journal.add(d)
}

// since returns the changes that lead from a serial to now, false when they are no longer all
// known.
func (j ixfrJournal) since(serial uint32) ([]*delta, bool) {
	for i := len(j.steps) - 1; i >= 0; i-- {
		if j.steps[i].from.Serial == serial {
			return j.steps[i:], true
		}
	}
	return nil, false
}
