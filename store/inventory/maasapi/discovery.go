package maasapi

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Discovery is a device that racks have seen. MAAS' API lacks the fields below the observer.
type Discovery struct {
	DiscoveryID     string       `json:"discovery_id"`
	IP              string       `json:"ip"`
	MACAddress      string       `json:"mac_address"`
	MACOrganization string       `json:"mac_organization"`
	Hostname        string       `json:"hostname"`
	LastSeen        time.Time    `json:"last_seen"`
	FabricName      string       `json:"fabric_name"`
	VID             *int         `json:"vid"` // nil = untagged
	Observer        observerJSON `json:"observer"`
	ResourceURI     string       `json:"resource_uri"`

	FirstSeen      time.Time           `json:"first_seen"`
	IsExternalDHCP bool                `json:"is_external_dhcp"`
	Subnet         string              `json:"subnet,omitempty"`
	Sources        discovery.Source    `json:"sources"`
	Names          []discovery.Name    `json:"names,omitempty"`
	Services       []discovery.Service `json:"services,omitempty"`
	VendorClass    string              `json:"vendor_class,omitempty"`
	Fingerprint    string              `json:"fingerprint,omitempty"`
	Router         *discovery.Router   `json:"router,omitempty"`
	// Rival is another MAC address that uses the same IP address, alternately: an address conflict.
	Rival     string         `json:"rival,omitempty"`
	Observers []observerJSON `json:"observers"`
}

// observerJSON is the interface of the rack that saw a device.
type observerJSON struct {
	SystemID      string `json:"system_id"`
	Hostname      string `json:"hostname"`
	InterfaceID   *int64 `json:"interface_id"` // always nil: interfaces of racks have names only
	InterfaceName string `json:"interface_name"`
}

// observerOf shows which rack saw a device. A rack's name is its system ID.
func observerOf(o inventory.Observation) observerJSON {
	return observerJSON{SystemID: o.Rack, Hostname: o.Rack, InterfaceName: o.Link}
}

// discoveryOf shows a device with the maker of its network card.
func (a *API) discoveryOf(d inventory.Discovery) Discovery {
	out := Discovery{
		DiscoveryID: d.Key(), IP: d.Addr.String(), MACAddress: d.MAC.String(), MACOrganization: a.vendor(d.MAC), Hostname: d.Hostname,
		LastSeen: d.LastSeen, FirstSeen: d.FirstSeen, FabricName: d.Fabric.Name, Observer: observerOf(d.Observation), IsExternalDHCP: d.ExternalDHCP,
		Sources: d.Sources, Names: d.Info.Names, Services: d.Info.Services, VendorClass: d.Info.VendorClass, Fingerprint: d.Info.Fingerprint,
		Router: d.Info.Router, Rival: d.Rival.String(), ResourceURI: a.base + "discovery/" + url.PathEscape(d.Key()) + "/",
	}
	if d.VID != 0 {
		out.VID = &d.VID
	}
	if d.Subnet.ID != 0 {
		out.Subnet = d.Subnet.Prefix.String()
	}
	for _, o := range d.Observers {
		out.Observers = append(out.Observers, observerOf(o))
	}
	return out
}

// discoveryViews are the operations that select devices the inventory does not know.
var discoveryViews = map[string]inventory.DiscoveryView{
	"": inventory.AllDiscoveries, "by_unknown_mac": inventory.UnknownMAC, "by_unknown_ip": inventory.UnknownAddr,
	"by_unknown_ip_and_mac": inventory.UnknownMACAndAddr,
}

// listDiscoveries returns the devices that the operation selects.
func (a *API) listDiscoveries(r *http.Request) (any, error) {
	op := r.URL.Query().Get("op")
	view, ok := discoveryViews[op]
	if !ok {
		return nil, &unsupported{"discovery op=" + op}
	}
	seen, err := a.discoveries.List(r.Context(), view)
	if err != nil {
		return nil, err
	}
	out := []Discovery{}
	for _, d := range seen {
		out = append(out, a.discoveryOf(d))
	}
	return out, nil
}

// getDiscovery returns the device of the path.
func (a *API) getDiscovery(r *http.Request) (any, error) {
	d, err := a.discoveries.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return a.discoveryOf(d), nil
}

