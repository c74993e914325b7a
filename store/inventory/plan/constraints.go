package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"

	"github.com/gomaas/maas/store/inventory"
)

// Constraints narrow down a choice of machines. Zero fields do not.
type Constraints struct {
	Zones    []int64            // in one of these zones
	NotZones []int64            // in none of these
	Pools    []int64            // in one of these pools
	Status   []inventory.Status // in one of these states
	Arch     string             // of this architecture
	Free     bool               // without an owner
}

// Allows reports whether a machine meets all constraints.
func (c Constraints) Allows(m *inventory.Machine) bool {
	return in(c.Zones, m.ZoneID) && !slices.Contains(c.NotZones, m.ZoneID) && in(c.Pools, m.PoolID) && in(c.Status, m.Status) &&
		(c.Arch == "" || c.Arch == m.Architecture) && (!c.Free || m.Owner == "")
}

func in[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// Spread picks n machines that meet the constraints, over zones as evenly as possible: the numbers
// of two zones differ by more than one only where the smaller zone has no more machines. The choice
// is the same for the same input.
func Spread(machines []inventory.Machine, n int, c Constraints) ([]inventory.Machine, error) {
	byZone := make(map[int64][]inventory.Machine)
	total := 0
	for i := range machines {
		if c.Allows(&machines[i]) {
			z := machines[i].ZoneID
			byZone[z] = append(byZone[z], machines[i])
			total++
		}
	}
	if total < n {
		return nil, fmt.Errorf("inventory: %d machines are wanted, %d meet the constraints", n, total)
	}
	order := make([]int64, 0, len(byZone))
	for z, ms := range byZone {
		slices.SortFunc(ms, func(a, b inventory.Machine) int { return cmp.Compare(a.ID, b.ID) })
		order = append(order, z)
	}
	// A remainder goes to the zones that have most left.
	slices.SortFunc(order, func(a, b int64) int { return cmp.Or(cmp.Compare(len(byZone[b]), len(byZone[a])), cmp.Compare(a, b)) })
	picked := make([]inventory.Machine, 0, n)
	for round := 0; len(picked) < n; round++ {
		for _, z := range order {
			if round < len(byZone[z]) && len(picked) < n {
				picked = append(picked, byZone[z][round])
			}
		}
	}
	return picked, nil
}

// RacksFor orders racks by how well they suit a machine: those in its zone first, of these those in
// the network of its BMC, then by when they were last seen.
func RacksFor(m *inventory.Machine, racks []inventory.Rack) []inventory.Rack {
	bmc := bmcOf(m)
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	out := slices.Clone(racks)
	slices.SortStableFunc(out, func(a, b inventory.Rack) int {
		return cmp.Or(first(a.ZoneID == m.ZoneID, b.ZoneID == m.ZoneID), first(reaches(a, bmc), reaches(b, bmc)), b.LastSeen.Compare(a.LastSeen))
	})
	return out
}

// bmcOf is the address of a machine's BMC, invalid when it has none or a name.
func bmcOf(m *inventory.Machine) netip.Addr {
	text := m.Power.Params["power_address"]
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		text = u.Hostname()
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr()
	}
	addr, _ := netip.ParseAddr(text)
	return addr
}

// reaches reports whether an address is in one of the rack's networks.
func reaches(r inventory.Rack, a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(r.Links, func(l inventory.RackLink) bool {
		return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Masked().Contains(a) })
	})
}
