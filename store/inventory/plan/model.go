package plan

import (
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// subnetByID returns a subnet by ID; nil if it is not there.
func subnetByID(m *inventory.Model, id int64) *ipam.Subnet {
	for i := range m.Subnets {
		if m.Subnets[i].ID == id {
			return &m.Subnets[i]
		}
	}
	return nil
}

// defaultDomain returns the name of the default domain.
func defaultDomain(m *inventory.Model) string {
	if len(m.Domains) == 0 {
		return inventory.DefaultDomain
	}
	return m.Domains[0].Name
}
