package maasapi

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// interfaceJSON is a network interface as the API shows it.
type interfaceJSON struct {
	ID           int64             `json:"id"`
	SystemID     string            `json:"system_id"`
	Name         string            `json:"name"`
	Type         string            `json:"type"`
	MACAddress   string            `json:"mac_address"`
	VLAN         *vlanJSON         `json:"vlan"`
	Links        []linkJSON        `json:"links"`
	Discovered   []linkJSON        `json:"discovered"`
	Parents      []string          `json:"parents"`
	Children     []string          `json:"children"`
	Tags         []string          `json:"tags"`
	Params       map[string]string `json:"params"`
	Enabled      bool              `json:"enabled"`
	EffectiveMTU int               `json:"effective_mtu"`
	ResourceURI  string            `json:"resource_uri"`
}

// linkJSON is an address of an interface, as MAAS uses the word.
type linkJSON struct {
	ID        int64   `json:"id,omitempty"`
	Mode      string  `json:"mode,omitempty"`
	IPAddress string  `json:"ip_address,omitempty"`
	Subnet    *Subnet `json:"subnet,omitempty"`
}

// modeOf returns the link mode that an allocation is shown with.
func modeOf(x ipam.Allocation) string {
	switch {
	case x.Type == ipam.AllocAuto:
		return ipam.LinkAuto.String()
	case x.Type == ipam.AllocDHCP:
		return ipam.LinkDHCP.String()
	case x.Addr.IsValid():
		return ipam.LinkStatic.String()
	}
	return ipam.LinkUp.String()
}

// iface shows an interface. all are the interfaces of its node, among them its parents and
// children.
func (v subnetView) iface(systemID string, i inventory.Interface, all []inventory.Interface) interfaceJSON {
	out := interfaceJSON{
		ID: i.ID, SystemID: systemID, Name: i.Name, Type: i.Kind.String(), MACAddress: i.MAC.String(), VLAN: v.vlanView.byID(i.VLANID),
		Links: []linkJSON{}, Discovered: []linkJSON{}, Parents: []string{}, Children: []string{}, Tags: append([]string{}, i.Tags...), Params: nonNil(i.Params), Enabled: i.Enabled,
		EffectiveMTU: ipam.DefaultMTU, ResourceURI: fmt.Sprintf("%snodes/%s/interfaces/%d/", v.base, systemID, i.ID),
	}
	if out.VLAN != nil && out.VLAN.MTU > 0 {
		out.EffectiveMTU = out.VLAN.MTU
	}
	for _, x := range i.Links {
		link := linkJSON{ID: x.ID, Mode: modeOf(x), Subnet: v.byID(x.SubnetID)}
		if x.Addr.IsValid() {
			link.IPAddress = x.Addr.String()
		}
		if x.Type == ipam.AllocDiscovered {
			out.Discovered = append(out.Discovered, linkJSON{IPAddress: link.IPAddress, Subnet: link.Subnet})
			continue
		}
		out.Links = append(out.Links, link)
	}
	for _, other := range all {
		if slices.Contains(i.Parents, other.ID) {
			out.Parents = append(out.Parents, other.Name)
		}
		if slices.Contains(other.Parents, i.ID) {
			out.Children = append(out.Children, other.Name)
		}
	}
	return out
}

// node is the machine or device in the path of a request.
type node struct {
	id         int64
	systemID   string
	interfaces []inventory.Interface
}

// nodeOfPath finds a machine by system ID or name, or a device by system ID.
func (a *API) nodeOfPath(r *http.Request) (node, error) {
	name := r.PathValue("node")
	m, err := a.inv.Machines.Find(r.Context(), name)
	if err == nil {
		return node{m.ID, m.SystemID, m.Interfaces}, nil
	}
	d, derr := a.inv.DeviceBySystemID(r.Context(), name)
	if derr == nil {
		return node{d.ID, d.SystemID, d.Interfaces}, nil
	}
	return node{}, err
}

