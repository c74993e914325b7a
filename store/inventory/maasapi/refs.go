package maasapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// readRef reads a reference to another object: find returns the number of the object that the text
// means. An empty text refers to no object.
func readRef(f *form.Form, name string, to *int64, find func(text string) (int64, error)) {
	if !f.Has(name) {
		return
	}
	if f.Get(name) == "" {
		*to = 0
		return
	}
	id, err := find(f.Get(name))
	if none := (*inventory.NotFoundError)(nil); errors.As(err, &none) {
		f.Wrong(name, "there is no %s %q", none.Kind, f.Get(name))
		return
	}
	if err != nil {
		f.Wrong(name, "%s", strings.TrimPrefix(err.Error(), "inventory: "))
		return
	}
	*to = id
}

// The functions below resolve a reference in a form: a number, a name, or another form that MAAS
// takes.

func (a *API) subnetRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		s, err := a.inv.Subnets.Find(r.Context(), text)
		return s.ID, err
	}
}

func (a *API) vlanRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		v, err := a.inv.VLANs.Find(r.Context(), text)
		return v.ID, err
	}
}

func (a *API) fabricRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		f, err := a.inv.Fabrics.Find(r.Context(), text)
		return f.ID, err
	}
}

// spaceRef resolves "undefined" to no space, as MAAS shows VLANs without one.
func (a *API) spaceRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		if text == undefinedSpace {
			return 0, nil
		}
		s, err := a.inv.Spaces.Find(r.Context(), text)
		return s.ID, err
	}
}

// byName returns the ID of the object in a list that has a name or number.
func byName[T any](all []T, err error, text, what string, of func(T) (int64, string)) (int64, error) {
	if err != nil {
		return 0, err
	}
	number, nerr := strconv.ParseInt(text, 10, 64)
	var names []string
	for _, x := range all {
		id, name := of(x)
		if strings.EqualFold(name, text) || nerr == nil && id == number {
			return id, nil
		}
		names = append(names, name)
	}
	return 0, fmt.Errorf("there is no %s %q; there are %s", what, text, strings.Join(names, ", "))
}

func (a *API) zoneRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		all, err := a.inv.Zones.List(r.Context())
		return byName(all, err, text, "zone", func(z inventory.AvailabilityZone) (int64, string) { return z.ID, z.Name })
	}
}

func (a *API) poolRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		all, err := a.inv.Pools.List(r.Context())
		return byName(all, err, text, "pool", func(p inventory.ResourcePool) (int64, string) { return p.ID, p.Name })
	}
}

func (a *API) domainRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		all, err := a.inv.Domains.List(r.Context())
		return byName(all, err, text, "domain", func(d inventory.Domain) (int64, string) { return d.ID, d.Name })
	}
}

// machineRef finds a machine by name or system ID.
func (a *API) machineRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		m, err := a.inv.Machines.Find(r.Context(), text)
		return m.ID, err
	}
}

// describedJSON is an object with a name and a description.
type describedJSON struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	ResourceURI string `json:"resource_uri"`
}

// undefinedSpace is shown as the space of VLANs without one.
const undefinedSpace = "undefined"

// spaceNames returns the names of spaces by ID.
func (a *API) spaceNames(r *http.Request) (map[int64]string, error) {
	all, err := a.inv.Spaces.List(r.Context())
	names := map[int64]string{0: undefinedSpace}
	for _, s := range all {
		names[s.ID] = s.Name
	}
	return names, err
}

// fabricNames returns the names of fabrics by ID.
func (a *API) fabricNames(r *http.Request) (map[int64]string, error) {
	all, err := a.inv.Fabrics.List(r.Context())
	names := map[int64]string{}
	for _, f := range all {
		names[f.ID] = f.Name
	}
	return names, err
}

// rdnsModes are the modes by MAAS' numbers.
var rdnsModes = []ipam.RDNSMode{ipam.RDNSDisabled, ipam.RDNSEnabled, ipam.RDNSRFC2317}

// defaultDomain is the ID of the domain that the inventory is created with. It cannot be deleted.
const defaultDomain = 1

// notFound returns the error of an object that does not exist.
func notFound(kind, what string) error { return &inventory.NotFoundError{Kind: kind, What: what} }

// pathID returns the number in the path.
func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, form.Invalid("id", fmt.Sprintf("%q is not a number", r.PathValue("id")))
	}
	return id, nil
}

// texts returns values as texts. It never returns nil, which would be encoded as null instead of an
// empty list.
func texts[T any](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprint(v)
	}
	return out
}

// sortedByIP sorts by address instead of by text, which would put .10 before .9.
func sortedByIP(list []ipAddressJSON) []ipAddressJSON {
	slices.SortFunc(list, func(x, y ipAddressJSON) int {
		a, _ := netip.ParseAddr(x.IP) // always parses: it was made from an address
		b, _ := netip.ParseAddr(y.IP)
		return a.Compare(b)
	})
	return list
}
