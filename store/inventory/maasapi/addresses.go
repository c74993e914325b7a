package maasapi

import (
	"net/http"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// ipAddressJSON is an allocated address.
type ipAddressJSON struct {
	IP            string          `json:"ip"`
	AllocType     int             `json:"alloc_type"`
	AllocTypeName string          `json:"alloc_type_name"`
	Created       *time.Time      `json:"created"`
	Owner         *userJSON       `json:"owner"`
	Subnet        *Subnet         `json:"subnet"`
	InterfaceSet  []interfaceJSON `json:"interface_set"`
	Hostname      string          `json:"hostname"` // MAAS does not name holders
	ResourceURI   string          `json:"resource_uri"`
}

// allocNames are MAAS' names of allocation types. Clients compare with them.
var allocNames = map[ipam.AllocType]string{
	ipam.AllocAuto: "Automatic", ipam.AllocSticky: "Sticky", ipam.AllocUserReserved: "User reserved", ipam.AllocDHCP: "DHCP", ipam.AllocDiscovered: "Observed",
}

// addressOf shows an allocation. MAAS has one URI for all addresses, since an address is released
// by its IP and not by an ID.
func addressOf(x ipam.Allocation, view subnetView) ipAddressJSON {
	out := ipAddressJSON{
		IP: x.Addr.String(), AllocType: int(x.Type), AllocTypeName: allocNames[x.Type], Owner: userNamed(x.Owner), Subnet: view.byID(x.SubnetID), Hostname: x.Name,
		InterfaceSet: []interfaceJSON{}, ResourceURI: view.base + "ipaddresses/",
	}
	if !x.Created.IsZero() {
		out.Created = &x.Created
	}
	return out
}

// listAddresses lists the addresses that the user reserved; with all=true, all allocated addresses.
func (a *API) listAddresses(r *http.Request) (any, error) {
	q := r.URL.Query()
	if op := q.Get("op"); op != "" {
		return nil, &unsupported{"ipaddresses op=" + op}
	}
	f := &form.Form{Values: q}
	var all bool
	var owner, ip string
	f.Flag("all", &all)
	f.Text("owner", &owner)
	f.Text("ip", &ip)
	if f.Err != nil {
		return nil, f.Err
	}
	if owner == "" {
		owner = userOf(r)
	}
	view, err := a.subnetView(r)
	if err != nil {
		return nil, err
	}
	out := []ipAddressJSON{}
	for id := range view.subnets {
		held, err := a.inv.Allocations(r.Context(), id)
		if err != nil {
			return nil, err
		}
		for _, x := range held {
			mine := x.Type == ipam.AllocUserReserved && x.Owner == owner
			if x.Addr.IsValid() && (mine || all) && (ip == "" || ip == x.Addr.String()) {
				out = append(out, addressOf(x, view))
			}
		}
	}
	return sortedByIP(out), nil
}

// actOnAddresses reserves or releases an address.
func (a *API) actOnAddresses(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	switch op := r.URL.Query().Get("op"); op {
	case "reserve":
		return a.reserveAddress(r, f)
	case "release":
		var x ipam.Allocation
		var force, discovered bool
		f.Addr("ip", &x.Addr)
		f.Flag("force", &force)
		f.Flag("discovered", &discovered)
		if f.Err == nil && !x.Addr.IsValid() {
			f.Wrong("ip", "is needed")
		}
		if f.Err != nil {
			return nil, f.Err
		}
		if force && accountOf(r).Role != inventory.RoleAdmin {
			return nil, &forbidden{"releasing addresses of others with force is for administrators"}
		}
		if err := f.Rest(); err != nil {
			return nil, err
		}
		if discovered {
			return nil, &unsupported{"releasing observed addresses"}
		}
		return nil, a.inv.ReleaseAddress(r.Context(), x.Addr, userOf(r), force)
	default:
		return nil, &unsupported{"ipaddresses op=" + op}
	}
}

// reserveAddress reserves the given address, or the next free one of a subnet, for the user.
// Clients of MAAS send the address as ip or as ip_address.
func (a *API) reserveAddress(r *http.Request, f *form.Form) (any, error) {
	want := inventory.Reservation{Owner: userOf(r)}
	readRef(f, "subnet", &want.SubnetID, a.subnetRef(r))
	f.Addr("ip", &want.Addr)
	f.Addr("ip_address", &want.Addr)
	f.Text("hostname", &want.Hostname)
	f.Text("comment", &want.Comment)
	if f.Err == nil && want.SubnetID == 0 && !want.Addr.IsValid() {
		f.Wrong("ip", "or subnet is needed")
	}
	if f.Get("mac") != "" {
		return nil, &unsupported{"reserving for a MAC address; reservedips does that"}
	}
	if err := f.Rest(); err != nil {
		return nil, err
	}
	x, err := a.inv.ReserveAddress(r.Context(), want)
	if err != nil {
		return nil, err
	}
	view, err := a.subnetView(r)
	return addressOf(x, view), err
}

// subnetAddressJSON is an address in use in a subnet.
type subnetAddressJSON struct {
	IP        string           `json:"ip"`
	AllocType int              `json:"alloc_type"`
	Created   *time.Time       `json:"created"`
	User      string           `json:"user,omitempty"`
	Node      *nodeSummaryJSON `json:"node_summary,omitempty"`
}

// nodeSummaryJSON names the node that uses an address.
type nodeSummaryJSON struct {
	SystemID string `json:"system_id"`
	FQDN     string `json:"fqdn"`
	Hostname string `json:"hostname"`
	NodeType int    `json:"node_type"`
	Via      string `json:"via"`
}

// nodeTypes are MAAS' numbers of machines and devices.
const (
	nodeMachine = 0
	nodeDevice  = 1
)

// subnetAddresses serves op=ip_addresses: the allocated addresses of a subnet and their nodes.
// Allocations without an address, such as links to a subnet by DHCP, are left out.
func (a *API) subnetAddresses(r *http.Request, s ipam.Subnet) (any, error) {
	held, err := a.inv.Allocations(r.Context(), s.ID)
	if err != nil {
		return nil, err
	}
	nodes, err := a.nodesByInterface(r)
	out := []subnetAddressJSON{}
	for _, x := range held {
		if !x.Addr.IsValid() {
			continue
		}
		shown := subnetAddressJSON{IP: x.Addr.String(), AllocType: int(x.Type), User: x.Owner, Node: nodes[x.InterfaceID]}
		if !x.Created.IsZero() {
			shown.Created = &x.Created
		}
		out = append(out, shown)
	}
	return out, err
}

// nodesByInterface returns the nodes by the IDs of their interfaces, which is how allocations refer
// to them.
func (a *API) nodesByInterface(r *http.Request) (map[int64]*nodeSummaryJSON, error) {
	machines, err := a.inv.Machines.List(r.Context())
	if err != nil {
		return nil, err
	}
	devices, err := a.inv.Devices.List(r.Context())
	out := map[int64]*nodeSummaryJSON{}
	add := func(id, fqdn, host string, kind int, interfaces []inventory.Interface) {
		for _, i := range interfaces {
			out[i.ID] = &nodeSummaryJSON{id, fqdn, host, kind, i.Name}
		}
	}
	for _, m := range machines {
		add(m.SystemID, m.FQDN, m.Hostname, nodeMachine, m.Interfaces)
	}
	for _, d := range devices {
		add(d.SystemID, d.FQDN, d.Hostname, nodeDevice, d.Interfaces)
	}
	return out, err
}