// postDiscoveries clears or ignores discoveries, or starts a scan.
func (a *API) postDiscoveries(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	switch op := r.URL.Query().Get("op"); op {
	case "clear":
		return nil, a.clearDiscoveries(r, f)
	case "clear_by_mac_and_ip":
		return nil, a.clearDiscovery(r, f)
	case "ignore":
		return a.ignoreDiscovery(r, f)
	case "unignore":
		return nil, a.unignoreDiscovery(r, f)
	case "scan":
		return a.startScan(r, f)
	default:
		return nil, &unsupported{"discovery op=" + op}
	}
}

// clearDiscoveries clears what the form names. Nothing named is a mistake: clearing everything by
// an empty form would be a surprise.
func (a *API) clearDiscoveries(r *http.Request, f *form.Form) error {
	done := false
	for _, c := range []struct {
		field string
		what  inventory.ClearWhat
	}{{"all", inventory.ClearAll}, {"mdns", inventory.ClearMDNS}, {"neighbours", inventory.ClearNeighbours}} {
		var chosen bool
		if f.Flag(c.field, &chosen); f.Err != nil {
			return f.Err
		}
		f.Used("all", "mdns", "neighbours")
		if err := f.Rest(); err != nil {
			return err
		}
		if chosen {
			if err := a.discoveries.Clear(r.Context(), c.what); err != nil || c.what == inventory.ClearAll {
				return err
			}
			done = true
		}
	}
	if !done {
		return form.Invalid("__all__", "say what to clear: all=true, mdns=true or neighbours=true")
	}
	return nil
}

// pairOf reads the IP and MAC address that identify a discovery.
func pairOf(f *form.Form) (addr netip.Addr, mac net.HardwareAddr, err error) {
	if addr, err = netip.ParseAddr(f.Raw("ip")); err != nil {
		return addr, nil, form.Invalid("ip", "is not an IP address")
	}
	field := "mac"
	if !f.Has(field) {
		field = "mac_address"
	}
	if mac, err = firmware.ParseMAC(f.Raw(field)); err != nil {
		return addr, nil, form.Invalid(field, "is not a MAC address like 02:00:00:00:00:01")
	}
	return addr, mac, nil
}

// clearDiscovery clears one device.
func (a *API) clearDiscovery(r *http.Request, f *form.Form) error {
	addr, mac, err := pairOf(f)
	if err != nil {
		return err
	}
	if err := f.Rest(); err != nil {
		return err
	}
	n, err := a.discoveries.Forget(r.Context(), addr, mac)
	if err == nil && n == 0 {
		return &inventory.NotFoundError{Kind: "discovery", What: "of " + mac.String() + " at " + addr.String()}
	}
	return err
}

// Promoted is the machine or device that was created from a discovery.
type Promoted struct {
	Kind       string `json:"kind"` // "machine" or "device"
	SystemID   string `json:"system_id"`
	FQDN       string `json:"fqdn"`
	MACAddress string `json:"mac_address"`
	IP         string `json:"ip,omitempty"` // the address that it keeps
}

// promote reads ip, mac, kind (machine or device), hostname, domain, description and no_address.
func (a *API) promote(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	addr, mac, err := pairOf(f)
	if err != nil {
		return nil, err
	}
	p := inventory.Promotion{Addr: addr, MAC: mac, Hostname: f.Raw("hostname"), Description: f.Raw("description")}
	switch kind := f.Raw("kind"); kind {
	case "device", "":
		p.Device = true
	case "machine":
	default:
		return nil, form.Invalid("kind", "is machine or device")
	}
	f.Flag("no_address", &p.NoAddress)
	f.Used("domain")
	if err := f.Rest(); err != nil {
		return nil, err
	}
	if name := f.Raw("domain"); name != "" {
		if p.DomainID, err = a.domainID(r, name); err != nil {
			return nil, err
		}
	}
	made, err := a.discoveries.Promote(r.Context(), p)
	if err != nil {
		return nil, err
	}
	out := Promoted{MACAddress: mac.String()}
	if made.Addr.IsValid() {
		out.IP = made.Addr.String()
	}
	if made.Device != nil {
		out.Kind, out.SystemID, out.FQDN = "device", made.Device.SystemID, made.Device.FQDN
	} else {
		out.Kind, out.SystemID, out.FQDN = "machine", made.Machine.SystemID, made.Machine.FQDN
	}
	return out, nil
}

