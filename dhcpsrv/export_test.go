package dhcpsrv

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Names that only tests need.
const (
	DefaultOfferHold   = defaultOfferHold
	DefaultDeclineTime = defaultDeclineTime
	DropHops           = dropHops
	DropIncomplete     = dropIncomplete
	DropListening      = dropListening
	DropMalformed      = dropMalformed
	DropNoIdentity     = dropNoIdentity
	DropNoReservation  = dropNoReservation
	DropNotRequest     = dropNotRequest
	DropOtherServer    = dropOtherServer
	DropPartner        = dropPartner
	DropUnknownLease   = dropUnknownLease
	DropUnknownLink    = dropUnknownLink
	DropUnknownRelay   = dropUnknownRelay
	DropUnknownType    = dropUnknownType
	ForeignQuiet       = rogueQuiet
	NakMoved           = nakMoved
	NakNoPool          = nakNoPool
	NakReserved        = nakReserved
	NakTaken           = nakTaken
	NakWrongNetwork    = nakWrongNetwork
)

// Uint8Option is uint8Option.
var Uint8Option = uint8Option

// SetClock sets the wall clock as a running server sees it: so far ahead of the time of the test.
func (s *Server) SetClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.readWall = func() int64 { return time.Now().Add(ahead).UnixNano() }
}

// NewOn is New on a machine that says how long it has run, and since which start.
func NewOn(cfg Config, uptime func() (boot string, up time.Duration)) (*Server, error) {
	return newServer(cfg, func(int64) (string, time.Duration) { return uptime() })
}

// Indexes tells what the server has entered about its leases, for comparison.
func (s *Server) Indexes() (lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, e := range s.global().v4.byClient {
		for ; e != nil; e = e.sameClient {
			lines = append(lines, fmt.Sprintf("%x has %v", key, e.addr.addr()))
		}
	}
	for _, sub := range s.global().v4.cur.subnets {
		lines = append(lines, fmt.Sprintf("%s: taken %x, free %d, halves %d", sub.Name, sub.space.taken, sub.space.free, sub.space.parities))
		for e := sub.space.ended[0].first; e != nil; e = e.next {
			lines = append(lines, fmt.Sprintf("ended %v", e.addr.addr()))
		}
		for e := sub.space.offers.first; e != nil; e = e.next {
			lines = append(lines, fmt.Sprintf("offered %v", e.addr.addr()))
		}
	}
	for _, sub := range s.global().v6.cur.subnets {
		lines = append(lines, fmt.Sprintf("%s: used %d, ended %d", sub.Name, sub.used, sub.ended[0].Len()))
	}
	lines = append(lines, fmt.Sprintf("due %d and %d, circuits %v", len(s.global().v4.due), len(s.global().v6.due), s.global().v4.circuits))
	slices.Sort(lines)
	return lines
}

// UpdateWhole is Update that enters every lease anew.
func (s *Server) UpdateWhole(snap Snapshot) error {
	c, err := compile(&snap)
	if err != nil {
		return err
	}
	s.updating.Lock()
	defer s.updating.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	all4, all6 := slices.Collect(maps.Values(s.global().v4.byAddr)), slices.Collect(maps.Values(s.global().v6.byAddr))
	for _, e := range all4 {
		s.global().v4.remove(e)
	}
	for _, e := range all6 {
		s.global().v6.remove(e)
	}
	s.prepare([]*vrfUpdate{{vrf: s.global(), next: c}})
	s.global().v4.replace(c, nil)
	s.global().v6.replace(c.v6)
	sortByEnd(all4)
	for _, e := range all4 {
		s.global().v4.adopt(e)
		s.global().v4.insert(e)
	}
	sortByEnd6(all6)
	for _, e := range all6 {
		e.sub = c.v6.find(e.lease.Addr)
		s.global().v6.insert(e)
	}
	return nil
}
