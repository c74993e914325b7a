package maasapi

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// fabricJSON is a fabric as the API shows it.
type fabricJSON struct {
	ID          int64      `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	ClassType   string     `json:"class_type"`
	VLANs       []vlanJSON `json:"vlans"`
	ResourceURI string     `json:"resource_uri"`
}

// vlanJSON is a VLAN as the API shows it.
type vlanJSON struct {
	ID            int64     `json:"id"`
	VID           int       `json:"vid"`
	Name          string    `json:"name"`
	Description   string    `json:"description"`
	MTU           int       `json:"mtu"`
	Fabric        string    `json:"fabric"`
	FabricID      int64     `json:"fabric_id"`
	Space         string    `json:"space"`
	DHCPOn        bool      `json:"dhcp_on"`
	DHCPMode      string    `json:"dhcp_mode"` // serve, proxy, auto or watch; MAAS has no such field
	PrimaryRack   string    `json:"primary_rack"`
	SecondaryRack string    `json:"secondary_rack"`
	RelayVLAN     *vlanJSON `json:"relay_vlan"`
	ResourceURI   string    `json:"resource_uri"`
}

// fabrics serves fabrics with their VLANs.
func (a *API) fabrics() crud[ipam.Fabric] {
	return crud[ipam.Fabric]{
		shown: fabricJSON{}, tx: a.tx, all: every(a.inv.Fabrics.List), find: numbered(a.inv.Fabrics.Get),
		show: func(r *http.Request, fabrics []ipam.Fabric) ([]any, error) {
			view, err := a.vlanView(r)
			var out []any
			for _, f := range fabrics {
				out = append(out, view.fabric(f))
			}
			return out, err
		},
		read: func(_ *http.Request, f *form.Form, to *ipam.Fabric) {
			f.Text("name", &to.Name)
			f.Text("description", &to.Description)
			f.Text("class_type", &to.ClassType)
		},
		create: a.inv.Fabrics.Create, update: a.inv.Fabrics.Update,
		remove: removing(a.inv.Fabrics.Delete, func(f ipam.Fabric) int64 { return f.ID }),
	}
}

// vlans serves the VLANs of the fabric in the path, by VID.
func (a *API) vlans() crud[ipam.VLAN] {
	c := a.vlansByNumber()
	c.all = func(r *http.Request) ([]ipam.VLAN, error) {
		f, err := numbered(a.inv.Fabrics.Get)(r)
		if err != nil {
			return nil, err
		}
		all, err := a.inv.VLANs.List(r.Context())
		var out []ipam.VLAN
		for _, v := range all {
			if v.FabricID == f.ID {
				out = append(out, v)
			}
		}
		return out, err
	}
	c.find = func(r *http.Request) (ipam.VLAN, error) {
		f, err := numbered(a.inv.Fabrics.Get)(r)
		if err != nil {
			return ipam.VLAN{}, err
		}
		vid, err := strconv.Atoi(r.PathValue("vid"))
		if err != nil {
			return ipam.VLAN{}, form.Invalid("vid", fmt.Sprintf("%q is not a number", r.PathValue("vid")))
		}
		return a.inv.VLANByVID(r.Context(), f.ID, vid)
	}
	c.fresh = func(r *http.Request) (ipam.VLAN, error) {
		f, err := numbered(a.inv.Fabrics.Get)(r)
		return ipam.VLAN{FabricID: f.ID}, err
	}
	c.create = a.inv.VLANs.Create
	return c
}

// vlansByNumber serves VLANs by ID.
func (a *API) vlansByNumber() crud[ipam.VLAN] {
	return crud[ipam.VLAN]{
		shown: vlanJSON{}, tx: a.tx, find: numbered(a.inv.VLANs.Get),
		show: func(r *http.Request, vlans []ipam.VLAN) ([]any, error) {
			view, err := a.vlanView(r)
			var out []any
			for _, v := range vlans {
				out = append(out, view.show(v))
			}
			return out, err
		},
		read: a.vlanForm, update: a.inv.VLANs.Update,
		remove: removing(a.inv.VLANs.Delete, func(v ipam.VLAN) int64 { return v.ID }),
	}
}

// vlanForm reads a VLAN. 0 is a valid VID, the untagged VLAN, so a new VLAN needs the field.
func (a *API) vlanForm(r *http.Request, f *form.Form, v *ipam.VLAN) {
	if v.ID == 0 && !f.Has("vid") {
		f.Wrong("vid", "is needed, from 0 to %d", ipam.MaxVID)
	}
	f.Number("vid", &v.VID)
	f.Text("name", &v.Name)
	f.Text("description", &v.Description)
	f.Number("mtu", &v.MTU)
	readRef(f, "space", &v.SpaceID, a.spaceRef(r))
	readRef(f, "fabric", &v.FabricID, a.fabricRef(r))
	f.Flag("dhcp_on", &v.DHCP)
	if f.Has("dhcp_mode") {
		if v.DHCPMode = ipam.DHCPMode(f.Get("dhcp_mode")); v.DHCPMode == "serve" {
			v.DHCPMode = ipam.DHCPServe
		}
	}
	f.Text("primary_rack", &v.PrimaryRack)
	f.Text("secondary_rack", &v.SecondaryRack)
	readRef(f, "relay_vlan", &v.RelayVLANID, a.vlanRef(r))
}

// vlanView holds the objects that VLANs refer to, so that many VLANs are shown with one read of
// each kind.
type vlanView struct {
	base            string // of the URIs
	fabrics, spaces map[int64]string
	vlans           map[int64]ipam.VLAN
	all             []ipam.VLAN
}

// vlanView reads the objects that VLANs refer to.
func (a *API) vlanView(r *http.Request) (v vlanView, err error) {
	v.base = a.base
	if v.fabrics, err = a.fabricNames(r); err != nil {
		return v, err
	}
	if v.spaces, err = a.spaceNames(r); err != nil {
		return v, err
	}
	v.vlans = map[int64]ipam.VLAN{}
	v.all, err = a.inv.VLANs.List(r.Context())
	for _, vlan := range v.all {
		v.vlans[vlan.ID] = vlan
	}
	return v, err
}

// show shows a VLAN and the one that it relays to. Only one level is shown: VLANs that relay in a
// circle would be shown without end.
func (v vlanView) show(vlan ipam.VLAN) vlanJSON {
	out := vlanJSON{
		ID: vlan.ID, VID: vlan.VID, Name: vlan.Name, Description: vlan.Description, MTU: vlan.MTU,
		Fabric: v.fabrics[vlan.FabricID], FabricID: vlan.FabricID, Space: v.spaces[vlan.SpaceID], DHCPOn: vlan.DHCP, DHCPMode: cmp.Or(string(vlan.DHCPMode), "serve"),
		PrimaryRack: vlan.PrimaryRack, SecondaryRack: vlan.SecondaryRack, ResourceURI: fmt.Sprintf("%svlans/%d/", v.base, vlan.ID),
	}
	if relay, ok := v.vlans[vlan.RelayVLANID]; ok && relay.RelayVLANID == 0 {
		shown := v.show(relay)
		out.RelayVLAN = &shown
	}
	return out
}

// byID shows a VLAN; nil if it was deleted since the reference to it was read.
func (v vlanView) byID(id int64) *vlanJSON {
	vlan, ok := v.vlans[id]
	if !ok {
		return nil
	}
	shown := v.show(vlan)
	return &shown
}

// fabric shows a fabric.
func (v vlanView) fabric(f ipam.Fabric) fabricJSON {
	out := fabricJSON{
		ID: f.ID, Name: f.Name, Description: f.Description, ClassType: f.ClassType, VLANs: []vlanJSON{},
		ResourceURI: fmt.Sprintf("%sfabrics/%d/", v.base, f.ID),
	}
	for _, vlan := range v.all {
		if vlan.FabricID == f.ID {
			out.VLANs = append(out.VLANs, v.show(vlan))
		}
	}
	return out
}
