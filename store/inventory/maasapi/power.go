package maasapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Power switches machines. Its methods may be called concurrently; Power is called once per request
// and may block until ctx ends.
type Power interface {
	// Power executes the action on a machine. An error may be a [*power.Error]; the result is valid
	// with it.
	Power(ctx context.Context, m inventory.Machine, action power.Action, o PowerOptions) (power.Result, error)
	// Kinds returns the supported power types, which forms are checked against.
	Kinds() power.Registry
}

// PowerOptions refine an action on a machine.
type PowerOptions struct {
	// Boot is the device of the boot that the action begins. Empty means the network.
	Boot power.BootDevice
	// BootAlways makes Boot the device of all boots, where the power control can.
	BootAlways bool
	// Via selects how ActionCycle boots the machine. Empty means by Boot.
	Via Via
	// Media is the image of ActionInsert.
	Media string
	// Transcript asks for the dialog with the BMC.
	Transcript bool
}

// Via is a way to boot a machine what its profile says.
type Via string

// The ways.
const (
	ViaPXE Via = "pxe" // the firmware asks DHCP and its boot server
	// ViaMedia inserts an image that is made for the machine into its virtual CD drive, and ViaHTTP
	// hands its URL to the firmware. Neither needs a DHCP server: the image has the machine's static
	// address.
	ViaMedia Via = "media"
	ViaHTTP  Via = "uefi-http"
)

var vias = []Via{ViaPXE, ViaMedia, ViaHTTP}

// bootDevices are the values of the parameter boot.
var bootDevices = []power.BootDevice{"", power.Default, power.Network, power.NetworkHTTP, power.Disk, power.CD, power.Setup}

// actions are the operations on a machine that switch it.
var actions = map[string]power.Action{
	"power_on": power.ActionOn, "power_off": power.ActionOff, "power_cycle": power.ActionCycle,
}

// actOnMachine serves the operations of a machine. Switching is no transaction: a BMC may take
// minutes, and what it did cannot be undone if the answer is lost.
func (a *API) actOnMachine(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	soft := f.Get("stop_mode") == "soft"
	note := noteOf(f)
	if err := f.Rest(); err != nil {
		return nil, err
	}
	m, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if err := own(r, "machine "+m.FQDN, m.Owner); err != nil {
		return nil, err
	}
	op := r.URL.Query().Get("op")
	if do, ok := map[string]func(*http.Request, inventory.Machine) error{
		"release": a.releaseOne, "lock": a.lock, "unlock": a.unlock, "clear_default_gateways": a.clearGateways, "reinstall": a.reinstall,
	}[op]; ok {
		if err := do(r, m); err != nil {
			return nil, err
		}
		if err := a.addNote(r, m.ID, op, note); err != nil {
			return nil, err
		}
		if m, err = a.inv.Machines.Get(r.Context(), m.ID); err != nil {
			return nil, err
		}
		return a.show(r, m)
	}
	action, ok := actions[op]
	if !ok {
		return nil, &unsupported{"machine op=" + op}
	}
	if op == "power_off" && soft {
		action = power.ActionSoftOff
	}
	if _, err := a.act(r, m, action, PowerOptions{}); err != nil {
		return nil, err
	}
	if err := a.addNote(r, m.ID, op, note); err != nil {
		return nil, err
	}
	m, err = a.inv.Machines.Get(r.Context(), m.ID)
	if err != nil {
		return nil, err
	}
	return a.show(r, m)
}

// act switches a machine and stores the power state that was seen.
func (a *API) act(r *http.Request, m inventory.Machine, action power.Action, o PowerOptions) (power.Result, error) {
	if m.Locked && (action == power.ActionOff || action == power.ActionSoftOff || action == power.ActionCycle) {
		return power.Result{}, &locked{m.FQDN}
	}
	result, err := a.power.Power(r.Context(), m, action, o)
	if err := a.auditPower(r, m, action, o.Via, result, err); err != nil {
		return result, err
	}
	if err != nil {
		return result, fmt.Errorf("%s: %w", controlOf(m), err)
	}
	if result.State == power.Unknown && action != power.ActionQuery {
		return result, nil
	}
	return result, a.inv.SetPowerState(r.Context(), m.ID, string(result.State))
}

// controlOf describes a machine and the BMC that switches it, for errors.
func controlOf(m inventory.Machine) string {
	text := "machine " + m.FQDN
	if m.Power.Type != "" {
		text += ", " + m.Power.Type
	}
	if addr := m.Power.Params["power_address"]; addr != "" {
		text += " at " + withoutSecrets(addr)
	}
	return text
}

// PowerAnswer is the answer of /api/v1/machines/{id}/power. It contains a failure of the BMC
// instead of an error status, so that the steps and the transcript arrive with it.
type PowerAnswer struct {
	power.Result
	// Class is the class of Error; empty on success.
	Class power.Class `json:"class,omitempty"`
	// Error describes a failure.
	Error string `json:"error,omitempty"`
}

