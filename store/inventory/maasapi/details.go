package maasapi

import (
	"context"
	"net/http"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// noDetails is what op=details answers: the BSON document {"lldp": null, "lshw": null}. Nothing runs on machines that could
// collect them.
var noDetails = file{"application/bson", []byte("\x11\x00\x00\x00\nlldp\x00\nlshw\x00\x00")}

// locked is a machine of which something is asked that its lock forbids.
type locked struct{ name string }

func (e *locked) Error() string { return "machine " + e.name + " is locked; unlock it first" }

func (a *API) releaseOne(r *http.Request, m inventory.Machine) error {
	_, err := a.release(r.Context(), m)
	return err
}

func (a *API) lock(r *http.Request, m inventory.Machine) error {
	return a.inv.LockMachine(r.Context(), m.ID, true)
}

func (a *API) unlock(r *http.Request, m inventory.Machine) error {
	return a.inv.LockMachine(r.Context(), m.ID, false)
}

func (a *API) clearGateways(r *http.Request, m inventory.Machine) error {
	return a.inv.SetDefaultGateway(r.Context(), m.ID, 0)
}

// gatewaysJSON are the chosen gateways of a machine. They are kept for whoever sets its system up; DHCP tells each subnet's own.
type gatewaysJSON struct {
	IPv4 gatewayJSON `json:"ipv4"`
	IPv6 gatewayJSON `json:"ipv6"`
}

// gatewayJSON is one of them; nil = not chosen.
type gatewayJSON struct {
	Address *string `json:"gateway_ip"`
	Link    *int64  `json:"link_id"`
}

func (v subnetView) gateways(m inventory.Machine) (out gatewaysJSON) {
	for _, i := range m.Interfaces {
		for _, l := range i.Links {
			s := v.byID(l.SubnetID)
			if s == nil || l.ID != m.Gateway4 && l.ID != m.Gateway6 {
				continue
			}
			if l.ID == m.Gateway4 {
				out.IPv4 = gatewayJSON{s.GatewayIP, &l.ID}
			} else {
				out.IPv6 = gatewayJSON{s.GatewayIP, &l.ID}
			}
		}
	}
	return out
}

// setGateway makes the gateway of a link of the interface the machine's; without link_id there must be one link with a gateway
// for each family at most.
func (a *API) setGateway(ctx context.Context, r *http.Request, f *form.Form, i inventory.Interface) error {
	var id int
	if f.Number("link_id", &id); f.Err != nil {
		return f.Err
	}
	view, err := a.subnetView(r)
	if err != nil {
		return err
	}
	families := map[bool]int64{}
	for _, l := range i.Links {
		s := view.byID(l.SubnetID)
		if l.Type == ipam.AllocDiscovered || s == nil || id == 0 && s.GatewayIP == nil || id != 0 && l.ID != int64(id) {
			continue
		}
		is4 := l.Addr.Is4()
		if families[is4] != 0 {
			return form.Invalid("link_id", "is needed: the interface has several links to subnets with a gateway")
		}
		families[is4] = l.ID
	}
	if len(families) == 0 {
		return form.Invalid("link_id", "is not a link of the interface to a subnet with a gateway")
	}
	for _, is4 := range []bool{true, false} {
		if link := families[is4]; link != 0 {
			if err := a.inv.SetDefaultGateway(ctx, i.NodeID, link); err != nil {
				return err
			}
		}
	}
	return nil
}
