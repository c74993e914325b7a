package maasapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/gomaas/maas/ipam"
)

// Fabric is a fabric as the API shows it.
type Fabric struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	VLANs       []VLAN `json:"vlans"`
	ResourceURI string `json:"resource_uri"`
}

// VLAN is a VLAN as the API shows it.
type VLAN struct {
	ID            int64  `json:"id"`
	VID           int    `json:"vid"`
	Name          string `json:"name"`
	MTU           int    `json:"mtu"`
	FabricID      int64  `json:"fabric_id"`
	DHCPOn        bool   `json:"dhcp_on"`
	PrimaryRack   string `json:"primary_rack"`
	SecondaryRack string `json:"secondary_rack"`
	ResourceURI   string `json:"resource_uri"`
}

// Subnet is a subnet as the API shows it.
type Subnet struct {
	ID          int64    `json:"id"`
	Name        string   `json:"name"`
	CIDR        string   `json:"cidr"`
	GatewayIP   *string  `json:"gateway_ip"`
	DNSServers  []string `json:"dns_servers"`
	Managed     bool     `json:"managed"`
	AllowDNS    bool     `json:"allow_dns"`
	AllowProxy  bool     `json:"allow_proxy"`
	VLAN        VLAN     `json:"vlan"`
	Ranges      []Range  `json:"ip_ranges"`
	ResourceURI string   `json:"resource_uri"`
}

// Range is a range of a subnet.
type Range struct {
	ID      int64  `json:"id"`
	Type    string `json:"type"`
	StartIP string `json:"start_ip"`
	EndIP   string `json:"end_ip"`
}

func vlanOf(v ipam.VLAN) VLAN {
	return VLAN{
		ID: v.ID, VID: v.VID, Name: v.Name, MTU: v.MTU, FabricID: v.FabricID, DHCPOn: v.DHCP,
		PrimaryRack: v.PrimaryRack, SecondaryRack: v.SecondaryRack, ResourceURI: fmt.Sprintf("%svlans/%d/", base, v.ID),
	}
}

func (a *API) listFabrics(r *http.Request) (any, error) {
	fabrics, err := a.inv.Fabrics(r.Context())
	if err != nil {
		return nil, err
	}
	vlans, err := a.inv.VLANs(r.Context())
	if err != nil {
		return nil, err
	}
	out := []Fabric{}
	for _, f := range fabrics {
		shown := Fabric{ID: f.ID, Name: f.Name, VLANs: []VLAN{}, ResourceURI: fmt.Sprintf("%sfabrics/%d/", base, f.ID)}
		for _, v := range vlans {
			if v.FabricID == f.ID {
				shown.VLANs = append(shown.VLANs, vlanOf(v))
			}
		}
		out = append(out, shown)
	}
	return out, nil
}

func (a *API) getFabric(r *http.Request) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	if _, err := a.inv.Fabric(r.Context(), id); err != nil {
		return nil, err
	}
	all, err := a.listFabrics(r)
	if err != nil {
		return nil, err
	}
	for _, f := range all.([]Fabric) {
		if f.ID == id {
			return f, nil
		}
	}
	_, err = a.inv.Fabric(r.Context(), id) // deleted meanwhile
	return nil, err
}

func (a *API) listSubnets(r *http.Request) (any, error) {
	subnets, err := a.inv.Subnets(r.Context())
	if err != nil {
		return nil, err
	}
	out := []Subnet{}
	for _, s := range subnets {
		shown, err := a.subnetOf(r, s)
		if err != nil {
			return nil, err
		}
		out = append(out, shown)
	}
	return out, nil
}

func (a *API) getSubnet(r *http.Request) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	s, err := a.inv.Subnet(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return a.subnetOf(r, s)
}

func (a *API) subnetOf(r *http.Request, s ipam.Subnet) (Subnet, error) {
	out := Subnet{
		ID: s.ID, Name: s.Name, CIDR: s.Prefix.String(), DNSServers: texts(s.DNSServers), Managed: !s.Unmanaged,
		AllowDNS: !s.DenyDNS, AllowProxy: !s.DenyProxy, Ranges: []Range{}, ResourceURI: fmt.Sprintf("%ssubnets/%d/", base, s.ID),
	}
	if s.Gateway.IsValid() {
		text := s.Gateway.String()
		out.GatewayIP = &text
	}
	vlan, err := a.inv.VLAN(r.Context(), s.VLANID)
	if err != nil {
		return out, err
	}
	out.VLAN = vlanOf(vlan)
	ranges, err := a.inv.Ranges(r.Context())
	for _, rg := range ranges {
		if rg.SubnetID == s.ID {
			out.Ranges = append(out.Ranges, Range{ID: rg.ID, Type: rg.Type.String(), StartIP: rg.Start.String(), EndIP: rg.End.String()})
		}
	}
	return out, err
}

func texts(addrs []netip.Addr) []string {
	out := []string{}
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, &badRequest{"id", fmt.Sprintf("%q is not a number", r.PathValue("id"))}
	}
	return id, nil
}

func (a *API) listZones(r *http.Request) (any, error) {
	zones, err := a.inv.Zones(r.Context())
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, z := range zones {
		out = append(out, map[string]any{
			"id": z.ID, "name": z.Name, "description": z.Description, "resource_uri": base + "zones/" + z.Name + "/",
		})
	}
	return out, nil
}

// eventLimit is how many events one answer holds unless the client asks for fewer.
const eventLimit = 1000

func (a *API) listEvents(r *http.Request) (any, error) {
	query := r.URL.Query()
	if query.Get("op") != "query" {
		return nil, &unsupported{"events op=" + query.Get("op")}
	}
	limit := 100
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > eventLimit {
			return nil, &badRequest{"limit", fmt.Sprintf("%q is not a number from 1 to %d", text, eventLimit)}
		}
		limit = n
	}
	var node int64
	if id := query.Get("id"); id != "" {
		m, err := a.inv.MachineByName(r.Context(), id)
		if err != nil {
			return nil, err
		}
		node = m.ID
	}
	events, err := a.inv.LastEvents(r.Context(), node, limit)
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, e := range events {
		list = append(list, map[string]any{
			"id": e.ID, "type": e.Kind, "level": e.Level, "created": e.Time, "description": e.Description,
		})
	}
	return map[string]any{"count": len(list), "events": list}, nil
}
