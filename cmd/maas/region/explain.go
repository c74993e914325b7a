package region

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/plan"
)

// explainTime limits the call to each rack; the answer contains the racks that were too late with
// their error.
const explainTime = 10 * time.Second

// explainRoutes returns the endpoints that explain decisions of racks.
func (r *Region) explainRoutes() map[string]maasapi.Endpoint {
	return map[string]maasapi.Endpoint{
		"GET /api/v1/explain/dhcp":        r.getDHCPExplanation,
		"GET /api/v1/explain/boot/{name}": r.getBootExplanation,
		"GET /api/v1/explain/ip/{ip}":     r.getAddressExplanation,

		"GET /api/v1/explain/network/{name}": r.getNetworkExplanation,
	}
}

// RackAnswer is the answer of one rack, or the error of the call.
type RackAnswer struct {
	Rack  string `json:"rack"`
	Error string `json:"error,omitempty"`
	explain.Answer
}

// askRacks asks all racks of the site at once: one that is away would hold up the others for
// explainTime.
func (r *Region) askRacks(ctx context.Context, q explain.Query) ([]RackAnswer, error) {
	racks, err := r.inv.Racks.List(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, explainTime)
	defer cancel()
	out := make([]RackAnswer, len(racks))
	done := make(chan struct{})
	for i, rack := range racks {
		go func() {
			defer func() { done <- struct{}{} }()
			out[i].Rack = rack.Name
			// Each goroutine writes its own element, so no lock is needed.
			answer, err := explain.Ask(ctx, r.rack(rack.Name), q)
			if err != nil {
				out[i].Error = err.Error()
			}
			out[i].Answer = answer
		}()
	}
	for range racks {
		<-done
	}
	return out, nil
}

// DHCPExplanation contains the answers that the site's racks would give a client.
type DHCPExplanation struct {
	MAC     string `json:"mac"`
	Machine string `json:"machine,omitempty"` // that has the MAC
	// Unserved says of each subnet that no rack serves why; with many, of the first ones.
	Unserved []string     `json:"unserved,omitempty"`
	Racks    []RackAnswer `json:"racks"`
}

// getDHCPExplanation serves the parameters mac, arch, subnet or vlan, and ipv6=true. Arch is such
// as uefi or bios, or none for an operating system; if empty, it is the machine's.
func (r *Region) getDHCPExplanation(req *http.Request) (any, error) {
	query := req.URL.Query()
	mac, err := firmware.ParseMAC(query.Get("mac"))
	if err != nil {
		return nil, maasapi.BadField("mac", "is needed, and is a MAC address such as 02:00:00:00:00:01")
	}
	q := explain.Query{MAC: mac.String(), IPv6: query.Get("ipv6") == "true"}
	// An unknown MAC is a fair question: what would a machine get that is new to the site?
	m, err := r.inv.MachineByMAC(req.Context(), mac)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if q.Arch, err = archOf(query.Get("arch"), m); err != nil {
		return nil, err
	}
	if q.Subnets, err = r.subnetsOf(req.Context(), query.Get("subnet"), query.Get("vlan")); err != nil {
		return nil, err
	}
	out := DHCPExplanation{MAC: q.MAC, Machine: m.FQDN}
	if out.Unserved, err = r.unserved(req.Context(), q.Subnets); err != nil {
		return nil, err
	}
	out.Racks, err = r.askRacks(req.Context(), q)
	return out, err
}

// maxUnserved bounds the subnets that an answer names as not served.
const maxUnserved = 12

// unserved says why DHCP is not served on subnets; nil = of all.
func (r *Region) unserved(ctx context.Context, prefixes []netip.Prefix) (out []string, err error) {
	all, err := r.inv.Subnets.List(ctx)
	if err != nil {
		return nil, err
	}
	list, err := r.inv.VLANs.List(ctx)
	vlans := make(map[int64]ipam.VLAN, len(list))
	for _, v := range list {
		vlans[v.ID] = v
	}
	for _, s := range all {
		if prefixes != nil && !slices.Contains(prefixes, s.Prefix) || len(out) == maxUnserved {
			continue
		}
		if why := whyUnserved(s, vlans); why != "" {
			out = append(out, "subnet "+s.Prefix.String()+" "+why)
		}
	}
	return out, err
}

