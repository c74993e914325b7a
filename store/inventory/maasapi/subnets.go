package maasapi

import (
	"context"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"

	"go4.org/netipx"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Subnet is a subnet, with MAAS' fields.
type Subnet struct {
	ID              int64       `json:"id"`
	Name            string      `json:"name"`
	Description     string      `json:"description"`
	CIDR            string      `json:"cidr"`
	Space           string      `json:"space"`
	GatewayIP       *string     `json:"gateway_ip"`
	DNSServers      []string    `json:"dns_servers"`
	RDNSMode        int         `json:"rdns_mode"`
	Managed         bool        `json:"managed"`
	AllowDNS        bool        `json:"allow_dns"`
	AllowProxy      bool        `json:"allow_proxy"`
	ActiveDiscovery bool        `json:"active_discovery"`
	DisabledBoot    []string    `json:"disabled_boot_architectures"`
	TagNames        []string    `json:"tag_names"`          // MAAS does not tag subnets
	Relays          []string    `json:"relays"`             // MAAS does not bind relays
	Delegated       []string    `json:"delegated_prefixes"` // MAAS delegates none
	VLAN            *vlanJSON   `json:"vlan"`
	Ranges          []rangeJSON `json:"ip_ranges"`
	ResourceURI     string      `json:"resource_uri"`
}

// subnets serves subnets. Getting one has operations; see getSubnet.
func (a *API) subnets() crud[ipam.Subnet] {
	return crud[ipam.Subnet]{
		shown: Subnet{}, tx: a.tx, all: every(a.inv.Subnets.List), find: a.subnetOfPath, show: a.showSubnets, read: a.subnetForm,
		create: a.inv.Subnets.Create, update: a.inv.Subnets.Update,
		remove: func(ctx context.Context, r *http.Request, s ipam.Subnet) error {
			force, _ := form.ParseBool(r.URL.Query().Get("force"))
			if force {
				return a.inv.ForceDeleteSubnet(ctx, s.ID)
			}
			return a.inv.Subnets.Delete(ctx, s.ID)
		},
	}
}

// subnetOfPath returns the subnet of the path: a number, a prefix, a name or another specifier of
// MAAS.
func (a *API) subnetOfPath(r *http.Request) (ipam.Subnet, error) {
	text := r.PathValue("id")
	if id, err := strconv.ParseInt(text, 10, 64); err == nil {
		return a.inv.Subnets.Get(r.Context(), id)
	}
	return a.inv.Subnets.Find(r.Context(), text)
}

// showSubnets shows subnets.
func (a *API) showSubnets(r *http.Request, subnets []ipam.Subnet) ([]any, error) {
	view, err := a.subnetViewOf(r, subnets)
	var out []any
	for _, s := range subnets {
		out = append(out, view.show(s))
	}
	return out, err
}

// subnetView holds the objects that subnets refer to and consist of, so that many subnets are shown
// with one read of each kind.
type subnetView struct {
	vlanView
	subnets map[int64]ipam.Subnet
	ranges  map[int64][]ipam.Range
	tags    map[int64][]string // names
}

// subnetView reads the objects that subnets refer to and consist of.
func (a *API) subnetView(r *http.Request) (v subnetView, err error) {
	if v.vlanView, err = a.vlanView(r); err != nil {
		return v, err
	}
	subnets, err := a.inv.Subnets.List(r.Context())
	if err != nil {
		return v, err
	}
	v.subnets, v.ranges = map[int64]ipam.Subnet{}, map[int64][]ipam.Range{}
	for _, s := range subnets {
		v.subnets[s.ID] = s
	}
	ranges, err := a.inv.Ranges.List(r.Context())
	for _, rg := range ranges {
		v.ranges[rg.SubnetID] = append(v.ranges[rg.SubnetID], rg)
	}
	if err != nil {
		return v, err
	}
	v.tags, err = a.inv.Tags.OfSubnets(r.Context())
	return v, err
}

// subnetViewOf returns the objects that the subnets refer to. For one subnet it reads these alone,
// so that a client that asks for a subnet every second does not make the region read the whole
// site.
func (a *API) subnetViewOf(r *http.Request, subnets []ipam.Subnet) (v subnetView, err error) {
	if len(subnets) != 1 {
		return a.subnetView(r)
	}
	ctx, s := r.Context(), subnets[0]
	v.vlanView = vlanView{base: a.base, fabrics: map[int64]string{}, spaces: map[int64]string{0: undefinedSpace}, vlans: map[int64]ipam.VLAN{}}
	// The VLAN and the one that it relays to; a VLAN that was read already ends a circle.
	for id := s.VLANID; id != 0 && v.vlans[id].ID == 0; id = v.vlans[id].RelayVLANID {
		vlan, err := a.vlansByID.Get(ctx, id)
		if err != nil {
			return v, err
		}
		fabric, err := a.fabricsByID.Get(ctx, vlan.FabricID)
		if err != nil {
			return v, err
		}
		v.vlans[id], v.fabrics[fabric.ID] = vlan, fabric.Name
		if vlan.SpaceID != 0 {
			space, err := a.spacesByID.Get(ctx, vlan.SpaceID)
			if err != nil {
				return v, err
			}
			v.spaces[space.ID] = space.Name
		}
	}
	ranges, err := a.subnetRanges.RangesOf(ctx, s.ID)
	if err != nil {
		return v, err
	}
	tags, err := a.subnetTags.OfSubnet(ctx, s.ID)
	v.ranges, v.tags = map[int64][]ipam.Range{s.ID: ranges}, map[int64][]string{s.ID: tags}
	return v, err
}

// show shows a subnet. Flags are stored negated, so that a zero ipam.Subnet has MAAS' defaults.
func (v subnetView) show(s ipam.Subnet) Subnet {
	out := Subnet{
		ID: s.ID, Name: s.Name, Description: s.Description, CIDR: s.Prefix.String(), DNSServers: texts(s.DNSServers),
		RDNSMode: slices.Index(rdnsModes, s.RDNS), Managed: !s.Unmanaged, AllowDNS: !s.DenyDNS, AllowProxy: !s.DenyProxy,
		ActiveDiscovery: s.ActiveDiscovery, DisabledBoot: append([]string{}, s.DisabledBootMethods...), VLAN: v.vlanView.byID(s.VLANID),
		Relays: texts(s.Relays), Delegated: texts(s.Delegated), TagNames: append([]string{}, v.tags[s.ID]...), Ranges: []rangeJSON{}, ResourceURI: fmt.Sprintf("%ssubnets/%d/", v.base, s.ID), Space: v.spaces[v.vlans[s.VLANID].SpaceID],
	}
	if s.Gateway.IsValid() {
		text := s.Gateway.String()
		out.GatewayIP = &text
	}
	for _, r := range v.ranges[s.ID] {
		out.Ranges = append(out.Ranges, v.rangeOf(r))
	}
	return out
}

// byID shows a subnet; nil if it was deleted since the reference to it was read.
func (v subnetView) byID(id int64) *Subnet {
	s, ok := v.subnets[id]
	if !ok {
		return nil
	}
	shown := v.show(s)
	return &shown
}

// subnetForm reads a subnet. As in MAAS, a new subnet is put on the named VLAN, else on the VLAN
// with the given vid of the given fabric; the default fabric and its untagged VLAN are used for
// what is not given.
func (a *API) subnetForm(r *http.Request, f *form.Form, s *ipam.Subnet) {
	f.Prefix("cidr", &s.Prefix)
	f.Text("name", &s.Name)
	f.Text("description", &s.Description)
	f.Addr("gateway_ip", &s.Gateway)
	f.Addrs("dns_servers", &s.DNSServers)
	f.Addrs("relays", &s.Relays)
	if f.Has("delegated_prefixes") {
		s.Delegated = nil
		for _, text := range f.List("delegated_prefixes") {
			var p ipam.PrefixPool
			if err := p.UnmarshalText([]byte(text)); err != nil {
				f.Wrong("delegated_prefixes", "%v", err)
			}
			s.Delegated = append(s.Delegated, p)
		}
	}
	f.Not("managed", &s.Unmanaged)
	f.Not("allow_dns", &s.DenyDNS)
	f.Not("allow_proxy", &s.DenyProxy)
	f.Flag("active_discovery", &s.ActiveDiscovery)
	if f.Has("disabled_boot_architectures") {
		s.DisabledBootMethods = f.List("disabled_boot_architectures")
	}
	mode := slices.Index(rdnsModes, s.RDNS)
	if f.Number("rdns_mode", &mode); mode < 0 || mode >= len(rdnsModes) {
		f.Wrong("rdns_mode", "%d is none of 0 (none), 1 (reverse zone) and 2 (with RFC 2317)", mode)
		return
	}
	s.RDNS = rdnsModes[mode]
	readRef(f, "vlan", &s.VLANID, a.vlanRef(r))
	fabric, vid := f.Get("fabric"), f.Get("vid")
	switch {
	case f.Err != nil:
	case f.Get("vlan") != "":
		a.sameVLAN(r, f, s.VLANID)
	// Clients send vid=0 for "not given". The inventory chooses the VLAN of a new subnet then.
	case fabric != "" || vid != "" && (s.ID != 0 || vid != "0"):
		s.VLANID = a.vlanOfForm(r, f)
	}
}

// sameVLAN refuses a fabric and a vid beside a VLAN that is another one.
func (a *API) sameVLAN(r *http.Request, f *form.Form, id int64) {
	v, err := a.vlansByID.Get(r.Context(), id)
	if err != nil {
		f.Wrong("vlan", "%s", plain(err))
		return
	}
	fabric, vid := v.FabricID, v.VID
	if f.Get("fabric") != "" {
		readRef(f, "fabric", &fabric, a.fabricRef(r))
	}
	if f.Get("vid") != "" && f.Get("vid") != "0" {
		f.Number("vid", &vid)
	}
	if f.Err == nil && (fabric != v.FabricID || vid != v.VID) {
		f.Wrong("vlan", "is not the VLAN that fabric and vid name; give one or the other")
	}
}

// vlanOfForm returns the VLAN with the form's vid in its fabric. Without a fabric it is the first
// one, which the site was created with.
func (a *API) vlanOfForm(r *http.Request, f *form.Form) int64 {
	var fabric int64
	readRef(f, "fabric", &fabric, a.fabricRef(r))
	if fabric == 0 && f.Err == nil {
		fabrics, err := a.inv.Fabrics.List(r.Context())
		if err != nil || len(fabrics) == 0 {
			f.Wrong("fabric", "is needed: there is none")
			return 0
		}
		fabric = fabrics[0].ID
	}
	vid := 0
	if f.Number("vid", &vid); f.Err != nil {
		return 0
	}
	v, err := a.inv.VLANByVID(r.Context(), fabric, vid)
	if err != nil {
		f.Wrong("vid", "the fabric has no VLAN %d", vid)
	}
	return v.ID
}

// getSubnet returns a subnet, or with op= the use of its addresses.
func (a *API) getSubnet(r *http.Request) (any, error) {
	s, err := a.subnetOfPath(r)
	if err != nil {
		return nil, err
	}
	op := r.URL.Query().Get("op")
	if op == "" {
		return a.subnets().one(r, s, nil)
	}
	if op == "ip_addresses" {
		return a.subnetAddresses(r, s)
	}
	u, err := a.inv.Usage(r.Context(), s.ID)
	if err != nil {
		return nil, err
	}
	switch op {
	case "statistics":
		return statistics(s, u), nil
	case "reserved_ip_ranges":
		return reservedRanges(u), nil
	case "unreserved_ip_ranges":
		return spans(u.Free()), nil
	}
	return nil, &unsupported{"subnet op=" + op}
}

// statisticsJSON counts the addresses of a subnet. The counts of an IPv6 subnet exceed 64 bits;
// they are exact.
type statisticsJSON struct {
	Total            *big.Int `json:"total_addresses"`
	Available        *big.Int `json:"num_available"`
	Largest          *big.Int `json:"largest_available"`
	Unavailable      *big.Int `json:"num_unavailable"`
	Usage            float64  `json:"usage"`
	UsageString      string   `json:"usage_string"`
	AvailableString  string   `json:"available_string"`
	First            string   `json:"first_address"`
	Last             string   `json:"last_address"`
	IPVersion        int      `json:"ip_version"`
	SuggestedGateway string   `json:"suggested_gateway,omitempty"`
	SuggestedRange   string   `json:"suggested_dynamic_range,omitempty"`
}

// statistics shows the use of a subnet's addresses, with suggestions for fields that are not set.
func statistics(s ipam.Subnet, u *ipam.Usage) statisticsJSON {
	st := u.Statistics()
	used := 0.0
	if st.Total.Sign() > 0 {
		used, _ = new(big.Rat).SetFrac(st.Used, st.Total).Float64()
	}
	out := statisticsJSON{
		Total: st.Total, Available: st.Available, Largest: st.Largest, Unavailable: st.Used, Usage: used,
		UsageString: fmt.Sprintf("%.0f%%", used*100), AvailableString: fmt.Sprintf("%.0f%%", (1-used)*100),
		First: st.First.String(), Last: st.Last.String(), IPVersion: 4,
	}
	if s.Prefix.Addr().Is6() {
		out.IPVersion = 6
	}
	if a := u.SuggestedGateway(); a.IsValid() {
		out.SuggestedGateway = a.String()
	}
	if r := u.SuggestedDynamicRange(); r.IsValid() {
		out.SuggestedRange = r.String()
	}
	return out
}

// addressSpanJSON is a run of consecutive addresses.
type addressSpanJSON struct {
	Start   string   `json:"start"`
	End     string   `json:"end"`
	Count   *big.Int `json:"num_addresses"`
	Purpose []string `json:"purpose,omitempty"`
}

// spanOf shows a run of addresses.
func spanOf(r netipx.IPRange) addressSpanJSON {
	count := new(big.Int).Sub(new(big.Int).SetBytes(r.To().AsSlice()), new(big.Int).SetBytes(r.From().AsSlice()))
	return addressSpanJSON{Start: r.From().String(), End: r.To().String(), Count: count.Add(count, big.NewInt(1))}
}

// spans shows a set of addresses as runs.
func spans(set *netipx.IPSet) []addressSpanJSON {
	out := []addressSpanJSON{}
	for _, r := range set.Ranges() {
		out = append(out, spanOf(r))
	}
	return out
}

// reservedRanges shows the runs of addresses in use with their purposes. Runs without a purpose are
// free.
func reservedRanges(u *ipam.Usage) []addressSpanJSON {
	out := []addressSpanJSON{}
	for _, s := range u.Spans() {
		if s.Purpose == 0 {
			continue
		}
		span := spanOf(s.Range)
		span.Purpose = s.Purpose.Names()
		out = append(out, span)
	}
	return out
}
