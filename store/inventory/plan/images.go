package plan

import (
	"net/netip"
	"slices"

	"github.com/gomaas/maas/store/inventory"
)

// maxImageNeighbors bounds the racks that a rack asks for a piece of a boot file before the region.
const maxImageNeighbors = 4

// ImageNeighbors returns the addresses of racks that are nearer to a rack than its region: those on
// one of its networks, then those of its zone. They are sorted in a ring that begins behind the
// rack, so that the racks of a zone do not all ask the same one.
func ImageNeighbors(racks []inventory.Rack, rack inventory.Rack) (out []netip.Addr) {
	ring := slices.Clone(racks)
	slices.SortFunc(ring, func(a, b inventory.Rack) int {
		if before := (a.ID <= rack.ID) != (b.ID <= rack.ID); before {
			if a.ID > rack.ID {
				return -1
			}
			return 1
		}
		return int(a.ID - b.ID)
	})
	var far []netip.Addr
	for _, other := range ring {
		if other.ID == rack.ID {
			continue
		}
		if a, ok := sharedAddr(rack, other); ok {
			out = append(out, a)
		} else if a, ok := anyAddr(other); ok && other.ZoneID == rack.ZoneID {
			far = append(far, a)
		}
	}
	out = append(out, far...)
	return out[:min(len(out), maxImageNeighbors)]
}

// sharedAddr returns an address of another rack on a network of the rack.
func sharedAddr(rack, other inventory.Rack) (netip.Addr, bool) {
	for _, l := range rack.Links {
		for _, own := range l.Addrs {
			for _, ol := range other.Links {
				for _, a := range ol.Addrs {
					if own.Masked() == a.Masked() {
						return a.Addr(), true
					}
				}
			}
		}
	}
	return netip.Addr{}, false
}

func anyAddr(rack inventory.Rack) (netip.Addr, bool) {
	for _, l := range rack.Links {
		for _, a := range l.Addrs {
			if a.Addr().IsGlobalUnicast() {
				return a.Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}
