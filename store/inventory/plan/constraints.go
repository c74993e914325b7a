package plan

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

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

// RacksFor returns the racks that may be sent the password of a machine's BMC, the most suitable
// first: racks that were given the network of the BMC, or that serve the machine. Those in its zone
// come first, then those with the narrower network around the BMC, then those seen last.
func RacksFor(m *inventory.Model, machine *inventory.Machine) []inventory.Rack {
	bmc := bmcOf(machine)
	type candidate struct {
		rack inventory.Rack
		bits int
	}
	var all []candidate
	for _, r := range m.Racks {
		a := m.Assignment(r)
		bits, ok := a.Reaches(bmc)
		if ok || a.ServesAny(machine.Interfaces) {
			all = append(all, candidate{r, bits})
		}
	}
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(first(a.rack.ZoneID == machine.ZoneID, b.rack.ZoneID == machine.ZoneID), cmp.Compare(b.bits, a.bits),
			b.rack.LastSeen.Compare(a.rack.LastSeen))
	})
	out := make([]inventory.Rack, len(all))
	for i := range all {
		out[i] = all[i].rack
	}
	return out
}

// bmcOf is the address of a machine's BMC, invalid when it has none or a name.
func bmcOf(m *inventory.Machine) netip.Addr {
	addr, _ := netip.ParseAddr(BMCHost(m))
	return addr
}

// BMCHost returns the host of a machine's BMC, an address or a name; empty = none that is known.
func BMCHost(m *inventory.Machine) string { return hostOf(m.Power.Params["power_address"]) }

// hostOf returns the host of a URL, or of an address as power kinds take them: with a port or a
// path or without, IPv6 with brackets or without. It is "" for the path of a socket.
func hostOf(text string) string {
	text = strings.TrimSpace(text)
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	if i := strings.IndexAny(text, "/?#"); i >= 0 {
		text = text[:i]
	}
	text = text[strings.LastIndexByte(text, '@')+1:]
	if host, _, err := net.SplitHostPort(text); err == nil {
		return host
	}
	return strings.Trim(text, "[]")
}
