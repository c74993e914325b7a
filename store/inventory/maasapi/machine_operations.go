package maasapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// noDetails answers op=details: the BSON document {"lldp": null, "lshw": null}. No agent runs on
// machines that could collect the two.
var noDetails = file{"application/bson", []byte("\x11\x00\x00\x00\nlldp\x00\nlshw\x00\x00")}

// locked reports that a machine's lock forbids a request.
type locked struct{ name string }

func (e *locked) Error() string { return "machine " + e.name + " is locked; unlock it first" }

// releaseOne serves op=release of one machine.
func (a *API) releaseOne(r *http.Request, m inventory.Machine) error {
	_, err := a.release(r.Context(), m)
	return err
}

// lock serves op=lock.
func (a *API) lock(r *http.Request, m inventory.Machine) error {
	return a.inv.LockMachine(r.Context(), m.ID, true)
}

// unlock serves op=unlock.
func (a *API) unlock(r *http.Request, m inventory.Machine) error {
	return a.inv.LockMachine(r.Context(), m.ID, false)
}

// reinstall serves op=reinstall: a machine that boots its disk, since its system is configured,
// boots its profile again.
func (a *API) reinstall(r *http.Request, m inventory.Machine) error {
	if m.Locked {
		return &locked{m.FQDN}
	}
	m.Configured = time.Time{}
	_, err := a.inv.Machines.Update(r.Context(), m)
	return err
}

// clearGateways serves op=clear_default_gateways. Link 0 is none.
func (a *API) clearGateways(r *http.Request, m inventory.Machine) error {
	return a.inv.SetDefaultGateway(r.Context(), m.ID, 0)
}

// gatewaysJSON are the chosen default gateways of a machine, for the tool that configures its
// system. DHCP gives each subnet's own gateway, whatever is chosen here.
type gatewaysJSON struct {
	IPv4 gatewayJSON `json:"ipv4"`
	IPv6 gatewayJSON `json:"ipv6"`
}

// gatewayJSON is a chosen gateway; its fields are nil if none is chosen.
type gatewayJSON struct {
	Address *string `json:"gateway_ip"`
	Link    *int64  `json:"link_id"`
}

// gateways shows a machine's chosen gateways. The choice is stored as a link, so that it follows a
// change of the subnet's gateway.
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

// setGateway makes the gateway of one of the interface's links the machine's default gateway.
// Without link_id the interface may have at most one link with a gateway in each address family,
// since the choice would be a guess.
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
