package sitedoc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// steps are all kinds in the order in which they are made. VLANs come twice: DHCP needs ranges, and a relay other VLANs.
func (a *applier) steps(doc *Document) []step {
	return []step{
		a.zones(&doc.Zones), a.pools(&doc.Pools), a.domains(&doc.Domains), a.spaces(&doc.Spaces), a.fabrics(&doc.Fabrics),
		early{a.vlans(&doc.VLANs, true)}, a.subnets(&doc.Subnets), a.ranges(&doc.Ranges), a.vlans(&doc.VLANs, false),
		a.routes(&doc.Routes), a.reserved(&doc.Reserved), a.records(&doc.Records), a.machines(&doc.Machines),
		a.tags(&doc.Tags), a.profiles(&doc.BootProfiles),
	}
}

// early is a first pass, of which nothing is exported. It is the one that removes: subnets are gone then.
type early struct{ step }

func (early) export() error { return nil }

func (a *applier) zones(docs *[]Group) step {
	inv := a.inv
	return kind[Group, inventory.AvailabilityZone]{
		applier: a, name: "zone", docs: docs, list: inv.Zones, id: func(z inventory.AvailabilityZone) int64 { return z.ID },
		doc: func(z inventory.AvailabilityZone) (Group, error) { return Group{z.Name, z.Description}, nil }, key: groupName,
		fill: func(d Group, z *inventory.AvailabilityZone) error {
			z.Name, z.Description = d.Name, d.Description
			return nil
		},
		create: inv.CreateZone, update: inv.UpdateZone,
		remove: func(ctx context.Context, z inventory.AvailabilityZone) error {
			machines, err := inv.Machines(ctx)
			for _, m := range machines {
				if m.ZoneID == z.ID {
					return &inventory.InUseError{Kind: inventory.KindZone, Name: z.Name, By: []string{"machine " + m.FQDN}, Remedy: "move it to another zone first"}
				}
			}
			return errors.Join(err, inv.DeleteZone(ctx, z.ID))
		},
		stays: func(z inventory.AvailabilityZone) bool { return z.Name == inventory.DefaultZone },
	}
}

func groupName(d Group) string { return d.Name }

func (a *applier) pools(docs *[]Group) step {
	inv := a.inv
	return kind[Group, inventory.ResourcePool]{
		applier: a, name: "pool", docs: docs, list: inv.Pools, id: func(p inventory.ResourcePool) int64 { return p.ID },
		doc: func(p inventory.ResourcePool) (Group, error) { return Group{p.Name, p.Description}, nil }, key: groupName,
		fill: func(d Group, p *inventory.ResourcePool) error {
			p.Name, p.Description = d.Name, d.Description
			return nil
		},
		create: inv.CreatePool, update: inv.UpdatePool,
		remove: func(ctx context.Context, p inventory.ResourcePool) error { return inv.DeletePool(ctx, p.ID) },
		stays:  func(p inventory.ResourcePool) bool { return p.Name == inventory.DefaultPool },
	}
}

func (a *applier) spaces(docs *[]Group) step {
	inv := a.inv
	return kind[Group, ipam.Space]{
		applier: a, name: "space", docs: docs, list: inv.Spaces, id: func(s ipam.Space) int64 { return s.ID },
		doc: func(s ipam.Space) (Group, error) { return Group{s.Name, s.Description}, nil }, key: groupName,
		fill: func(d Group, s *ipam.Space) error {
			s.Name, s.Description = d.Name, d.Description
			return named(d.Name)
		},
		create: inv.CreateSpace, update: inv.UpdateSpace,
		remove: func(ctx context.Context, s ipam.Space) error { return inv.DeleteSpace(ctx, s.ID) },
	}
}

func named(name string) error {
	if name == "" {
		return errors.New("name is missing")
	}
	return nil
}

func (a *applier) domains(docs *[]Domain) step {
	inv := a.inv
	return kind[Domain, inventory.Domain]{
		applier: a, name: "domain", docs: docs, list: inv.Domains, id: func(d inventory.Domain) int64 { return d.ID },
		doc: func(d inventory.Domain) (Domain, error) {
			return Domain{
				Name: d.Name, TTL: d.TTL, External: d.External, Forward: texts(d.Forward), DNSSEC: d.Signed,
				AllowTransfer: d.AllowTransfer, Notify: texts(d.Notify), AllowUpdate: texts(d.AllowUpdate),
			}, nil
		},
		key:    func(d Domain) string { return strings.ToLower(strings.TrimSuffix(d.Name, ".")) },
		fill:   fillDomain,
		create: inv.CreateDomain, update: inv.UpdateDomain,
		remove: func(ctx context.Context, d inventory.Domain) error { return inv.DeleteDomain(ctx, d.ID) },
		stays:  func(d inventory.Domain) bool { return d.ID == 1 },
	}
}