// interfaces serves the interfaces of machines and devices, which MAAS has below nodes/.
func (a *API) interfaces() crud[inventory.Interface] {
	return crud[inventory.Interface]{
		shown: interfaceJSON{}, tx: a.tx,
		all: func(r *http.Request) ([]inventory.Interface, error) {
			n, err := a.nodeOfPath(r)
			return n.interfaces, err
		},
		find: a.interfaceOfPath,
		show: func(r *http.Request, interfaces []inventory.Interface) ([]any, error) {
			n, err := a.nodeOfPath(r)
			if err != nil {
				return nil, err
			}
			view, err := a.subnetView(r)
			var out []any
			for _, i := range interfaces {
				out = append(out, view.iface(n.systemID, i, n.interfaces))
			}
			return out, err
		},
		read: a.interfaceForm,
		update: func(ctx context.Context, i inventory.Interface) (inventory.Interface, error) {
			var err error
			i.Interface, err = a.inv.Interfaces.Update(ctx, i.Interface)
			return i, err
		},
		remove: removing(a.inv.Interfaces.Delete, func(i inventory.Interface) int64 { return i.ID }),
	}
}

// interfaceOfPath finds an interface of the node by number or name.
func (a *API) interfaceOfPath(r *http.Request) (inventory.Interface, error) {
	n, err := a.nodeOfPath(r)
	if err != nil {
		return inventory.Interface{}, err
	}
	text := r.PathValue("id")
	for _, i := range n.interfaces {
		if i.Name == text || strconv.FormatInt(i.ID, 10) == text {
			return i, nil
		}
	}
	return inventory.Interface{}, notFound("interface", text)
}

// interfaceParams are the settings of interfaces that are stored and returned without being
// interpreted.
var interfaceParams = []string{
	"mtu", "accept_ra", "bond_mode", "bond_miimon", "bond_downdelay", "bond_updelay", "bond_lacp_rate", "bond_xmit_hash_policy", "bond_num_grat_arp",
	"bridge_type", "bridge_stp", "bridge_fd",
}

// interfaceForm reads an interface. An empty mac_address leaves the address as it is.
func (a *API) interfaceForm(r *http.Request, f *form.Form, i *inventory.Interface) {
	f.Text("name", &i.Name)
	mac := []byte(i.MAC)
	if f.Get("mac_address") != "" {
		f.MAC("mac_address", &mac)
	}
	i.MAC = net.HardwareAddr(mac)
	readRef(f, "vlan", &i.VLANID, a.vlanRef(r))
	f.Flag("enabled", &i.Enabled)
	for _, field := range []string{"parents", "parent"} { // MAAS names the field "parent" for VLANs and bridges
		if f.Has(field) {
			i.Parents = a.parentsOf(r, f, field)
		}
	}
	if f.Has("tags") {
		i.Tags = nil
		for _, t := range f.List("tags") {
			addTag(i, t)
		}
	}
	for _, name := range interfaceParams {
		if f.Has(name) {
			if i.Params == nil {
				i.Params = map[string]string{}
			}
			i.Params[name] = f.Get(name)
		}
	}
}

// addTag adds a tag that the interface does not have.
func addTag(i *inventory.Interface, tag string) {
	if !slices.Contains(i.Tags, tag) {
		i.Tags = append(i.Tags, tag)
	}
}

// tagInterface serves op=add_tag and op=remove_tag.
func (a *API) tagInterface(ctx context.Context, r *http.Request, f *form.Form, i inventory.Interface) error {
	tags := f.List("tag")
	if len(tags) != 1 {
		return form.Invalid("tag", "one tag is needed")
	}
	if r.URL.Query().Get("op") == "add_tag" {
		addTag(&i, tags[0])
	} else {
		i.Tags = slices.DeleteFunc(i.Tags, func(t string) bool { return t == tags[0] })
	}
	_, err := a.inv.Interfaces.Update(ctx, i.Interface)
	return err
}

// parentsOf returns the interfaces of the node that a field names, or has the numbers of.
func (a *API) parentsOf(r *http.Request, f *form.Form, field string) (out []int64) {
	n, err := a.nodeOfPath(r)
	if err != nil {
		f.Wrong(field, "%v", err)
	}
	for _, text := range f.List(field) {
		found := slices.IndexFunc(n.interfaces, func(i inventory.Interface) bool { return i.Name == text || strconv.FormatInt(i.ID, 10) == text })
		if found < 0 {
			f.Wrong(field, "the machine or device has no interface %q", text)
			return nil
		}
		out = append(out, n.interfaces[found].ID)
	}
	return out
}

// interfaceKinds are the operations that create an interface, with the kind that each creates.
var interfaceKinds = map[string]ipam.InterfaceKind{
	"create_physical": ipam.Physical, "create_bond": ipam.Bond, "create_bridge": ipam.Bridge, "create_vlan": ipam.VLANInterface,
}

