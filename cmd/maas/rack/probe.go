package rack

import (
	"context"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc/dhcprpc"
)

// probe reports whether an address is in use, for the region before it assigns the address. An
// address outside the subnets of the rack's interfaces is probed through the router.
func (r *Rack) probe(ctx context.Context, addr netip.Addr) (dhcprpc.Probed, error) {
	links, err := r.discover.links()
	if err != nil {
		return dhcprpc.Probed{}, err
	}
	via := ""
	for _, l := range links {
		for _, p := range l.Addrs {
			// A host does not answer its own ARP probe, so the rack's addresses are compared.
			if p.Addr() == addr {
				return dhcprpc.Probed{InUse: true}, nil
			}
			if l.Up && l.Ethernet && via == "" && p.Masked().Contains(addr) {
				via = l.Name
			}
		}
	}
	if p, ok := r.cfg.Prober.(dhcpsrv.OwnerProber); ok {
		owner, inUse, err := p.ProbeOwner(ctx, via, addr)
		return dhcprpc.Probed{InUse: inUse, Owner: owner.String()}, err
	}
	inUse, err := r.cfg.Prober.Probe(ctx, via, addr)
	return dhcprpc.Probed{InUse: inUse}, err
}

// heard takes an address that a device uses out of the addresses that DHCP takes for free. Packets
// of DHCP say what a client asks for, not what it has.
func (r *Rack) heard(o discovery.Observation) {
	if o.Addr.IsValid() && !o.Gone && o.Source != discovery.DHCPv4 && o.Source != discovery.DHCPv6 {
		r.dhcp.Heard(o.Addr)
	}
}
