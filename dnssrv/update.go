package dnssrv

import (
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// plan is a checked change, ready to be applied without any way to fail.
type plan struct {
	zones  []*zoneData
	remove []string
	sets   []parsed
}

// Update applies a change in time proportional to its size. Questions see all of it or nothing. When any part is refused,
// the error names it and nothing has changed.
//
// Every zone that the change touches gets one new serial, however many of its records change.
func (s *Server) Update(c Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.plan(c)
	if err != nil {
		return err
	}
	s.apply(p)
	return nil
}

func (s *Server) plan(c Change) (plan, error) {
	var p plan
	for _, name := range c.RemoveZones {
		name, err := canonical(name)
		if err != nil {
			return plan{}, err
		}
		p.remove = append(p.remove, name)
	}
	added := map[string]bool{}
	for _, z := range c.Zones {
		zd, err := newZone(z, s.firstSerial())
		if err != nil {
			return plan{}, err
		}
		p.zones = append(p.zones, zd)
		added[zd.name] = true
	}
	for _, set := range c.Set {
		ps, err := set.parse()
		if err != nil {
			return plan{}, err
		}
		if len(ps.records) > 0 && s.data.zoneOf(ps.name) == nil && !within(ps.name, added) {
			return plan{}, fmt.Errorf("dnssrv: %s %s: not in any zone of this server; add the zone first", set.Name, set.Type)
		}
		p.sets = append(p.sets, ps)
	}
	return p, nil
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

// firstSerial makes serials grow across restarts without keeping them: seconds since 1970 as the start, one more for each
// change. RFC 1982 arithmetic makes the wrap in 2106 harmless.
func (s *Server) firstSerial() uint32 { return uint32(time.Now().Unix()) }

func (s *Server) apply(p plan) {
	touched := map[*zoneData]bool{}
	for _, name := range p.remove {
		s.data.removeZone(name)
	}
	for _, z := range p.zones {
		if old := s.data.zones[z.name]; old != nil {
			z.serial = old.serial
		}
		s.data.zones[z.name] = z
		touched[z] = true
	}
	for i := range p.sets {
		z := s.data.zoneOf(p.sets[i].name)
		if z == nil {
			continue // a removal in a zone that is gone
		}
		s.data.put(z, &p.sets[i])
		touched[z] = true
	}
	for z := range touched {
		z.serial++
		soa := *z.soa
		soa.Serial = z.serial
		z.soa = &soa
	}
}
