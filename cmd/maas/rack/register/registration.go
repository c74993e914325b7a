package register

import "github.com/gomaas/maas/store/inventory"

// Registration returns a rack's request in the terms of the inventory.
func Registration(rack string, in Request) inventory.Registration {
	reg := inventory.Registration{
		Rack: rack, Gateways: in.Gateways, DynamicFirst: in.First, DynamicLast: in.Last, NoDHCP: in.NoDHCP, DHCPMode: in.Mode,
	}
	for _, l := range in.Links {
		reg.Links = append(reg.Links, inventory.RackLink{Name: l.Name, MAC: l.MAC, Addrs: l.Addrs})
		if l.Serve {
			reg.Serve = append(reg.Serve, l.Name)
		}
	}
	return reg
}
