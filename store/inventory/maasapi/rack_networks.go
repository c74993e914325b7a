package maasapi

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// rackProposalJSON is a network that a rack registered and was not given.
type rackProposalJSON struct {
	Interface string `json:"interface"`
	Network   string `json:"network"`
	IPAddress string `json:"ip_address"`
	Serve     bool   `json:"serve"` // it is configured to serve machines there
	Ignored   bool   `json:"ignored"`
}

// assign adds what a rack was given to its answer, and the networks that wait for an administrator.
func (c *Controller) assign(k inventory.Rack, a inventory.Assignment, certificates []inventory.RackCertificate) {
	c.Networks, c.AssignedNetworks, c.BMCNetworks = texts(a.Networks), texts(k.Networks), texts(k.BMCNetworks)
	c.Proposals = []rackProposalJSON{}
	for _, p := range k.Proposals(a) {
		c.Proposals = append(c.Proposals, rackProposalJSON{p.Link, p.Network.String(), p.Address.String(), p.Serve, p.Ignored})
	}
	var revoked time.Time
	for _, held := range certificates {
		switch {
		case held.Rack != k.Name:
		case held.Revoked.IsZero():
			return
		case held.Revoked.After(revoked):
			revoked = held.Revoked
		}
	}
	if !revoked.IsZero() {
		c.Revoked = &revoked
	}
}

// actOnRack gives a rack networks that it proposed, or keeps them from being reported again. Both
// are for the field network, which may be repeated; without it for all open proposals.
func (a *API) actOnRack(r *http.Request) (any, error) {
	op := r.URL.Query().Get("op")
	if op != "accept" && op != "ignore" {
		return nil, &unsupported{"rack controller op=" + op}
	}
	return a.change(r, func(r *http.Request, f *form.Form) (any, error) {
		var networks []netip.Prefix
		readNetworks(f, "network", &networks)
		if f.Err != nil {
			return nil, f.Err
		}
		act := a.enrolment.Accept
		if op == "ignore" {
			act = a.enrolment.Ignore
		}
		if _, err := act(r.Context(), r.PathValue("id"), networks...); err != nil {
			return nil, err
		}
		return a.showRack(r, r.PathValue("id"))
	})
}

// readNetworks reads a list of networks if the form has the field.
func readNetworks(f *form.Form, name string, to *[]netip.Prefix) {
	if !f.Has(name) {
		return
	}
	*to = nil
	for _, text := range f.List(name) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			f.Wrong(name, "has %q, which is no network like 192.0.2.0/24", text)
			return
		}
		*to = append(*to, p.Masked())
	}
}

// knownRacks refuses names that no rack has.
func (a *API) knownRacks(ctx context.Context, f *form.Form, field string, names []string) {
	for _, name := range names {
		if _, err := a.racks.Find(ctx, name); err != nil {
			f.Wrong(field, "has %q, which is no rack of the site; see maas rack list", name)
		}
	}
}