// whyUnserved returns why no rack serves DHCP in a subnet; "" = the site lets racks do it.
func whyUnserved(s ipam.Subnet, vlans map[int64]ipam.VLAN) string {
	v := vlans[s.VLANID]
	target, relayed := vlans[v.RelayVLANID]
	switch {
	case s.Unmanaged:
		return "is unmanaged: DHCP there is the matter of its own administrator, and this site answers no client"
	case !v.DHCP && relayed && !target.DHCP:
		return "is relayed to VLAN " + target.String() + ", where DHCP is off"
	case !v.DHCP && !relayed:
		return "is on VLAN " + v.String() + ", where DHCP is off"
	}
	return ""
}

// subnetsOf returns the prefixes of a subnet or of the subnets of a VLAN; nil = all.
func (r *Region) subnetsOf(ctx context.Context, subnet, vlan string) (out []netip.Prefix, err error) {
	if subnet != "" {
		s, err := r.inv.Subnets.Find(ctx, subnet)
		return []netip.Prefix{s.Prefix}, err
	}
	if vlan == "" {
		return nil, nil
	}
	v, err := r.inv.VLANs.Find(ctx, vlan)
	if err != nil {
		return nil, err
	}
	all, err := r.inv.Subnets.List(ctx)
	for _, s := range all {
		if s.VLANID == v.ID {
			out = append(out, s.Prefix)
		}
	}
	if err == nil && len(out) == 0 {
		return nil, maasapi.BadField("vlan", "has no subnets")
	}
	return out, err
}

// BootExplanation contains the profile that a machine would boot, and its origin.
type BootExplanation struct {
	Machine string       `json:"machine,omitempty"`
	MAC     string       `json:"mac"`
	Why     string       `json:"why"`
	Racks   []RackAnswer `json:"racks"`
}

// getBootExplanation serves a machine by name or MAC, with arch as for DHCP. The profile may depend
// on the subnet, so the racks that serve the machine answer.
func (r *Region) getBootExplanation(req *http.Request) (any, error) {
	m, mac, err := r.machineNamed(req.Context(), req.PathValue("name"))
	if err != nil {
		return nil, err
	}
	q := explain.Query{MAC: mac.String(), Boot: true}
	if q.Arch, err = archOf(req.URL.Query().Get("arch"), m); err != nil {
		return nil, err
	}
	out := BootExplanation{Machine: m.FQDN, MAC: q.MAC}
	model, err := r.inv.Model(req.Context())
	if err != nil {
		return nil, err
	}
	out.Why = whyProfile(model, m)
	out.Racks, err = r.askRacks(req.Context(), q)
	// Racks know the resulting profile, but not the rule that it comes from.
	for _, a := range out.Racks {
		if a.Boot != nil {
			a.Boot.Rule = bootRule(model, m, a.Boot.Addr)
		}
	}
	return out, err
}

// machineNamed finds a machine by name, system ID or MAC. An unknown MAC is a machine without an
// ID: it would be enlisted.
func (r *Region) machineNamed(ctx context.Context, name string) (inventory.Machine, net.HardwareAddr, error) {
	if mac, err := firmware.ParseMAC(name); err == nil {
		m, err := r.inv.MachineByMAC(ctx, mac)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return m, mac, err
	}
	m, err := r.inv.Machines.Find(ctx, name)
	if err != nil {
		return m, nil, err
	}
	i, ok := m.BootInterface()
	if !ok || len(i.MAC) == 0 {
		return m, nil, maasapi.BadField("name", m.FQDN+" has no interface to boot from")
	}
	return m, i.MAC, nil
}

