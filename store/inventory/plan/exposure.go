package plan

import (
	"slices"

	"github.com/gomaas/maas/store/inventory"
)

// Exposure lists the secrets that a rack could have been sent. After the rack is stolen, they have
// to be replaced.
type Exposure struct {
	// Machines are those whose BMC's password it could have been sent.
	Machines []inventory.Machine
	// Zones are the signed domains whose signing keys it holds, and Keys the names of TSIG keys.
	Zones, Keys []string
}

// ExposureOf returns the secrets of a rack, by what it is assigned now.
func ExposureOf(m *inventory.Model, rack inventory.Rack) (e Exposure) {
	for i := range m.Machines {
		machine := &m.Machines[i]
		if machine.Power.Type == "" || len(machine.Power.Params) == 0 {
			continue
		}
		if slices.ContainsFunc(RacksFor(m, machine), func(r inventory.Rack) bool { return r.Name == rack.Name }) {
			e.Machines = append(e.Machines, *machine)
		}
	}
	cut := DNSCutOf(m, rack)
	if cut.none {
		return e
	}
	for i := range m.Domains {
		if d := &m.Domains[i]; d.Signed && d.ServedBy(rack.Name) {
			e.Zones = append(e.Zones, d.Name)
		}
	}
	foreign := ForeignDNSOf(m, rack).Keys()
	for _, k := range m.TSIGKeys {
		if len(cut.away) == 0 || slices.Contains(foreign, k.Name) || slices.Contains(cut.allKeys, k.Name) {
			e.Keys = append(e.Keys, k.Name)
		}
	}
	return e
}
