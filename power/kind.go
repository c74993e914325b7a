package power

import (
	"context"
	"maps"
	"slices"
	"strconv"
)

// Params are the settings of one machine's power control, by the names that its [Kind] declares.
type Params map[string]string

// A Kind is one way to control power: what it is called, what it needs to know, and how a driver
// for it is opened.
type Kind struct {
	// Name is the power type in the API and in configurations, for example "ipmi".
	Name string
	// Title is its name in forms, for example "IPMI".
	Title string
	// Params are the settings, in the order in which a form shows them.
	Params []Param
	// Open returns a driver. It may wait for the BMC; it opens nothing that [Closer] does not
	// close. The parameters have been through [Kind.Check].
	Open func(ctx context.Context, p Params) (Driver, error)
	// Blind is set for kinds that cannot ask for the state, such as Wake-on-LAN: a request that was
	// accepted is believed. Otherwise a request waits until the driver reports the state, also when
	// that is [Unknown] for a while.
	Blind bool
	// BootOrder is set for kinds whose drivers are an [AlwaysBooter], for lists of kinds: whether a
	// driver is shows only once it is open.
	BootOrder bool
	// Media is set for kinds whose drivers are a [MediaDrive].
	Media bool
	// Identity names the BMC that the parameters lead to, so that requests to one BMC go one after
	// the other. Nil means the value of "power_address".
	Identity func(p Params) string
}

// Scope says whose a parameter is.
type Scope string

// The scopes.
const (
	// ScopeBMC is for what several machines behind one BMC share.
	ScopeBMC Scope = "bmc"
	// ScopeNode is for parameters that differ between the machines behind one BMC.
	ScopeNode Scope = "node"
)

// A Param is one setting.
type Param struct {
	// Name is the key in [Params], such as "power_address".
	Name string
	// Label is its description in forms.
	Label string
	// Default is used when the parameter is not given. Empty means none.
	Default string
	// Choices are all values it may have. Nil means any.
	Choices []string
	// Required refuses an empty value.
	Required bool
	// Secret values are never shown or logged.
	Secret bool
	// Scope is empty for ScopeBMC.
	Scope Scope
	// Min and Max bound a value that is a whole number. Both zero means any text.
	Min, Max int
	// Multiline is set for texts of several lines, such as keys in PEM.
	Multiline bool
}

// check returns why the value, which is not empty, is none for the parameter.
func (d *Param) check(value string) error {
	const op = "settings"
	if d.Choices != nil && !slices.Contains(d.Choices, value) {
		return Errorf(Settings, op, "%s may be one of %q", d.Name, d.Choices)
	}
	if d.Min == 0 && d.Max == 0 {
		return nil
	}
	if n, err := strconv.Atoi(value); err != nil || n < d.Min || n > d.Max {
		return Errorf(Settings, op, "%s must be a whole number from %d to %d", d.Name, d.Min, d.Max)
	}
	return nil
}

// Check fills in the defaults and returns the complete parameters, or an error of class [Settings]
// that names the parameter and what it may be. Unknown parameters are refused.
func (k *Kind) Check(p Params) (Params, error) {
	const op = "settings"
	full := Params{}
	for name := range p {
		if !slices.ContainsFunc(k.Params, func(d Param) bool { return d.Name == name }) {
			return nil, Errorf(Settings, op, "power type %s has no parameter %q; it has %q", k.Name, name, k.names())
		}
	}
	for _, d := range k.Params {
		value := p[d.Name]
		if value == "" {
			value = d.Default
		}
		if value == "" {
			if d.Required {
				return nil, Errorf(Settings, op, "power type %s needs the parameter %s", k.Name, d.Name)
			}
			continue
		}
		if err := d.check(value); err != nil {
			return nil, err
		}
		full[d.Name] = value
	}
	return full, nil
}

// names returns the names of the parameters, in their order.
func (k *Kind) names() []string {
	out := make([]string, len(k.Params))
	for i := range k.Params {
		out[i] = k.Params[i].Name
	}
	return out
}

// Public returns the parameters without the secret ones.
func (k *Kind) Public(p Params) Params {
	public := maps.Clone(p)
	for _, d := range k.Params {
		if d.Secret {
			delete(public, d.Name)
		}
	}
	return public
}

// identity names the BMC.
func (k *Kind) identity(p Params) string {
	if k.Identity != nil {
		return k.Name + " " + k.Identity(p)
	}
	return k.Name + " " + p["power_address"]
}

// A Registry holds kinds by name. It is a value that its owner makes; there is no global one. It
// must not be changed while it is used.
type Registry map[string]Kind

// NewRegistry returns a registry of the kinds.
func NewRegistry(kinds ...Kind) Registry {
	r := Registry{}
	for _, k := range kinds {
		r[k.Name] = k
	}
	return r
}

// retired are power types of MAAS that no kind here has the name of, with what takes their place.
var retired = map[string]string{
	"ether_wake": "use wol",
	"fence_cdu":  "use pdu with pdu_type=servertech",
	"hmc":        "use ssh to the HMC, with chsysstate as commands",
	"hmcz":       "use webhook, with a service in front of the HMC's web services",
	"moonshot":   "the hardware is out of support; use ipmi where the chassis manager bridges it, or ssh to the chassis manager",
	"mscm":       "the hardware is out of support; use ssh to the chassis manager",
	"msftocs":    "the hardware is out of support; use webhook, with a service in front of the chassis manager",
	"nova":       "MAAS removed it; use webhook, with a service in front of OpenStack",
	"powerkvm":   "use virsh",
	"recs_box":   "the hardware is out of support; use redfish if its manager has that, or webhook",
	"sm15k":      "the hardware is out of support; use ipmi or webhook",
	"ucsm":       "use redfish with the address of the server's own controller (CIMC)",
	"vmware":     "it is a Go module of its own, power/vmware; run its program maas-vmware, and use webhook or redfish with that as the BMC",
	"wedge":      "use ssh to the BMC, with wedge_power.sh as commands",
}

// Kind returns a kind by name, or an error of class [Settings] that lists the names there are, or
// what takes the place of a power type that MAAS has.
func (r Registry) Kind(name string) (Kind, error) {
	k, ok := r[name]
	if !ok && retired[name] != "" {
		return Kind{}, Errorf(Settings, "settings", "there is no power type %q: %s", name, retired[name])
	}
	if !ok {
		return Kind{}, Errorf(Settings, "settings", "there is no power type %q; there are %q", name, slices.Sorted(maps.Keys(r)))
	}
	return k, nil
}
