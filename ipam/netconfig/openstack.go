package netconfig

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/ipam"
)

// The elements of network_data.json, as OpenStack's Nova describes them.
type (
	openStackData struct {
		Links    []openStackLink    `json:"links"`
		Networks []openStackNetwork `json:"networks"`
		Services []openStackService `json:"services"`
	}
	openStackLink struct {
		ID       string   `json:"id"`
		Type     string   `json:"type"` // "phy", "bond" or "vlan"
		MAC      string   `json:"ethernet_mac_address,omitempty"`
		MTU      int      `json:"mtu,omitempty"`
		Links    []string `json:"bond_links,omitempty"`
		Mode     string   `json:"bond_mode,omitempty"`
		MIIMon   int      `json:"bond_miimon,omitempty"`
		Transmit string   `json:"bond_xmit_hash_policy,omitempty"`
		VLANLink string   `json:"vlan_link,omitempty"`
		VLANID   int      `json:"vlan_id,omitempty"`
		VLANMAC  string   `json:"vlan_mac_address,omitempty"`
	}
	openStackNetwork struct {
		ID      string           `json:"id"`
		Type    string           `json:"type"` // "ipv4", "ipv6", "ipv4_dhcp" or "ipv6_dhcp"
		Link    string           `json:"link"`
		Address string           `json:"ip_address,omitempty"`
		Netmask string           `json:"netmask,omitempty"`
		Routes  []openStackRoute `json:"routes,omitempty"`
	}
	openStackRoute struct {
		Network string `json:"network"`
		Netmask string `json:"netmask"`
		Gateway string `json:"gateway"`
	}
	openStackService struct {
		Type    string `json:"type"`
		Address string `json:"address"`
	}
)

// openStack writes network_data.json.
func (r *renderer) openStack() error {
	data := openStackData{Links: []openStackLink{}, Networks: []openStackNetwork{}, Services: []openStackService{}}
	for _, i := range r.ordered() {
		link, ok := r.openStackLink(i)
		if !ok {
			continue
		}
		data.Links = append(data.Links, link)
		data.Networks = append(data.Networks, r.openStackNetworks(i)...)
		for _, rule := range i.Rules {
			r.warn(i, "the rule from %s to table %d cannot be said in network_data.json", rule.From, rule.Table)
		}
	}
	for _, a := range r.DNS {
		data.Services = append(data.Services, openStackService{"dns", a.String()})
	}
	text, err := json.MarshalIndent(data, "", "  ")
	r.file("network_data.json", 0o644, string(text)+"\n")
	return err
}

func (r *renderer) openStackLink(i Interface) (l openStackLink, ok bool) {
	l = openStackLink{ID: i.Name, Type: "phy", MAC: i.MAC.String(), MTU: i.MTU}
	switch i.Kind {
	case ipam.Bridge:
		r.warn(i, "a bridge cannot be said in network_data.json")
		for _, a := range i.Addresses {
			r.warn(i, "the address %s is left out with its bridge", a)
		}
		for _, route := range i.Routes {
			r.warn(i, "the route to %s is left out with its bridge", route.To)
		}
		return l, false
	case ipam.Bond:
		l.Type, l.Links, l.Mode, l.MIIMon, l.Transmit = "bond", i.Parents, i.Bond.Mode, i.Bond.MIIMonitor, i.Bond.TransmitPolicy
	case ipam.VLANInterface:
		// Readers find the interface of a VLAN by a MAC address of its own, which is its parent's.
		l.Type, l.VLANLink, l.VLANID, l.VLANMAC = "vlan", i.Parents[0], i.VID, l.MAC
		if l.VLANMAC == "" {
			l.VLANMAC = r.macOf(i.Parents[0])
		}
		l.MAC = ""
	}
	return l, true
}

// macOf returns the link address of an interface, of its first member if it has none of its own.
func (r *renderer) macOf(name string) string {
	for _, i := range r.Interfaces {
		switch {
		case i.Name != name:
		case len(i.MAC) > 0:
			return i.MAC.String()
		case len(i.Parents) > 0:
			return r.macOf(i.Parents[0])
		}
	}
	return ""
}

// openStackNetworks returns the addresses of an interface; routes are part of the first address of
// their family.
func (r *renderer) openStackNetworks(i Interface) (out []openStackNetwork) {
	add := func(n openStackNetwork) {
		n.ID, n.Link = fmt.Sprintf("%s-%d", i.Name, len(out)), i.Name
		out = append(out, n)
	}
	if i.DHCP4 {
		add(openStackNetwork{Type: "ipv4_dhcp"})
	}
	if i.DHCP6 {
		add(openStackNetwork{Type: "ipv6_dhcp"})
	}
	for _, is4 := range []bool{true, false} {
		family := "ipv6"
		if is4 {
			family = "ipv4"
		}
		addresses := i.addresses(is4)
		for n, a := range addresses {
			network := openStackNetwork{Type: family, Address: a.Addr().String(), Netmask: openStackMask(a)}
			if n == 0 {
				network.Routes = r.openStackRoutes(i, is4)
			}
			add(network)
		}
		if len(addresses) == 0 {
			for _, route := range i.routes(is4) {
				r.warn(i, "the route to %s has no address of its family to go with", route.To)
			}
		}
	}
	return out
}

func (r *renderer) openStackRoutes(i Interface, is4 bool) (out []openStackRoute) {
	for _, route := range i.routes(is4) {
		switch {
		case route.Table != 0:
			r.warn(i, "the route to %s of table %d cannot be said in network_data.json", route.To, route.Table)
			continue
		case !route.Via.IsValid():
			r.warn(i, "the route to %s without a gateway cannot be said in network_data.json", route.To)
			continue
		case route.Metric != 0:
			r.warn(i, "the metric of the route to %s cannot be said in network_data.json", route.To)
		}
		out = append(out, openStackRoute{route.To.Masked().Addr().String(), openStackMask(route.To), route.Via.String()})
	}
	return out
}

// openStackMask returns the mask of a network as Nova writes it, in full for IPv6 too.
func openStackMask(p netip.Prefix) string {
	if p.Addr().Is4() {
		return netmask(p)
	}
	var mask [16]byte
	for bit := range p.Bits() {
		mask[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom16(mask).String()
}
