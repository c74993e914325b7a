package rack

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/metadata"
)

// newMetadata makes the service of metadata. The boot server, which exists only after it, knows
// which requests are a machine's own.
func (r *Rack) newMetadata() (*metadata.Handler, error) {
	return metadata.New(metadata.Config{
		Source: leasedMetadata{r},
		Vouch: func(client netip.Addr, mac net.HardwareAddr, nonce string) bool {
			return r.boot.Vouches(client, mac, nonce)
		},
		Events: r.booted, Log: r.log.With("component", "metadata"),
	})
}

// leasedMetadata finds machines by the addresses that DHCP gave them, too.
type leasedMetadata struct{ *Rack }

// ByMAC implements metadata.Source.
func (s leasedMetadata) ByMAC(ctx context.Context, mac net.HardwareAddr) (metadata.Instance, error) {
	return s.metadata.ByMAC(ctx, mac)
}

// ByAddr implements metadata.Source. A lease goes before a static address.
func (s leasedMetadata) ByAddr(ctx context.Context, addr netip.Addr) (metadata.Instance, error) {
	if mac, leased := s.macOf(addr); leased {
		return s.metadata.ByMAC(ctx, mac)
	}
	return s.metadata.ByAddr(ctx, addr)
}

// wellKnownMetadata is the address and port at which clients that know no other place, such as the
// cloud-init of an image for EC2 or OpenStack, look for metadata.
var wellKnownMetadata = netip.MustParseAddrPort("169.254.169.254:80")

// listenMetadata opens the well-known address where the host has it. A host that has it in vain, or
// a virtual machine whose cloud answers there, is left as it is: nothing gives a host the address
// but its administrator.
func (s *Sockets) listenMetadata(ctx context.Context) error {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(addrs, func(a net.Addr) bool {
		own, ok := a.(*net.IPNet)
		return ok && own.IP.Equal(wellKnownMetadata.Addr().AsSlice())
	}) {
		return nil
	}
	ln, err := listenStream(ctx, wellKnownMetadata, "metadata")
	if err == nil {
		s.HTTP = append(s.HTTP, ln)
	}
	return err
}

// leadToMetadata gives subnets a route to the well-known address by way of the rack, whose own
// gateway does not have it.
func leadToMetadata(subnets []dhcpsrv.Subnet) []dhcpsrv.Subnet {
	to := netip.PrefixFrom(wellKnownMetadata.Addr(), 32)
	out := slices.Clone(subnets)
	for i, s := range out {
		stated := slices.ContainsFunc(s.Routes, func(r dhcpsrv.Route) bool { return r.Dest == to })
		if s.Server.Is4() && s.Prefix.Contains(s.Server) && !stated {
			out[i].Routes = append(slices.Clip(s.Routes), dhcpsrv.Route{Dest: to, Via: s.Server})
		}
	}
	return out
}

// networkVariable is the variable of command lines with a machine's network configuration.
const networkVariable = "network_config"

// resolver chooses the profiles of machines.
type resolver struct{ *Rack }

// Resolve returns what a machine boots, with its network configuration where the command line has a
// place for it.
func (r resolver) Resolve(ctx context.Context, q pxe.Request) (pxe.Profile, error) {
	p, err := r.table.Resolve(ctx, q)
	if err != nil || !strings.Contains(p.Cmdline, "{"+networkVariable+"}") {
		return p, err
	}
	if in, err := r.metadata.ByMAC(ctx, q.MAC); err == nil {
		p.Vars[networkVariable] = metadata.Argument(in.NetworkConfig)
	}
	return p, nil
}
