package maasapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Machine is a machine, with MAAS' fields as far as the inventory has data for them.
type Machine struct {
	SystemID      string            `json:"system_id"`
	Hostname      string            `json:"hostname"`
	FQDN          string            `json:"fqdn"`
	Description   string            `json:"description"`
	Architecture  string            `json:"architecture"`
	HardwareUUID  string            `json:"hardware_uuid"`
	BootMethod    string            `json:"bios_boot_method"`
	Status        int               `json:"status"`
	StatusName    string            `json:"status_name"`
	Owner         string            `json:"owner"`
	OwnerData     map[string]string `json:"owner_data"`
	PowerType     string            `json:"power_type"`
	PowerState    string            `json:"power_state"`
	IPAddresses   []string          `json:"ip_addresses"`
	TagNames      []string          `json:"tag_names"`
	Zone          namedJSON         `json:"zone"`
	Pool          namedJSON         `json:"pool"`
	Domain        namedJSON         `json:"domain"`
	BootInterface *interfaceJSON    `json:"boot_interface"`
	Interfaces    []interfaceJSON   `json:"interface_set"`
	Locked        bool              `json:"locked"`
	Configured    *time.Time        `json:"configured"` // not of MAAS: when its system reported that it is complete; null = it boots its profile
	Gateways      gatewaysJSON      `json:"default_gateways"`
	NodeType      int               `json:"node_type"`
	NodeTypeName  string            `json:"node_type_name"`
	ResourceURI   string            `json:"resource_uri"`

	// Clients of MAAS fail without these fields. No agent runs on machines that could fill them, so
	// they are empty.
	OSystem       string            `json:"osystem"`
	Series        string            `json:"distro_series"`
	StatusMessage string            `json:"status_message"`
	Memory        int               `json:"memory"`
	CPUs          int               `json:"cpu_count"`
	Hardware      map[string]string `json:"hardware_info"`
	Disks         []any             `json:"physicalblockdevice_set"`
	AllDisks      []any             `json:"blockdevice_set"`
}

// statusNumbers are MAAS' numbers of the states of a machine. Clients compare with the numbers, not
// the names.
var statusNumbers = map[inventory.Status]int{
	inventory.StatusNew: 0, inventory.StatusCommissioning: 1, inventory.StatusReady: 4, inventory.StatusDeployed: 6, inventory.StatusBroken: 8,
	inventory.StatusDeploying: 9, inventory.StatusAllocated: 10, inventory.StatusReleasing: 12,
}

// namedJSON is a zone, pool or domain that an object belongs to.
type namedJSON struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	ResourceURI string `json:"resource_uri"`
}

// named holds the zones, pools and domains by ID, so that many machines are shown with one read of
// each.
type named struct {
	base                  string
	zones, pools, domains map[int64]namedJSON
}

// names reads the zones, pools and domains.
func (a *API) names(r *http.Request) (n named, err error) {
	n = named{a.base, map[int64]namedJSON{}, map[int64]namedJSON{}, map[int64]namedJSON{}}
	zones, err := a.inv.Zones.List(r.Context())
	if err != nil {
		return n, err
	}
	for _, z := range zones {
		n.zones[z.ID] = namedJSON{z.ID, z.Name, z.Description, a.base + "zones/" + z.Name + "/"}
	}
	pools, err := a.inv.Pools.List(r.Context())
	if err != nil {
		return n, err
	}
	for _, p := range pools {
		n.pools[p.ID] = namedJSON{p.ID, p.Name, p.Description, fmt.Sprintf("%sresourcepool/%d/", a.base, p.ID)}
	}
	domains, err := a.inv.Domains.List(r.Context())
	for _, d := range domains {
		n.domains[d.ID] = namedJSON{ID: d.ID, Name: d.Name, ResourceURI: fmt.Sprintf("%sdomains/%d/", a.base, d.ID)}
	}
	return n, err
}

// machine shows a machine with its interfaces. Unset lists and maps are shown empty: clients fail
// on null.
func (n named) machine(m inventory.Machine, view subnetView) Machine {
	out := Machine{
		Status: statusNumbers[m.Status], OwnerData: map[string]string{}, TagNames: append([]string{}, m.Tags...), NodeType: nodeMachine, Locked: m.Locked,
		SystemID: m.SystemID, Hostname: m.Hostname, FQDN: m.FQDN, Description: m.Description,
		Architecture: m.Architecture, HardwareUUID: m.UUID, BootMethod: m.Firmware, StatusName: string(m.Status),
		Owner: m.Owner, PowerType: m.Power.Type, PowerState: m.Power.State, NodeTypeName: "Machine",
		Zone: n.zones[m.ZoneID], Pool: n.pools[m.PoolID], Domain: n.domains[m.DomainID], Disks: []any{}, AllDisks: []any{}, Hardware: map[string]string{},
		ResourceURI: n.base + "machines/" + m.SystemID + "/",
		IPAddresses: []string{}, Interfaces: []interfaceJSON{},
	}
	if !m.Configured.IsZero() {
		out.Configured = &m.Configured
	}
	if out.PowerState == "" {
		out.PowerState = string(power.Unknown)
	}
	for _, addr := range m.Addrs() {
		out.IPAddresses = append(out.IPAddresses, addr.String())
	}
	out.Gateways = view.gateways(m)
	boot, hasBoot := m.BootInterface()
	for _, i := range m.Interfaces {
		shown := view.iface(m.SystemID, i, m.Interfaces)
		out.Interfaces = append(out.Interfaces, shown)
		if hasBoot && i.ID == boot.ID {
			out.BootInterface = &shown
		}
	}
	return out
}