// createInterface serves the operations that create an interface.
func (a *API) createInterface(r *http.Request) (any, error) {
	op := r.URL.Query().Get("op")
	kind, ok := interfaceKinds[op]
	if !ok {
		return nil, &unsupported{"interfaces op=" + op}
	}
	return a.change(r, func(r *http.Request, f *form.Form) (any, error) {
		n, err := a.nodeOfPath(r)
		if err != nil {
			return nil, err
		}
		i := inventory.Interface{Interface: ipam.Interface{NodeID: n.id, Kind: kind, Enabled: true}}
		if a.interfaceForm(r, f, &i); f.Err != nil {
			return nil, f.Err
		}
		i.Interface, err = a.inv.Interfaces.Create(r.Context(), i.Interface)
		return a.interfaces().one(r, i, err)
	})
}

// change reads the form of a request and executes do in a transaction. The result of do is the
// answer.
func (a *API) change(r *http.Request, do func(*http.Request, *form.Form) (any, error)) (shown any, err error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	err = a.tx.Atomically(r.Context(), func(ctx context.Context) (err error) {
		if shown, err = do(r.WithContext(ctx), f); err != nil {
			return err
		}
		return f.Rest()
	})
	return shown, err
}

// actOnInterface links an interface to subnets and removes links.
func (a *API) actOnInterface(r *http.Request) (any, error) {
	op := r.URL.Query().Get("op")
	do, ok := map[string]func(context.Context, *http.Request, *form.Form, inventory.Interface) error{
		"link_subnet": a.linkSubnet, "unlink_subnet": a.unlinkSubnet, "disconnect": a.disconnect, "set_default_gateway": a.setGateway,
		"add_tag": a.tagInterface, "remove_tag": a.tagInterface,
	}[op]
	if !ok {
		return nil, &unsupported{"interface op=" + op}
	}
	return a.change(r, func(r *http.Request, f *form.Form) (any, error) {
		i, err := a.interfaceOfPath(r)
		if err != nil {
			return nil, err
		}
		if err := do(r.Context(), r, f, i); err != nil {
			return nil, err
		}
		now, err := a.interfaceOfPath(r)
		return a.interfaces().one(r, now, err)
	})
}

// linkSubnet links an interface to a subnet. force removes its other links first.
func (a *API) linkSubnet(ctx context.Context, r *http.Request, f *form.Form, i inventory.Interface) error {
	mode, err := ipam.ParseLinkMode(strings.ToLower(f.Get("mode")))
	if err != nil {
		return form.Invalid("mode", fmt.Sprintf("%q is none of AUTO, DHCP, STATIC and LINK_UP", f.Get("mode")))
	}
	want := inventory.LinkRequest{Mode: mode}
	readRef(f, "subnet", &want.SubnetID, a.subnetRef(r))
	if mode == ipam.LinkStatic {
		f.Addr("ip_address", &want.Addr)
	}
	var force, gateway bool
	f.Flag("force", &force)
	f.Flag("default_gateway", &gateway)
	if f.Err != nil {
		return f.Err
	}
	if force {
		if err := a.unlinkAll(ctx, i); err != nil {
			return err
		}
	}
	link, err := a.inv.LinkInterface(ctx, i.ID, want)
	if err != nil || !gateway {
		return err
	}
	return a.inv.SetDefaultGateway(ctx, i.NodeID, link.ID)
}

// unlinkAll removes the links of an interface. Discovered addresses are not links but observations,
// and stay.
func (a *API) unlinkAll(ctx context.Context, i inventory.Interface) error {
	for _, x := range i.Links {
		if x.Type != ipam.AllocDiscovered {
			if err := a.inv.Unlink(ctx, x.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlinkSubnet removes one link, which must be the interface's own.
func (a *API) unlinkSubnet(ctx context.Context, _ *http.Request, f *form.Form, i inventory.Interface) error {
	var id int
	if f.Number("id", &id); f.Err != nil {
		return f.Err
	}
	if !slices.ContainsFunc(i.Links, func(x ipam.Allocation) bool { return x.ID == int64(id) }) {
		return form.Invalid("id", fmt.Sprintf("interface %s has no link %d", i.Name, id))
	}
	return a.inv.Unlink(ctx, int64(id))
}

// disconnect removes all links of the interface and takes it off its VLAN.
func (a *API) disconnect(ctx context.Context, r *http.Request, _ *form.Form, i inventory.Interface) error {
	if err := a.unlinkAll(ctx, i); err != nil {
		return err
	}
	now, err := a.interfaceOfPath(r)
	if err != nil {
		return err
	}
	now.VLANID = 0
	_, err = a.inv.Interfaces.Update(ctx, now.Interface)
	return err
}