func (a *applier) fabrics(docs *[]Fabric) step {
	inv := a.inv
	return kind[Fabric, ipam.Fabric]{
		applier: a, name: "fabric", docs: docs, list: inv.Fabrics, id: func(f ipam.Fabric) int64 { return f.ID },
		doc: func(f ipam.Fabric) (Fabric, error) { return Fabric{f.Name, f.Description, f.ClassType}, nil },
		key: func(d Fabric) string { return d.Name },
		fill: func(d Fabric, f *ipam.Fabric) error {
			f.Name, f.Description, f.ClassType = d.Name, d.Description, d.ClassType
			return named(d.Name)
		},
		create: inv.CreateFabric, update: inv.UpdateFabric,
		remove: func(ctx context.Context, f ipam.Fabric) error { return inv.DeleteFabric(ctx, f.ID) },
		stays:  func(f ipam.Fabric) bool { return f.ID == 1 },
	}
}

// vlanOf finds fabric/vid.
func (a *applier) vlanOf(ref string) (ipam.VLAN, error) {
	i := strings.LastIndex(ref, "/")
	vid, err := strconv.Atoi(ref[i+1:])
	if i < 0 || err != nil {
		return ipam.VLAN{}, fmt.Errorf("vlan %q is not written as fabric/vid, such as fabric-1/0", ref)
	}
	fabrics, err := a.inv.Fabrics(a.ctx)
	if err != nil {
		return ipam.VLAN{}, err
	}
	for _, f := range fabrics {
		if f.Name == ref[:i] {
			return a.inv.VLANByVID(a.ctx, f.ID, vid)
		}
	}
	return ipam.VLAN{}, fmt.Errorf("vlan %q: there is no fabric %s", ref, ref[:i])
}

// vlanRef is how a VLAN is referred to; "" = none.
func (a *applier) vlanRef(id int64) (string, error) {
	if id == 0 {
		return "", nil
	}
	v, err := a.inv.VLAN(a.ctx, id)
	if err != nil {
		return "", err
	}
	f, err := a.inv.Fabric(a.ctx, v.FabricID)
	return fmt.Sprintf("%s/%d", f.Name, v.VID), err
}

func (a *applier) vlans(docs *[]VLAN, first bool) step {
	inv := a.inv
	k := kind[VLAN, ipam.VLAN]{
		applier: a, name: "vlan", docs: docs, list: inv.VLANs, id: func(v ipam.VLAN) int64 { return v.ID },
		doc: a.vlanDoc, key: func(d VLAN) string { return fmt.Sprintf("%s/%d", d.Fabric, d.VID) },
		fill:   func(d VLAN, v *ipam.VLAN) error { return a.fillVLAN(d, v, first) },
		create: inv.CreateVLAN, update: inv.UpdateVLAN, remove: a.removeVLAN,
		stays: func(v ipam.VLAN) bool { return v.VID == 0 && v.Name == ipam.UntaggedName },
	}
	if !first {
		k.remove = nil
	}
	return k
}

func (a *applier) vlanDoc(v ipam.VLAN) (VLAN, error) {
	f, err := a.inv.Fabric(a.ctx, v.FabricID)
	if err != nil {
		return VLAN{}, err
	}
	out := VLAN{
		Fabric: f.Name, VID: v.VID, Name: v.Name, Description: v.Description, MTU: v.MTU, DHCP: v.DHCP, Primary: v.PrimaryRack, Secondary: v.SecondaryRack,
	}
	if v.SpaceID != 0 {
		s, err := a.inv.Space(a.ctx, v.SpaceID)
		if err != nil {
			return out, err
		}
		out.Space = s.Name
	}
	out.Relay, err = a.vlanRef(v.RelayVLANID)
	return out, err
}

