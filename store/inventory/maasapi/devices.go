package maasapi

import (
	"context"
	"net/http"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// deviceJSON is a device as the API shows it.
type deviceJSON struct {
	SystemID     string            `json:"system_id"`
	Hostname     string            `json:"hostname"`
	FQDN         string            `json:"fqdn"`
	Description  string            `json:"description"`
	Owner        string            `json:"owner"`
	OwnerData    map[string]string `json:"owner_data"`
	Parent       *string           `json:"parent"`
	Zone         namedJSON         `json:"zone"`
	Domain       namedJSON         `json:"domain"`
	Pool         *namedJSON        `json:"pool"` // always nil: devices are in no pool
	IPAddresses  []string          `json:"ip_addresses"`
	Interfaces   []interfaceJSON   `json:"interface_set"`
	TagNames     []string          `json:"tag_names"`
	NodeType     int               `json:"node_type"`
	NodeTypeName string            `json:"node_type_name"`
	AddressTTL   *int              `json:"address_ttl"`
	ResourceURI  string            `json:"resource_uri"`
}

// devices serves devices. Operators create their own and change no others, which the functions
// check with own, because the route alone does not know the owner.
func (a *API) devices() crud[inventory.Device] {
	return crud[inventory.Device]{
		shown: deviceJSON{}, tx: a.tx, all: a.filteredDevices, show: a.showDevices,
		find: func(r *http.Request) (inventory.Device, error) {
			return a.inv.DeviceBySystemID(r.Context(), r.PathValue("id"))
		},
		fresh: func(r *http.Request) (inventory.Device, error) {
			return inventory.Device{Owner: userOf(r)}, nil
		},
		read: func(r *http.Request, f *form.Form, to *inventory.Device) {
			if f.Err = own(r, "device "+to.FQDN, to.Owner); f.Err == nil {
				a.deviceForm(r, f, to)
			}
		},
		create: a.inv.Devices.Create, update: a.inv.Devices.Update,
		remove: func(ctx context.Context, r *http.Request, d inventory.Device) error {
			if err := own(r, "device "+d.FQDN, d.Owner); err != nil {
				return err
			}
			return a.inv.Devices.Delete(ctx, d.ID)
		},
	}
}

// filteredDevices applies the query's filters.
func (a *API) filteredDevices(r *http.Request) ([]inventory.Device, error) {
	all, err := a.inv.Devices.List(r.Context())
	q := r.URL.Query()
	var out []inventory.Device
	for _, d := range all {
		var macs []string
		for _, i := range d.Interfaces {
			macs = append(macs, i.MAC.String())
		}
		if asked(q, "hostname", d.Hostname, d.FQDN) && asked(q, "mac_address", macs...) && asked(q, "id", d.SystemID) {
			out = append(out, d)
		}
	}
	return out, err
}

// deviceForm reads a device. MAC addresses are read on creation only; later they belong to
// interfaces, which have endpoints of their own.
func (a *API) deviceForm(r *http.Request, f *form.Form, to *inventory.Device) {
	f.Text("hostname", &to.Hostname)
	f.Text("description", &to.Description)
	readRef(f, "domain", &to.DomainID, a.domainRef(r))
	readRef(f, "zone", &to.ZoneID, a.zoneRef(r))
	readRef(f, "parent", &to.ParentID, a.machineRef(r))
	if to.ID != 0 {
		return
	}
	if len(f.List("mac_addresses")) == 0 {
		f.Wrong("mac_addresses", "at least one is needed")
	}
	for _, text := range f.List("mac_addresses") {
		one := &form.Form{Values: map[string][]string{"mac_addresses": {text}}}
		var mac []byte
		if one.MAC("mac_addresses", &mac); one.Err != nil {
			f.Err = one.Err
			return
		}
		to.Interfaces = append(to.Interfaces, inventory.Interface{Interface: ipam.Interface{MAC: mac, Kind: ipam.Physical, Enabled: true}})
	}
}

// showDevices shows devices with their interfaces. A parent that was deleted meanwhile is left out.
func (a *API) showDevices(r *http.Request, devices []inventory.Device) ([]any, error) {
	names, err := a.names(r)
	if err != nil {
		return nil, err
	}
	view, err := a.subnetView(r)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, d := range devices {
		shown := deviceJSON{
			SystemID: d.SystemID, Hostname: d.Hostname, FQDN: d.FQDN, Description: d.Description, Owner: d.Owner, OwnerData: map[string]string{},
			Zone: names.zone(d.ZoneID), Domain: names.domain(d.DomainID), IPAddresses: []string{}, Interfaces: []interfaceJSON{}, TagNames: append([]string{}, d.Tags...),
			NodeType: nodeDevice, NodeTypeName: "Device", ResourceURI: a.base + "devices/" + d.SystemID + "/",
		}
		if d.ParentID != 0 {
			if m, err := a.inv.Machines.Get(r.Context(), d.ParentID); err == nil {
				shown.Parent = &m.SystemID
			}
		}
		for _, i := range d.Interfaces {
			for _, l := range i.Links {
				if l.Addr.IsValid() {
					shown.IPAddresses = append(shown.IPAddresses, l.Addr.String())
				}
			}
			shown.Interfaces = append(shown.Interfaces, view.iface(d.SystemID, i, d.Interfaces))
		}
		out = append(out, shown)
	}
	return out, nil
}
