package region

import (
	"net/http"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// Exposed lists the secrets that a rack could have been sent. After its theft they have to be
// replaced: the passwords at the BMCs, the keys by a rotation.
type Exposed struct {
	// BMCs are those whose passwords it could have.
	BMCs []ExposedBMC `json:"bmcs"`
	// Zones are the signed domains whose keys it holds, Keys the names of TSIG keys.
	Zones []string `json:"zones"`
	Keys  []string `json:"keys"`
}

// ExposedBMC is a BMC whose password a rack could have been sent.
type ExposedBMC struct {
	Machine string `json:"machine"`
	Kind    string `json:"kind"`
	Address string `json:"address,omitempty"`
	User    string `json:"user,omitempty"`
}

// Rotated is the outcome of a rotation: what others have to be told.
type Rotated struct {
	// Zones are the signed domains with the DS records that their parents need now.
	Zones []RotatedZone `json:"zones"`
	// Keys are the TSIG keys with their new secrets, which no later answer has.
	Keys []RotatedKey `json:"keys"`
}

// RotatedZone is a domain with a new signing key.
type RotatedZone struct {
	Name string `json:"name"`
	DS   string `json:"ds"`
}

// RotatedKey is a TSIG key with a new secret.
type RotatedKey struct {
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
	Secret    string `json:"secret"`
}

// exposure reads what a rack could have been sent.
func (r *Region) exposure(req *http.Request) (*inventory.Model, plan.Exposure, error) {
	m, err := r.inv.Model(req.Context())
	if err != nil {
		return nil, plan.Exposure{}, err
	}
	rack, err := r.inv.Racks.Find(req.Context(), req.PathValue("name"))
	if err != nil {
		return nil, plan.Exposure{}, err
	}
	return m, plan.ExposureOf(m, rack), nil
}

// exposedByRack answers with the rack's Exposed.
func (r *Region) exposedByRack(req *http.Request) (any, error) {
	_, e, err := r.exposure(req)
	if err != nil {
		return nil, err
	}
	out := Exposed{BMCs: []ExposedBMC{}, Zones: append([]string{}, e.Zones...), Keys: append([]string{}, e.Keys...)}
	for _, m := range e.Machines {
		out.BMCs = append(out.BMCs, ExposedBMC{m.FQDN, m.Power.Type, m.Power.Params["power_address"], m.Power.Params["power_user"]})
	}
	return out, nil
}

// rotateForRack replaces the keys that a rack holds and answers with Rotated. Racks that may have
// the keys get the new ones by the next publication.
func (r *Region) rotateForRack(req *http.Request) (any, error) {
	_, e, err := r.exposure(req)
	if err != nil {
		return nil, err
	}
	out := Rotated{Zones: []RotatedZone{}, Keys: []RotatedKey{}}
	renewed, err := r.inv.Enrolment.Rotate(req.Context(), e.Zones, e.Keys)
	if err != nil {
		return nil, err
	}
	for _, k := range renewed {
		out.Keys = append(out.Keys, RotatedKey{k.Name, k.Algorithm, string(k.Secret)})
	}
	for _, name := range e.Zones {
		d, err := r.inv.Domains.Find(req.Context(), name)
		if err != nil {
			return nil, err
		}
		ds, err := r.inv.SigningKey(d).DS(d.Name)
		if err != nil {
			return nil, err
		}
		out.Zones = append(out.Zones, RotatedZone{name, ds})
	}
	return out, nil
}