// fillVLAN sets a VLAN's fields. The first pass turns DHCP and relays off, but not on.
func (a *applier) fillVLAN(d VLAN, v *ipam.VLAN, first bool) error {
	fabrics, err := a.inv.Fabrics(a.ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(fabrics, func(f ipam.Fabric) bool { return f.Name == d.Fabric })
	if i < 0 {
		return fmt.Errorf("there is no fabric %q", d.Fabric)
	}
	v.FabricID, v.VID, v.Name, v.Description, v.MTU = fabrics[i].ID, d.VID, d.Name, d.Description, d.MTU
	if v.MTU == 0 {
		v.MTU = ipam.DefaultMTU
	}
	if v.Name == "" && v.VID == 0 {
		v.Name = ipam.UntaggedName
	}
	v.SpaceID = 0
	if d.Space != "" {
		spaces, err := a.inv.Spaces(a.ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(spaces, func(s ipam.Space) bool { return s.Name == d.Space })
		if i < 0 {
			return fmt.Errorf("there is no space %q", d.Space)
		}
		v.SpaceID = spaces[i].ID
	}
	if first {
		v.DHCP = v.DHCP && d.DHCP
		if d.Relay == "" {
			v.RelayVLANID = 0
		}
		return nil
	}
	v.DHCP, v.PrimaryRack, v.SecondaryRack, v.RelayVLANID = d.DHCP, d.Primary, d.Secondary, 0
	if d.Relay != "" {
		target, err := a.vlanOf(d.Relay)
		if err != nil {
			return err
		}
		v.RelayVLANID = target.ID
	}
	return nil
}

// removeVLAN refuses while something is on the VLAN: deleting it would move that elsewhere.
func (a *applier) removeVLAN(ctx context.Context, v ipam.VLAN) error {
	var by []string
	subnets, err := a.inv.Subnets(ctx)
	if err != nil {
		return err
	}
	for _, s := range subnets {
		if s.VLANID == v.ID {
			by = append(by, "subnet "+s.Prefix.String())
		}
	}
	machines, err := a.inv.Machines(ctx)
	if err != nil {
		return err
	}
	for _, m := range machines {
		for _, i := range m.Interfaces {
			if i.VLANID == v.ID && len(by) < 12 {
				by = append(by, "interface "+i.Name+" of "+m.FQDN)
			}
		}
	}
	if len(by) > 0 {
		return &inventory.InUseError{Kind: inventory.KindVLAN, Name: v.String(), By: by, Remedy: "move them to another VLAN first"}
	}
	return a.inv.DeleteVLAN(ctx, v.ID)
}

func (a *applier) subnets(docs *[]Subnet) step {
	inv := a.inv
	return kind[Subnet, ipam.Subnet]{
		applier: a, name: "subnet", docs: docs, list: inv.Subnets, id: func(s ipam.Subnet) int64 { return s.ID },
		doc: a.subnetDoc, key: func(d Subnet) string { return canonical(d.CIDR) }, fill: a.fillSubnet,
		create: inv.CreateSubnet, update: inv.UpdateSubnet,
		remove: func(ctx context.Context, s ipam.Subnet) error {
			held, err := inv.Allocations(ctx, s.ID)
			if err != nil {
				return err
			}
			var by []string
			for _, x := range held {
				if x.Addr.IsValid() && len(by) < 12 {
					by = append(by, "address "+x.Addr.String())
				}
			}
			if len(by) > 0 {
				return &inventory.InUseError{Kind: inventory.KindSubnet, Name: s.Prefix.String(), By: by, Remedy: "release them, or wait for the ends of leases"}
			}
			return inv.DeleteSubnet(ctx, s.ID, false)
		},
	}
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
		DenyProxy: s.DenyProxy, Scan: s.ActiveDiscovery, RDNS: s.RDNS.String(),
	}
	if s.Gateway.IsValid() {
		out.Gateway = s.Gateway.String()
	}
	for _, d := range s.DNSServers {
		out.DNSServers = append(out.DNSServers, d.String())
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
	if s.Name == "" {
		s.Name = s.Prefix.String()
	}
	s.Unmanaged, s.DenyDNS, s.DenyProxy, s.ActiveDiscovery = d.Unmanaged, d.DenyDNS, d.DenyProxy, d.Scan
	modes := []ipam.RDNSMode{ipam.RDNSRFC2317, ipam.RDNSEnabled, ipam.RDNSDisabled}
	i := slices.IndexFunc(modes, func(m ipam.RDNSMode) bool { return m.String() == d.RDNS })
	if d.RDNS != "" && i < 0 {
		return fmt.Errorf("rdns: %q is none of %v", d.RDNS, modes)
	}
	s.RDNS = modes[max(i, 0)]
	if s.Gateway, err = addrOrNone(d.Gateway); err != nil {
		return fmt.Errorf("gateway_ip: %w", err)
	}
	s.DNSServers = nil
	for _, text := range d.DNSServers {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("dns_servers: %q is not an address", text)
		}
		s.DNSServers = append(s.DNSServers, addr)
	}
	return nil
}

func addrOrNone(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		err = fmt.Errorf("%q is not an address", text)
	}
	return a, err
}

