package dnssrv

import (
	"fmt"
	"reflect"

	"github.com/miekg/dns"
)

// plan is a checked change, ready to be applied without any way to fail.
type plan struct {
	zones  []*zoneData
	remove []string
	sets   []parsed
}

// Update applies a change in time proportional to its size. Questions see all of it or nothing.
// When any part is refused, the error names it and nothing has changed.
//
// Every zone in which what clients see changes gets one new serial, however many of its records
// change.
func (s *Server) Update(c Change) error {
	// Nothing is locked yet: parsing a large change takes longer than all else.
	p, err := parseChange(c, s.serials.first()) // the costly part, while questions are answered
	if err != nil {
		return err
	}
	s.mu.Lock()
	if err := s.check(p, c); err != nil {
		s.mu.Unlock()
		return err
	}
	changed := s.apply(p)
	s.mu.Unlock()
	s.notify(changed)
	return nil
}

func parseChange(c Change, serial uint32) (plan, error) {
	var p plan
	for _, name := range c.RemoveZones {
		name, err := canonical(name)
		if err != nil {
			return plan{}, err
		}
		p.remove = append(p.remove, name)
	}
	for _, z := range c.Zones {
		zd, err := newZone(z, serial)
		if err != nil {
			return plan{}, err
		}
		p.zones = append(p.zones, zd)
	}
	p.sets = make([]parsed, 0, len(c.Set))
	for _, set := range c.Set {
		ps, err := set.parse()
		if err != nil {
			return plan{}, err
		}
		p.sets = append(p.sets, ps)
	}
	return p, nil
}

// check refuses sets that no zone holds.
func (s *Server) check(p plan, c Change) error {
	added := map[string]bool{}
	for _, z := range p.zones {
		added[z.name] = true
	}
	for i := range p.sets {
		ps := &p.sets[i]
		if len(ps.records) > 0 && s.data.zoneOf(ps.name) == nil && !within(ps.name, added) {
			return fmt.Errorf("dnssrv: %s %s: not in any zone of this server; add the zone first", c.Set[i].Name, c.Set[i].Type)
		}
	}
	return nil
}

// within reports whether the canonical name is at or below one of the zones.
func within(name string, zones map[string]bool) bool {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if zones[name[off:]] {
			return true
		}
	}
	return false
}

// deltas are the zones that a change touches.
type deltas map[*zoneData]*delta

func (ds deltas) of(z *zoneData) *delta {
	if ds[z] == nil {
		ds[z] = &delta{}
	}
	return ds[z]
}

// restartParent is for changes of a zone that show in the delegation by its parent.
func (ds deltas) restartParent(d *data, z *zoneData) {
	if parent := d.parent(z); parent != nil {
		ds.of(parent).restart = true
	}
}

// apply makes the change and returns the names of the zones in which something is different now,
// with their new serials.
func (s *Server) apply(p plan) map[string]uint32 {
	touched := deltas{}
	for _, name := range p.remove {
		if z := s.data.zones[name]; z != nil {
			delete(s.data.zones, name)
			touched.restartParent(&s.data, z)
		}
	}
	for _, z := range p.zones {
		if old := s.data.zones[z.name]; old != nil && reflect.DeepEqual(old.conf, z.conf) {
			continue
		}
		s.data.addZone(z)
		touched.of(z).restart = true
		touched.restartParent(&s.data, z)
	}
	for i := range p.sets {
		set := &p.sets[i]
		z := s.data.zoneOf(set.name)
		if z == nil {
			// Removing what does not exist is no error, so that a caller may repeat a change.
			continue // a removal in a zone that is gone
		}
		if before, after := z.put(set); !sameSet(before, after) {
			touched.of(z).record(z, before, after)
			if set.qtype == dns.TypeNS && set.name == z.name {
				touched.restartParent(&s.data, z)
			}
		}
	}
	changed := make(map[string]uint32, len(touched))
	for z, d := range touched {
		s.serials.reserveFor(z.serial+1, s.log)
		z.advance(d)
		changed[z.name] = z.serial
	}
	return changed
}

// sameSet reports whether clients cannot tell the two apart.
func sameSet(a, b *parsed) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a == b {
		return true
	}
	if a.ttl != b.ttl || len(a.records) != len(b.records) {
		return false
	}
	for i := range a.records {
		if !dns.IsDuplicate(a.records[i], b.records[i]) {
			return false
		}
	}
	return true
}