// archOf reads the firmware of a query. The default is the firmware that the machine was last seen
// with, or the most common one of its architecture.
func archOf(text string, m inventory.Machine) (*firmware.Arch, error) {
	if text != "" {
		arch, err := explain.ParseArch(text)
		if err != nil {
			err = maasapi.BadField("arch", err.Error())
		}
		return arch, err
	}
	if arch, ok := seenArch(m.Firmware, m.Architecture); ok {
		return &arch, nil
	}
	usual, ok := uefiArchs[family(m.Architecture)]
	if !ok {
		usual = firmware.ArchEFI64
	}
	return &usual, nil
}

// uefiArchs and otherArchs are the architectures by the names in events: those whose firmware is
// UEFI, and those with another firmware.
var (
	uefiArchs = map[string]firmware.Arch{
		"amd64": firmware.ArchEFI64, "i386": firmware.ArchEFI32, "arm64": firmware.ArchARM64, "armhf": firmware.ArchARM32, "riscv64": firmware.ArchRISCV64,
		"loong32": firmware.ArchLoong32, "loong64": firmware.ArchLoong64,
	}
	otherArchs = map[string]firmware.Arch{
		"bios": firmware.ArchBIOS, "arm64": firmware.ArchARM64UBoot, "armhf": firmware.ArchARM32UBoot, "ppc64el": firmware.ArchPowerNV, "s390x": firmware.ArchS390Basic,
	}
)

// family returns the part of MAAS' name of an architecture before the slash.
func family(architecture string) string {
	name, _, _ := strings.Cut(architecture, "/")
	return name
}

// seenArch returns the architecture of a firmware as firmwareOf names it: by its boot method, or by
// its kind before a method that several kinds use, as in bios-ipxe.
func seenArch(seen, architecture string) (firmware.Arch, bool) {
	kind, rest, _ := strings.Cut(seen, "-")
	// A method may have several architecture codes; firmware that uses it is served alike for each.
	for _, name := range []string{seen, rest} {
		if method, ok := firmware.MethodNamed(name); ok && len(method.Arch) > 0 {
			// A kernel that firmware runs itself is handed to several processors alike.
			i := slices.IndexFunc(method.Arch, func(a firmware.Arch) bool { return a.String() == family(architecture) })
			return method.Arch[max(0, i)], true
		}
	}
	if kind == "uefi" {
		arch, ok := uefiArchs[family(architecture)]
		return arch, ok
	}
	arch, ok := otherArchs[kind]
	return arch, ok
}

// whyProfile describes the origin of the profile, as far as it does not depend on the subnet.
func whyProfile(model *inventory.Model, m inventory.Machine) string {
	if m.ID == 0 {
		return "no machine has this MAC: it gets the profile of the subnet where it boots, or the site's default, and is enlisted"
	}
	why := "neither the machine nor its tags have a profile: it gets that of the subnet where it boots, or the site's default"
	if by := plan.BootRule(model, &m, nil); m.Profile != nil {
		why = "the machine has a profile of its own"
	} else if strings.HasPrefix(by, "tag ") {
		why = "the machine has the profile of its " + by
	}
	if len(m.Tags) > 0 {
		why += "; kernel options of its tags (" + strings.Join(m.Tags, ", ") + ") and of the site are added"
	}
	return why
}

// bootRule names the rule that decides for a machine at an address.
func bootRule(model *inventory.Model, m inventory.Machine, a netip.Addr) string {
	machine := &m
	if m.ID == 0 {
		machine = nil
	}
	var at *ipam.Subnet
	for i := range model.Subnets {
		if s := &model.Subnets[i]; s.Prefix.Contains(a) {
			at = s
		}
	}
	return cmp.Or(plan.BootRule(model, machine, at), "none: it finds nothing and goes on with its next boot device")
}