// domainID finds a domain by name or number.
func (a *API) domainID(r *http.Request, name string) (int64, error) {
	all, err := a.inv.Domains.List(r.Context())
	if err != nil {
		return 0, err
	}
	for _, d := range all {
		if d.Name == name || strconv.FormatInt(d.ID, 10) == name {
			return d.ID, nil
		}
	}
	return 0, form.Invalid("domain", "there is none of that name")
}

// DHCPServer is a rogue DHCP server: one that racks have seen and that does not belong to the site.
type DHCPServer struct {
	IP         string       `json:"ip"`
	MACAddress string       `json:"mac_address,omitempty"`
	VID        int          `json:"vid"`
	LastSeen   time.Time    `json:"last_seen"`
	Observer   observerJSON `json:"observer"`
}

// listDHCPServers returns the rogue DHCP servers that racks have seen.
func (a *API) listDHCPServers(r *http.Request) (any, error) {
	all, err := a.discoveries.DHCPServers(r.Context())
	out := []DHCPServer{}
	for _, s := range all {
		out = append(out, DHCPServer{
			IP: s.Addr.String(), MACAddress: s.MAC.String(), VID: s.VID, LastSeen: s.LastSeen,
			Observer: observerJSON{SystemID: s.Rack, Hostname: s.Rack, InterfaceName: s.Link},
		})
	}
	return out, err
}

// Topology shows where the racks' interfaces lead, and which subnets are in the wrong fabric
// according to that.
type Topology struct {
	Links     []topologyLinkJSON     `json:"links"`
	Proposals []topologyProposalJSON `json:"proposals"`
}

// topologyLinkJSON is one interface of a rack and its neighbor.
type topologyLinkJSON struct {
	Rack     string            `json:"rack"`
	Link     string            `json:"link"`
	VID      int               `json:"vid"`
	Kind     string            `json:"kind"` // "switch" or "rack"
	Peer     string            `json:"peer"`
	PeerLink string            `json:"peer_link"`
	LastSeen time.Time         `json:"last_seen"`
	Switch   *discovery.Switch `json:"switch,omitempty"`
}

// topologyProposalJSON proposes to move a subnet to another VLAN.
type topologyProposalJSON struct {
	Subnet     string `json:"subnet"`
	FromVLAN   int64  `json:"from_vlan"`
	FromFabric int64  `json:"from_fabric"`
	ToVLAN     int64  `json:"to_vlan"`
	ToFabric   int64  `json:"to_fabric"`
	Why        string `json:"why"`
}

// getTopology returns the racks' neighbors and the moves of subnets that they suggest. It changes
// nothing: an operator decides.
func (a *API) getTopology(r *http.Request) (any, error) {
	peers, err := a.topology.Peers(r.Context())
	if err != nil {
		return nil, err
	}
	proposals, err := a.topology.Proposals(r.Context())
	out := Topology{Links: []topologyLinkJSON{}, Proposals: proposalsOf(proposals)}
	for _, p := range peers {
		out.Links = append(out.Links, topologyLinkJSON{
			Rack: p.Rack, Link: p.Link, VID: p.VID, Kind: p.Kind, Peer: p.Peer, PeerLink: p.PeerLink, LastSeen: p.LastSeen, Switch: p.Switch(),
		})
	}
	return out, err
}

// applyTopology moves the subnets as proposed and returns what it did.
func (a *API) applyTopology(r *http.Request) (any, error) {
	done, err := a.topology.Apply(r.Context())
	return proposalsOf(done), err
}

// proposalsOf shows proposals.
func proposalsOf(all []inventory.FabricProposal) []topologyProposalJSON {
	out := []topologyProposalJSON{}
	for _, p := range all {
		out = append(out, topologyProposalJSON{
			Subnet: p.Subnet.Prefix.String(), Why: p.Why, FromVLAN: p.From.ID, FromFabric: p.From.FabricID, ToVLAN: p.To.ID, ToFabric: p.To.FabricID,
		})
	}
	return out
}
