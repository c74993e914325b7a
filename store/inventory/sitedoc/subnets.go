package sitedoc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
)

func (a *applier) subnets(docs *[]Subnet) step {
	inv := a.inv
	return kind[Subnet, ipam.Subnet]{
		applier: a, name: "subnet", docs: docs, objects: inv.Subnets, id: func(s ipam.Subnet) int64 { return s.ID },
		doc: a.subnetDoc, key: func(d Subnet) string { return canonical(d.CIDR) }, fill: a.fillSubnet,
		remove: a.removeSubnet,
	}
}

// removeSubnet refuses while addresses are held: deleting it by force would take them from their
// holders.
func (a *applier) removeSubnet(ctx context.Context, s ipam.Subnet) error {
	held, err := a.inv.Allocations(ctx, s.ID)
	if err != nil {
		return err
	}
	var by []string
	for _, x := range held {
		if x.Addr.IsValid() && len(by) < maxInTheWay {
			by = append(by, "address "+x.Addr.String())
		}
	}
	if len(by) > 0 {
		return &inventory.InUseError{Kind: kinds.Subnet, Name: s.Prefix.String(), By: by, Remedy: "release them, or wait for the ends of leases"}
	}
	return a.inv.Subnets.Delete(ctx, s.ID)
}

// canonical is a prefix as it is stored, if it is one.
func canonical(cidr string) string {
	if p, err := netip.ParsePrefix(cidr); err == nil {
		return p.Masked().String()
	}
	return cidr
}

func (a *applier) subnetDoc(s ipam.Subnet) (Subnet, error) {
	vlan, err := a.vlanRef(s.VLANID)
	out := Subnet{
		CIDR: s.Prefix.String(), Name: s.Name, Description: s.Description, VLAN: vlan, Unmanaged: s.Unmanaged, DenyDNS: s.DenyDNS,
		DenyProxy: s.DenyProxy, Scan: s.ActiveDiscovery, RDNS: s.RDNS.String(), DisabledBootMethods: s.DisabledBootMethods,
	}
	if s.Gateway.IsValid() {
		out.Gateway = s.Gateway.String()
	}
	for _, d := range s.DNSServers {
		out.DNSServers = append(out.DNSServers, d.String())
	}
	for _, r := range s.Relays {
		out.Relays = append(out.Relays, r.String())
	}
	for _, p := range s.Delegated {
		out.Delegated = append(out.Delegated, p.String())
	}
	return out, err
}

func (a *applier) fillSubnet(d Subnet, s *ipam.Subnet) error {
	p, err := netip.ParsePrefix(d.CIDR)
	if err != nil {
		return fmt.Errorf("cidr: %q is not a network like 192.0.2.0/24", d.CIDR)
	}
	v, err := a.vlanOf(d.VLAN)
	if err != nil {
		return err
	}
	s.Prefix, s.VLANID, s.Name, s.Description = p.Masked(), v.ID, d.Name, d.Description
	if s.Name == "" { // as the inventory does, so that the text before and after is the same
		s.Name = s.Prefix.String()
	}
	s.DisabledBootMethods, s.Delegated = d.DisabledBootMethods, nil
	for _, text := range d.Delegated {
		var p ipam.PrefixPool
		if err := p.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("delegated_prefixes: %w", err)
		}
		s.Delegated = append(s.Delegated, p)
	}
	s.Unmanaged, s.DenyDNS, s.DenyProxy, s.ActiveDiscovery = d.Unmanaged, d.DenyDNS, d.DenyProxy, d.Scan
	// The first is the default, as in MAAS.
	modes := []ipam.RDNSMode{ipam.RDNSRFC2317, ipam.RDNSEnabled, ipam.RDNSDisabled}
	i := slices.IndexFunc(modes, func(m ipam.RDNSMode) bool { return m.String() == d.RDNS })
	if d.RDNS != "" && i < 0 {
		return fmt.Errorf("rdns: %q is none of %v", d.RDNS, modes)
	}
	s.RDNS = modes[max(i, 0)]
	if s.Gateway = (netip.Addr{}); d.Gateway != "" {
		if s.Gateway, err = addrOf("gateway_ip", d.Gateway); err != nil {
			return err
		}
	}
	if s.DNSServers, err = addrsOf("dns_servers", d.DNSServers); err != nil {
		return err
	}
	s.Relays, err = addrsOf("relays", d.Relays)
	return err
}

func addrsOf(field string, texts []string) (out []netip.Addr, err error) {
	for _, text := range texts {
		addr, err := addrOf(field, text)
		if err != nil {
			return nil, err
		}
		out = append(out, addr)
	}
	return out, nil
}

func addrOf(field, text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		err = fmt.Errorf("%s: %q is not an address", field, text)
	}
	return addr, err
}

func macOf(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err != nil {
		err = fmt.Errorf("mac_address: %q is not a MAC address", text)
	}
	return mac, err
}

// subnetByCIDR finds a subnet by its prefix.
func (a *applier) subnetByCIDR(cidr string) (ipam.Subnet, error) {
	all, err := a.inv.Subnets.List(a.ctx)
	if err != nil {
		return ipam.Subnet{}, err
	}
	for _, s := range all {
		if s.Prefix.String() == canonical(cidr) {
			return s, nil
		}
	}
	return ipam.Subnet{}, fmt.Errorf("there is no subnet %q", cidr)
}
