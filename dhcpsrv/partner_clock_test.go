package dhcpsrv

import (
	"net/netip"
	"testing"
	"time"
)

// A clock that is set by years makes no partner long away.
func TestPartnerClockSet(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(Snapshot{
		Partners: []Partner{{Name: "beta", Self: "alpha"}},
		Subnets:  []Subnet{{Name: "a", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: netip.MustParseAddr("192.0.2.1"), Partner: "beta"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := s.partners["beta"]
	years := int64(10 * 365 * 24 * time.Hour)
	start, passed := s.clock, 20*time.Second
	for _, set := range []int64{0, years, -years, 0} {
		wall := start + int64(passed) + set
		s.mindClock(wall, passed)
		if state := p.state(wall); state != Interrupted {
			t.Errorf("set by %v: %v", time.Duration(set), state)
		}
	}
	if state := p.state(start + int64(2*time.Hour)); state != PartnerDown {
		t.Errorf("after hours: %v", state)
	}
}
