package power

import (
	"context"
	"maps"
	"slices"
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
}

// Check fills in the defaults and returns the complete parameters, or an error of class [Settings]
// that names the parameter and what it may be. Unknown parameters are refused.
func (k *Kind) Check(p Params) (Params, error) {
	const op = "settings"
	full := Params{}
	for name := range p {
		if !slices.ContainsFunc(k.Params, func(d Param) bool { return d.Name == name }) {
			return nil, Errorf(Settings, op, "power type %s has no parameter %q", k.Name, name)
		}
	}
	for _, d := range k.Params {
		value := p[d.Name]
		if value == "" {
			value = d.Default
		}
		switch {
		case value == "" && d.Required:
			return nil, Errorf(Settings, op, "power type %s needs the parameter %s", k.Name, d.Name)
		case value != "" && d.Choices != nil && !slices.Contains(d.Choices, value):
			return nil, Errorf(Settings, op, "%s may be one of %q", d.Name, d.Choices)
		case value != "":
			full[d.Name] = value
		}
	}
	return full, nil
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

// Kind returns a kind by name, or an error of class [Settings] that lists the names there are.
func (r Registry) Kind(name string) (Kind, error) {
	k, ok := r[name]
	if !ok {
		return Kind{}, Errorf(Settings, "settings", "there is no power type %q; there are %q", name, slices.Sorted(maps.Keys(r)))
	}
	return k, nil
}