// postPower serves all actions, some of which MAAS has no operation for, and returns the steps.
func (a *API) postPower(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	wanted := f.Get("action")
	o := PowerOptions{Boot: power.BootDevice(f.Get("boot")), BootAlways: f.Get("boot_always") == "true", Media: f.Get("media"), Transcript: f.Get("transcript") == "true"}
	if err := f.Rest(); err != nil {
		return nil, err
	}
	m, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if err := own(r, "machine "+m.FQDN, m.Owner); err != nil {
		return nil, err
	}
	action, err := power.ParseAction(wanted)
	if err != nil {
		return nil, form.Invalid("action", err.Error())
	}
	if !slices.Contains(bootDevices, o.Boot) {
		return nil, form.Invalid("boot", fmt.Sprintf("%q is not a boot device; there are %q", o.Boot, bootDevices[1:]))
	}
	return powerAnswer(a.act(r, m, action, o))
}

// postBoot starts a machine, or starts it again, so that it boots its profile in the way that is
// chosen.
func (a *API) postBoot(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	o := PowerOptions{Via: Via(cmp.Or(f.Get("via"), string(ViaPXE))), Boot: power.Network, Transcript: f.Get("transcript") == "true"}
	if err := f.Rest(); err != nil {
		return nil, err
	}
	m, err := a.find(r)
	if err != nil {
		return nil, err
	}
	if err := own(r, "machine "+m.FQDN, m.Owner); err != nil {
		return nil, err
	}
	if !slices.Contains(vias, o.Via) {
		return nil, form.Invalid("via", fmt.Sprintf("%q is no way to boot; there are %q", o.Via, vias))
	}
	return powerAnswer(a.act(r, m, power.ActionCycle, o))
}

// powerAnswer makes a failure of power control a part of the answer.
func powerAnswer(result power.Result, err error) (any, error) {
	var perr *power.Error
	if errors.As(err, &perr) {
		return PowerAnswer{result, perr.Class, err.Error()}, nil
	}
	return PowerAnswer{Result: result}, err
}

// powerTypes returns the supported kinds of power control.
func (a *API) powerTypes() []PowerType {
	kinds := a.power.Kinds()
	out := []PowerType{}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		out = append(out, powerType(kinds[name]))
	}
	return out
}

// PowerType describes a kind of power control, for forms.
type PowerType struct {
	Name            string           `json:"name"`
	DriverType      string           `json:"driver_type"`
	Description     string           `json:"description"`
	Fields          []powerFieldJSON `json:"fields"`
	MissingPackages []string         `json:"missing_packages"`
	Queryable       bool             `json:"queryable"`
}

// powerFieldJSON is one parameter of a kind of power control.
type powerFieldJSON struct {
	Name     string      `json:"name"`
	Label    string      `json:"label"`
	Required bool        `json:"required"`
	Type     string      `json:"field_type"` // "string", "password" or "choice"
	Choices  [][2]string `json:"choices"`    // value and label
	Default  string      `json:"default"`
	Scope    power.Scope `json:"scope"`
	Secret   bool        `json:"secret"`
	// Minimum and Maximum bound a whole number; both missing means any text. Multiline texts have
	// several lines. MAAS has none of the three.
	Minimum   int  `json:"minimum,omitempty"`
	Maximum   int  `json:"maximum,omitempty"`
	Multiline bool `json:"multiline,omitempty"`
}

// powerType shows a kind of power control. The kinds that cannot report a state are not queried by
// clients.
func powerType(k power.Kind) PowerType {
	out := PowerType{
		Name: k.Name, DriverType: "power", Description: k.Title, Fields: []powerFieldJSON{}, MissingPackages: []string{},
		Queryable: !k.Blind,
	}
	for _, p := range k.Params {
		f := powerFieldJSON{
			Name: p.Name, Label: p.Label, Required: p.Required, Type: "string", Choices: [][2]string{}, Default: p.Default,
			Scope: cmp.Or(p.Scope, power.ScopeBMC), Secret: p.Secret,
			Minimum: p.Min, Maximum: p.Max, Multiline: p.Multiline,
		}
		if p.Secret {
			f.Type = "password"
		}
		for _, c := range p.Choices {
			f.Type, f.Choices = "choice", append(f.Choices, [2]string{c, c})
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

// nonNil returns an empty map for nil, which would be encoded as null.
func nonNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// powerPrefix starts the name of a form field for one power parameter.
const powerPrefix = "power_parameters_"

// usePower marks the fields of power as read; powerOf reads them from the values.
func (a *API) usePower(f *form.Form) {
	f.Used("power_type", "power_parameters")
	for name := range f.Values {
		if strings.HasPrefix(name, powerPrefix) {
			f.Used(name)
		}
	}
}

// powerOf reads and checks the power type and its parameters. Parameters are one JSON object, or
// one field each.
func (a *API) powerOf(values url.Values) (inventory.Power, error) {
	params := power.Params{}
	if text := values.Get("power_parameters"); text != "" {
		if err := json.Unmarshal([]byte(text), &params); err != nil {
			return inventory.Power{}, form.Invalid("power_parameters", "not a JSON object of strings")
		}
	}
	for key, texts := range values {
		if name, ok := strings.CutPrefix(key, powerPrefix); ok {
			params[name] = texts[0]
		}
	}
	p := inventory.Power{Type: values.Get("power_type")}
	if p.Type == "" {
		if len(params) > 0 {
			return p, form.Invalid("power_type", "power parameters need a power type")
		}
		return p, nil
	}
	kind, err := a.power.Kinds().Kind(p.Type)
	if err != nil {
		return p, form.Invalid("power_type", err.Error())
	}
	if p, err = inventory.NewPower(kind, params); err != nil {
		return p, form.Invalid("power_parameters", err.Error())
	}
	return p, nil
}