// showMachines shows machines with one read of everything that they refer to.
func (a *API) showMachines(r *http.Request, machines []inventory.Machine) (out []any, err error) {
	names, err := a.names(r)
	if err != nil {
		return nil, err
	}
	view, err := a.subnetView(r)
	for _, m := range machines {
		out = append(out, names.machine(m, view))
	}
	return out, err
}

func (n named) zone(id int64) namedJSON   { return n.zones[id] }
func (n named) domain(id int64) namedJSON { return n.domains[id] }

// listMachines returns the machines that the query's filters select. The filters compare what is
// shown, so that they mean what the client sees.
func (a *API) listMachines(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"machines op=" + op}
	}
	machines, err := a.inv.Machines.List(r.Context())
	if err != nil {
		return nil, err
	}
	names, err := a.names(r)
	if err != nil {
		return nil, err
	}
	view, err := a.subnetView(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	out := []Machine{}
	for _, m := range machines {
		if shown := names.machine(m, view); matches(query, shown) {
			out = append(out, shown)
		}
	}
	return out, nil
}

// matches applies MAAS' filters for lists of machines.
func matches(query url.Values, m Machine) bool {
	var macs []string
	for _, i := range m.Interfaces {
		macs = append(macs, i.MACAddress)
	}
	return asked(query, "hostname", m.Hostname, m.FQDN) && asked(query, "mac_address", macs...) && asked(query, "id", m.SystemID) &&
		asked(query, "zone", m.Zone.Name) && asked(query, "pool", m.Pool.Name) && asked(query, "domain", m.Domain.Name) &&
		asked(query, "tags", m.TagNames...)
}

// asked reports whether a filter is absent from the query or names one of the values.
func asked(query url.Values, key string, values ...string) bool {
	wanted, there := query[key]
	return !there || slices.ContainsFunc(wanted, func(w string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(w, v) })
	})
}

// find returns the machine of the path, by system ID or by name, which MAAS does not accept.
func (a *API) find(r *http.Request) (inventory.Machine, error) {
	return a.inv.Machines.Find(r.Context(), r.PathValue("id"))
}

// show shows a machine with its version.
func (a *API) show(r *http.Request, m inventory.Machine) (any, error) {
	shown, err := a.shown(r, m)
	return tagged(m, shown, err)
}

// shown shows a machine.
func (a *API) shown(r *http.Request, m inventory.Machine) (Machine, error) {
	names, err := a.names(r)
	if err != nil {
		return Machine{}, err
	}
	view, err := a.subnetView(r)
	return names.machine(m, view), err
}

// getMachine returns a machine, or with op= its power state, power parameters or details.
func (a *API) getMachine(r *http.Request) (any, error) {
	m, err := a.find(r)
	if err != nil {
		return nil, err
	}
	switch op := r.URL.Query().Get("op"); op {
	case "":
		return a.show(r, m)
	case "query_power_state":
		result, err := a.act(r, m, power.ActionQuery, PowerOptions{})
		return map[string]power.State{"state": result.State}, err
	case "details":
		return noDetails, nil
	case "power_parameters":
		return nonNil(shownParams(r, m.Power.Params)), nil
	default:
		return nil, &unsupported{"machine op=" + op}
	}
}

// deleteMachine deletes a machine.
func (a *API) deleteMachine(r *http.Request) (any, error) {
	m, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if err := ifMatch(r, m); err != nil {
		return nil, err
	}
	return nil, a.inv.Machines.Delete(r.Context(), m.ID)
}

// createMachine creates a machine, or allocates or releases some, since MAAS has these below the
// same path. A new machine is Ready: nothing is commissioned here.
func (a *API) createMachine(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	switch op := r.URL.Query().Get("op"); op {
	case "":
	case "allocate":
		return a.allocate(r, f)
	case "release":
		return a.releaseMany(r, f)
	default:
		return nil, &unsupported{"machines op=" + op}
	}
	m, err := a.machineOf(f)
	if err != nil {
		return nil, err
	}
	a.placeForm(r, f, &m)
	if err := f.Rest(); err != nil {
		return nil, err
	}
	if m, err = a.inv.Machines.Create(r.Context(), m); err != nil {
		return nil, err
	}
	return a.show(r, m)
}

// machineOf reads the form of a new machine.
func (a *API) machineOf(f *form.Form) (inventory.Machine, error) {
	m := inventory.Machine{
		Hostname: f.Raw("hostname"), Architecture: f.Raw("architecture"), Description: f.Raw("description"),
		Status: inventory.StatusReady,
	}
	// Nothing is commissioned or deployed here, so that a new machine is ready in any case.
	f.Used("mac_addresses", "commission", "skip_networking", "skip_storage", "skip_bmc_config", "enable_ssh")
	a.usePower(f)
	macs := f.Values["mac_addresses"]
	if len(macs) == 0 {
		return m, form.Invalid("mac_addresses", "at least one is needed")
	}
	for _, text := range macs {
		mac, err := firmware.ParseMAC(text)
		if err != nil {
			return m, form.Invalid("mac_addresses", fmt.Sprintf("%q is not a MAC address like 02:00:00:00:00:01", text))
		}
		m.Interfaces = append(m.Interfaces, inventory.Interface{Interface: ipam.Interface{MAC: mac, Kind: ipam.Physical, Enabled: true}})
	}
	var err error
	m.Power, err = a.powerOf(f.Values)
	return m, err
}