func (a *applier) ranges(docs *[]Range) step {
	inv := a.inv
	return kind[Range, ipam.Range]{
		applier: a, name: "range", docs: docs, list: inv.Ranges, id: func(r ipam.Range) int64 { return r.ID },
		doc: func(r ipam.Range) (Range, error) {
			return Range{r.Type.String(), r.Start.String(), r.End.String(), r.Comment}, nil
		},
		key: func(d Range) string { return d.Start + "-" + d.End },
		fill: func(d Range, r *ipam.Range) (err error) {
			if r.Type, err = ipam.ParseRangeType(d.Type); err != nil {
				return err
			}
			if r.Start, err = netip.ParseAddr(d.Start); err != nil {
				return fmt.Errorf("start_ip: %q is not an address", d.Start)
			}
			if r.End, err = netip.ParseAddr(d.End); err != nil {
				return fmt.Errorf("end_ip: %q is not an address", d.End)
			}
			r.Comment = d.Comment
			return nil
		},
		create: inv.CreateRange, update: inv.UpdateRange,
		remove: func(ctx context.Context, r ipam.Range) error { return inv.DeleteRange(ctx, r.ID) },
	}
}

// subnetByCIDR finds a subnet by its prefix.
func (a *applier) subnetByCIDR(cidr string) (ipam.Subnet, error) {
	all, err := a.inv.Subnets(a.ctx)
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

func (a *applier) routes(docs *[]Route) step {
	inv := a.inv
	return kind[Route, ipam.StaticRoute]{
		applier: a, name: "route", docs: docs, list: inv.Routes, id: func(r ipam.StaticRoute) int64 { return r.ID },
		doc: func(r ipam.StaticRoute) (Route, error) {
			from, err := inv.Subnet(a.ctx, r.SourceID)
			if err != nil {
				return Route{}, err
			}
			to, err := inv.Subnet(a.ctx, r.DestinationID)
			return Route{from.Prefix.String(), to.Prefix.String(), r.Gateway.String(), r.Metric}, err
		},
		key: func(d Route) string {
			return canonical(d.Source) + " to " + canonical(d.Destination) + " via " + d.Gateway
		},
		fill: func(d Route, r *ipam.StaticRoute) error {
			from, err := a.subnetByCIDR(d.Source)
			if err != nil {
				return err
			}
			to, err := a.subnetByCIDR(d.Destination)
			if err != nil {
				return err
			}
			via, err := netip.ParseAddr(d.Gateway)
			if err != nil {
				return fmt.Errorf("gateway_ip: %q is not an address", d.Gateway)
			}
			r.SourceID, r.DestinationID, r.Gateway, r.Metric = from.ID, to.ID, via, d.Metric
			return nil
		},
		create: inv.CreateRoute, update: inv.UpdateRoute,
		remove: func(ctx context.Context, r ipam.StaticRoute) error { return inv.DeleteRoute(ctx, r.ID) },
	}
}

func (a *applier) reserved(docs *[]ReservedIP) step {
	inv := a.inv
	return kind[ReservedIP, ipam.ReservedIP]{
		applier: a, name: "reserved IP", docs: docs, list: inv.ReservedIPs, id: func(r ipam.ReservedIP) int64 { return r.ID },
		doc: func(r ipam.ReservedIP) (ReservedIP, error) {
			return ReservedIP{r.Addr.String(), r.MAC.String(), r.Comment}, nil
		},
		key: func(d ReservedIP) string { return d.IP },
		fill: func(d ReservedIP, r *ipam.ReservedIP) (err error) {
			if r.Addr, err = netip.ParseAddr(d.IP); err != nil {
				return fmt.Errorf("ip: %q is not an address", d.IP)
			}
			if r.MAC, err = net.ParseMAC(d.MAC); err != nil {
				return fmt.Errorf("mac_address: %q is not a MAC address", d.MAC)
			}
			r.Comment = d.Comment
			return nil
		},
		create: inv.CreateReservedIP,
		update: func(ctx context.Context, r ipam.ReservedIP) error { // the address may be for another MAC now
			if err := inv.DeleteReservedIP(ctx, r.ID); err != nil {
				return err
			}
			_, err := inv.CreateReservedIP(ctx, r)
			return err
		},
		remove: func(ctx context.Context, r ipam.ReservedIP) error { return inv.DeleteReservedIP(ctx, r.ID) },
	}
}
