package maasapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Controller is a rack or a region. Its name is its system ID.
type Controller struct {
	SystemID     string         `json:"system_id"`
	Hostname     string         `json:"hostname"`
	FQDN         string         `json:"fqdn"`
	Description  string         `json:"description"`
	Zone         namedJSON      `json:"zone"`
	IPAddresses  []string       `json:"ip_addresses"`
	Interfaces   []rackLinkJSON `json:"interface_set"`
	TagNames     []string       `json:"tag_names"`
	NodeType     int            `json:"node_type"`
	NodeTypeName string         `json:"node_type_name"`
	// LastSeen is the time of its last contact with a region; nil = none.
	LastSeen    *time.Time `json:"last_seen"`
	ResourceURI string     `json:"resource_uri"`
	// Version is the version of its program in its last report; empty = no report.
	Version  string           `json:"version"`
	Services []rackServerJSON `json:"service_set"`
	// Networks are those that a rack serves, AssignedNetworks those of them that it was given apart
	// from the VLANs that name it, and BMCNetworks those whose BMCs it switches besides. Proposals
	// are networks that it registered and was not given.
	Networks         []string           `json:"served_networks"`
	AssignedNetworks []string           `json:"networks"`
	BMCNetworks      []string           `json:"bmc_networks"`
	Proposals        []rackProposalJSON `json:"proposals"`
	// Revoked is the time at which the last certificate of a rack was revoked; nil = it has one.
	Revoked *time.Time `json:"revoked"`
}

// rackServerJSON is one of a controller's services.
type rackServerJSON struct {
	Name       string `json:"name"`
	Status     string `json:"status"` // "running", "degraded", "dead", "off" or, if the rack is away, "unknown"
	StatusInfo string `json:"status_info"`
}

// serve adds the services of a rack's last report. The report of a rack that is away says nothing
// about now.
func (c *Controller) serve(h inventory.RackHealth) {
	c.Version = h.Report.Version
	for _, s := range h.Report.Services {
		out := rackServerJSON{Name: s.Name, Status: s.Status, StatusInfo: s.Info}
		if !h.Away.IsZero() {
			out.Status, out.StatusInfo = "unknown", "the rack was not heard of since "+h.Heard.Format(time.DateTime)
		}
		c.Services = append(c.Services, out)
	}
}

// rackLinkJSON is a network interface of a rack.
type rackLinkJSON struct {
	Name       string     `json:"name"`
	MACAddress string     `json:"mac_address"`
	Links      []linkJSON `json:"links"`
}

// MAAS' numbers of controllers.
const (
	nodeRack   = 2
	nodeRegion = 3
)

// showRacks shows racks with their services and interfaces.
func (a *API) showRacks(r *http.Request, racks []inventory.Rack) ([]any, error) {
	names, err := a.names(r)
	if err != nil {
		return nil, err
	}
	health, err1 := a.health.Racks(r.Context())
	assigned, err2 := a.enrolment.Assignments(r.Context())
	certificates, err3 := a.enrolment.Certificates(r.Context())
	var out []any
	for _, k := range racks {
		shown := Controller{
			SystemID: k.Name, Hostname: k.Name, FQDN: k.Name, Zone: names.zone(k.ZoneID), IPAddresses: []string{}, Interfaces: []rackLinkJSON{},
			TagNames: []string{}, NodeType: nodeRack, NodeTypeName: "Rack controller", ResourceURI: a.base + "rackcontrollers/" + k.Name + "/",
			Services: []rackServerJSON{},
		}
		shown.serve(health[k.Name])
		shown.assign(k, assigned[k.Name], certificates)
		if !k.LastSeen.IsZero() {
			shown.LastSeen = &k.LastSeen
		}
		for _, l := range k.Links {
			link := rackLinkJSON{Name: l.Name, MACAddress: l.MAC, Links: []linkJSON{}}
			for _, p := range l.Addrs {
				shown.IPAddresses = append(shown.IPAddresses, p.Addr().String())
				link.Links = append(link.Links, linkJSON{Mode: "static", IPAddress: p.Addr().String()})
			}
			shown.Interfaces = append(shown.Interfaces, link)
		}
		out = append(out, shown)
	}
	return out, errors.Join(err1, err2, err3)
}

// listRacks lists the racks, or answers describe_power_types and is_registered.
func (a *API) listRacks(r *http.Request) (any, error) {
	query := r.URL.Query()
	switch op := query.Get("op"); op {
	case "describe_power_types":
		return a.powerTypes(), nil
	case "", "is_registered":
		racks, err := a.racks.List(r.Context())
		if err != nil {
			return nil, err
		}
		if op == "is_registered" {
			return isRegistered(racks, query.Get("mac_address"))
		}
		racks = slices.DeleteFunc(racks, func(k inventory.Rack) bool {
			return !asked(query, "id", k.Name) || !asked(query, "hostname", k.Name)
		})
		shown, err := a.showRacks(r, racks)
		return append([]any{}, shown...), err
	default:
		return nil, &unsupported{"rackcontrollers op=" + op}
	}
}

// isRegistered reports whether a rack has an interface with the MAC address.
func isRegistered(racks []inventory.Rack, text string) (bool, error) {
	mac, err := net.ParseMAC(text)
	if err != nil {
		return false, form.Invalid("mac_address", "is not a MAC address")
	}
	return slices.ContainsFunc(racks, func(k inventory.Rack) bool {
		return slices.ContainsFunc(k.Links, func(l inventory.RackLink) bool { return strings.EqualFold(l.MAC, mac.String()) })
	}), nil
}

