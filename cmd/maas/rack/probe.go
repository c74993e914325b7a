package rack

import (
	"context"
	"net/netip"
)

// probe reports whether an address is in use, for the region before it assigns the address. An
// address outside the subnets of the rack's interfaces is probed through the router.
func (r *Rack) probe(ctx context.Context, addr netip.Addr) (inUse bool, err error) {
	links, err := r.discover.links()
	if err != nil {
		return false, err
	}
	via := ""
	for _, l := range links {
		for _, p := range l.Addrs {
			// A host does not answer its own ARP probe, so the rack's addresses are compared.
			if p.Addr() == addr {
				return true, nil
			}
			if l.Up && l.Ethernet && via == "" && p.Masked().Contains(addr) {
				via = l.Name
			}
		}
	}
	return r.cfg.Prober.Probe(ctx, via, addr)
}
