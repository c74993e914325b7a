//go:build !race

package dhcpsrv

import "testing"

// A packet of a known client costs two allocations, or three over DHCPv6, all of them for the lease that is stored and
// reported. The race detector makes sync.Pool forget, so that it cannot run with it.
func TestHotPathAllocations(t *testing.T) {
	for name, tt := range map[string]struct {
		six  bool
		most float64
	}{"4": {false, 2}, "6": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			serve := servedPath(t, tt.six)
			for range 2000 { // every client has its lease, and the pools are filled
				serve()
			}
			if n := testing.AllocsPerRun(5000, serve); n > tt.most {
				t.Errorf("%v allocations for a packet, at most %v", n, tt.most)
			}
		})
	}
}