// getRack returns a rack by name.
func (a *API) getRack(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"rack controller op=" + op}
	}
	return a.showRack(r, r.PathValue("id"))
}

// showRack shows a rack by name.
func (a *API) showRack(r *http.Request, name string) (any, error) {
	k, err := a.racks.Find(r.Context(), name)
	if err != nil {
		return nil, err
	}
	shown, err := a.showRacks(r, []inventory.Rack{k})
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

// rackOf returns the rack of the path. Writes to it have no operations.
func (a *API) rackOf(r *http.Request) (inventory.Rack, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return inventory.Rack{}, &unsupported{"rack controller op=" + op}
	}
	return a.racks.Find(r.Context(), r.PathValue("id"))
}

// updateRack moves a rack to another zone, changes the networks that it was given, or renames it
// while it is away: it learns its name when it connects. Of MAAS' other fields none applies: a rack
// registers its own interfaces, and is not switched.
func (a *API) updateRack(r *http.Request) (any, error) {
	return a.change(r, func(r *http.Request, f *form.Form) (any, error) {
		k, err := a.rackOf(r)
		if err != nil {
			return nil, err
		}
		if err := ifMatch(r, k); err != nil {
			return nil, err
		}
		was := k.Name
		f.Text("hostname", &k.Name)
		readRef(f, "zone", &k.ZoneID, a.zoneRef(r))
		readNetworks(f, "networks", &k.Networks)
		readNetworks(f, "bmc_networks", &k.BMCNetworks)
		if f.Err != nil {
			return nil, f.Err
		}
		if k.Name != was {
			if _, err := a.awayRack(r.Context(), was); err != nil {
				return nil, err
			}
		}
		// With what it registered, a network that it is given now is served.
		_, err = a.enrolment.Assign(r.Context(), was, func(now *inventory.Rack) error { *now = k; return nil })
		if err != nil {
			return nil, err
		}
		return a.showRack(r, k.Name)
	})
}

// connected reports that a rack cannot be deleted because it is at work.
type connected struct{ rack string }

func (e *connected) Error() string {
	return "rack " + e.rack + " is connected, and would register again; stop it, or shut it out with: maas rack revoke " + e.rack
}

// awayRack reports whether a rack that is away or revoked has a certificate that is still good. For
// a rack that is at work the error is *connected.
func (a *API) awayRack(ctx context.Context, name string) (valid bool, err error) {
	health, err := a.health.Racks(ctx)
	if err != nil {
		return false, err
	}
	certificates, err := a.enrolment.Certificates(ctx)
	if err != nil {
		return false, err
	}
	revoked := false
	for _, c := range certificates {
		revoked = revoked || c.Rack == name && !c.Revoked.IsZero()
		valid = valid || c.Rack == name && c.Revoked.IsZero()
	}
	if h := health[name]; !h.Heard.IsZero() && h.Away.IsZero() && (valid || !revoked) {
		return false, &connected{name}
	}
	return valid, nil
}

// deleteRack deletes a rack that is away or revoked, and revokes its certificates: one that is
// started again would otherwise register itself at once.
func (a *API) deleteRack(r *http.Request) (any, error) {
	return nil, a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		k, err := a.rackOf(r.WithContext(ctx))
		if err != nil {
			return err
		}
		if err := ifMatch(r, k); err != nil {
			return err
		}
		valid, err := a.awayRack(ctx, k.Name)
		if err != nil {
			return err
		}
		if valid {
			if err := a.enrolment.Revoke(ctx, k.Name); err != nil {
				return err
			}
		} else if err := a.enrolment.Dismiss(ctx, k.Name); err != nil { // a rack that was shut out keeps no VLAN
			return err
		}
		return a.racks.Delete(ctx, k.ID)
	})
}

// listRegions lists the regions that racks can reach.
func (a *API) listRegions(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"regioncontrollers op=" + op}
	}
	regions, err := a.regions.List(r.Context())
	out := []any{}
	for _, g := range regions {
		out = append(out, a.controllerOf(g))
	}
	return out, err
}

// getRegion returns a region by name.
func (a *API) getRegion(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"region controller op=" + op}
	}
	regions, err := a.regions.List(r.Context())
	for _, g := range regions {
		if g.Name == r.PathValue("id") {
			return a.controllerOf(g), nil
		}
	}
	if err == nil {
		err = notFound("region controller", r.PathValue("id"))
	}
	return nil, err
}

// controllerOf shows a region. Addresses that are names are left out of ip_addresses.
func (a *API) controllerOf(g inventory.Region) Controller {
	out := Controller{
		SystemID: g.Name, Hostname: g.Name, FQDN: g.Name, IPAddresses: []string{}, Interfaces: []rackLinkJSON{}, TagNames: []string{},
		Networks: []string{}, AssignedNetworks: []string{}, BMCNetworks: []string{}, Proposals: []rackProposalJSON{}, NodeType: nodeRegion, NodeTypeName: "Region controller", LastSeen: &g.LastSeen, ResourceURI: a.base + "regioncontrollers/" + g.Name + "/",
		Services: []rackServerJSON{},
	}
	for _, text := range g.Addresses {
		if ap, err := netip.ParseAddrPort(text); err == nil {
			out.IPAddresses = append(out.IPAddresses, ap.Addr().String())
		}
	}
	return out
}