// AddressExplanation contains all that the site knows about an address.
type AddressExplanation struct {
	IP     netip.Addr `json:"ip"`
	Subnet string     `json:"subnet,omitempty"`
	VLAN   string     `json:"vlan,omitempty"` // fabric and tag
	// At is the time that was asked for; zero = now.
	At time.Time `json:"at,omitzero"`
	// Facts are in order of certainty: what was configured precedes what was observed.
	Facts []AddressFact `json:"facts"`
	Racks []RackAnswer  `json:"racks"` // leases
}

// AddressFact is one finding about an address.
type AddressFact struct {
	Kind  string    `json:"kind"` // unmanaged, gateway, range, allocation, reservation, rack, discovery, dns, delegated, lease, history
	Text  string    `json:"text"`
	Who   string    `json:"who,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// getAddressExplanation serves an address. Racks are asked after the database, outside of its
// transaction: one that is away would hold it open.
func (r *Region) getAddressExplanation(req *http.Request) (any, error) {
	ip, err := netip.ParseAddr(req.PathValue("ip"))
	if err != nil {
		return nil, maasapi.BadField("ip", fmt.Sprintf("%q is not an IP address", req.PathValue("ip")))
	}
	ip = ip.Unmap() // the database has IPv4 addresses in their short form
	if text := req.URL.Query().Get("at"); text != "" {
		at, err := maasapi.ParseTime(text, time.Now())
		if err != nil {
			return nil, maasapi.BadField("at", err.Error())
		}
		return r.explainPast(req.Context(), ip, at)
	}
	out := AddressExplanation{IP: ip, Facts: []AddressFact{}}
	err = r.inv.Consistently(req.Context(), func(ctx context.Context) error {
		model, err := r.inv.Model(ctx)
		if err != nil {
			return err
		}
		out.Facts = out.Facts[:0] // the database may ask for another run
		return r.explainAddress(ctx, model, &out)
	})
	if err != nil {
		return nil, err
	}
	out.Racks, err = r.askRacks(req.Context(), explain.Query{Addr: ip})
	// Racks that do not serve the address have no lease of it, and would be noise.
	out.Racks = slices.DeleteFunc(out.Racks, func(a RackAnswer) bool { return a.Lease == nil && a.Error == "" })
	return out, err
}

// explainAddress adds the facts of the database, in the order in which they are shown.
func (r *Region) explainAddress(ctx context.Context, model *inventory.Model, out *AddressExplanation) error {
	add := func(f AddressFact) { out.Facts = append(out.Facts, f) }
	subnet, err := r.inv.SubnetFor(ctx, out.IP)
	switch {
	case err == nil:
		if err := r.explainSubnet(ctx, subnet, out); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if err := r.explainDelegated(ctx, out); err != nil {
			return err
		}
	}
	reserved, err := r.inv.ReservedIPs.List(ctx)
	if err != nil {
		return err
	}
	for _, x := range reserved {
		if x.Addr == out.IP {
			add(AddressFact{Kind: "reservation", Text: strings.TrimSuffix("reserved for "+x.MAC.String()+": "+x.Comment, ": "), Who: x.MAC.String()})
		}
	}
	seen, err := r.inv.Discoveries.List(ctx, inventory.AllDiscoveries)
	if err != nil {
		return err
	}
	for _, d := range seen {
		if d.Addr == out.IP {
			text := fmt.Sprintf("seen by rack %s on %s from %s", d.Rack, d.Link, d.MAC)
			if d.Hostname != "" {
				text += ", which calls itself " + d.Hostname
			}
			add(AddressFact{Kind: "discovery", Text: text, Who: d.MAC.String(), Since: d.FirstSeen, Until: d.LastSeen})
		}
	}
	r.explainNames(model, out)
	return nil
}

// explainDelegated adds the router that has the prefix of an address.
func (r *Region) explainDelegated(ctx context.Context, out *AddressExplanation) error {
	subnet, err := r.inv.SubnetDelegating(ctx, out.IP)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	out.Facts = append(out.Facts, AddressFact{Kind: "delegated", Text: "in the prefixes that routers of subnet " + subnet.Prefix.String() + " are delegated"})
	found, err := r.inv.Leases.Find(ctx, inventory.LeaseFilter{Addr: out.IP})
	for _, l := range found {
		who := cmp.Or(l.MAC.String(), "client "+l.ClientID)
		text := fmt.Sprintf("part of %v, which is delegated to %s", netip.PrefixFrom(l.Addr, l.Bits), who)
		if name := cmp.Or(l.FQDN, l.Hostname); name != "" {
			text += " (" + name + ")"
		}
		out.Facts = append(out.Facts, AddressFact{Kind: "lease", Text: text, Who: who, Since: l.Began, Until: l.Expires})
	}
	return err
}

// explainSubnet adds the role of the address in its subnet, and its holder.
func (r *Region) explainSubnet(ctx context.Context, subnet ipam.Subnet, out *AddressExplanation) error {
	add := func(f AddressFact) { out.Facts = append(out.Facts, f) }
	out.Subnet = subnet.Prefix.String()
	vlan, err := r.inv.VLANs.Get(ctx, subnet.VLANID)
	if err != nil {
		return err
	}
	fabric, err := r.inv.Fabrics.Get(ctx, vlan.FabricID)
	if err != nil {
		return err
	}
	out.VLAN = fmt.Sprintf("%s/%d", fabric.Name, vlan.VID)
	if subnet.Unmanaged {
		add(AddressFact{Kind: "unmanaged", Text: "the site serves no DHCP in " + out.Subnet + ", and gives out its addresses only inside of reserved ranges"})
	}
	if subnet.Gateway == out.IP {
		add(AddressFact{Kind: "gateway", Text: "the gateway of " + out.Subnet})
	}
	ranges, err := r.inv.Ranges.List(ctx)
	if err != nil {
		return err
	}
	for _, x := range ranges {
		if x.Start.Compare(out.IP) <= 0 && out.IP.Compare(x.End) <= 0 {
			text := fmt.Sprintf("in the %s range %s-%s", x.Type, x.Start, x.End)
			switch {
			case subnet.Unmanaged && x.Type == ipam.RangeDynamic:
				text += ", which no rack serves while the subnet is unmanaged"
			case subnet.Unmanaged:
				text += ", from which the site gives out addresses"
			}
			add(AddressFact{Kind: "range", Text: strings.TrimSuffix(text+": "+x.Comment, ": "), Who: x.Owner})
		}
	}
	held, err := r.inv.Allocations(ctx, subnet.ID)
	for _, x := range held {
		if x.Addr != out.IP {
			continue
		}
		who := x.Holder
		if who == "" {
			who = x.Owner
		}
		text := strings.TrimSuffix(fmt.Sprintf("%s address of %s: %s", x.Type, who, x.Comment), ": ")
		add(AddressFact{Kind: "allocation", Text: text, Who: who, Since: x.Created, Until: x.Expires})
	}
	return err
}

// explainNames adds the names in DNS, and the racks that have the address.
func (r *Region) explainNames(model *inventory.Model, out *AddressExplanation) {
	for _, k := range model.Racks {
		for _, l := range k.Links {
			if slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Addr() == out.IP }) {
				out.Facts = append(out.Facts, AddressFact{Kind: "rack", Text: "rack " + k.Name + " has it on " + l.Name, Who: k.Name})
			}
		}
	}
	for _, set := range plan.DNS(model).Sets {
		if slices.Contains(set.Data, out.IP.String()) {
			out.Facts = append(out.Facts, AddressFact{Kind: "dns", Text: strings.TrimSuffix(set.Name, ".") + " leads to it", Who: strings.TrimSuffix(set.Name, ".")})
		}
	}
}
