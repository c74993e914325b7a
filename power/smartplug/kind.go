package smartplug

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
	"github.com/gomaas/maas/power/internal/outlet"
)

// Name is the power type's name.
const Name = "smartplug"

const (
	paramAddress = "power_address"
	paramType    = "plug_type"
	paramOutlet  = "node_outlet"
	paramUser    = "power_user"
	paramPass    = "power_pass"
	paramToken   = "power_token"
)

// Kind declares the power type "smartplug".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "Smart plug (Shelly, Tasmota, Home Assistant)",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "Address or URL of the plug, or of Home Assistant", Required: true},
			{Name: paramType, Label: "Make of the plug", Required: true, Choices: slices.Sorted(maps.Keys(plugs))},
			{Name: paramOutlet, Label: "Number of the outlet, from 1, when there are several; the entity, for Home Assistant", Scope: power.ScopeNode},
			outlet.Param(),
			{Name: paramUser, Label: "User; admin, when empty"},
			{Name: paramPass, Label: "Password, if the plug has one", Secret: true},
			{Name: paramToken, Label: "Long-lived access token of Home Assistant", Secret: true},
		}, bmchttp.Params()...),
		Open: open,
		// Each outlet is a machine of its own, and Home Assistant serves many at a time.
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], "80") + " " + p[paramOutlet] },
	}
}

// A plug is a make: it prepares the service, and asks and switches one outlet.
type plug struct {
	name    string // for errors
	port    string // "" = the usual one
	prepare func(d *driver, p power.Params) error
	state   func(ctx context.Context, d *driver) (power.State, error)
	set     func(ctx context.Context, d *driver, on bool) error
}

// plugs are the makes by name.
var plugs = map[string]plug{
	"shelly":        {name: "a Shelly plug", prepare: prepareShelly, state: shellyState, set: shellySet},
	"shelly-gen1":   {name: "a Shelly plug of the first generation", prepare: prepareShelly1, state: shelly1State, set: shelly1Set},
	"tasmota":       {name: "Tasmota", prepare: prepareTasmota, state: tasmotaState, set: tasmotaSet},
	"homeassistant": {name: "Home Assistant", port: "8123", prepare: prepareHome, state: homeState, set: homeSet},
}

// driver is a dialog with one plug about one of its outlets.
type driver struct {
	plug    plug
	service bmchttp.Service
	outlet  int    // from 1
	entity  string // of Home Assistant
	secret  string // what is added to each query of Tasmota
	delay   time.Duration
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	at, err := address.ParseHTTP(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	d := &driver{plug: plugs[p[paramType]], delay: outlet.Delay(p)}
	if !strings.Contains(p[paramAddress], "://") {
		at.Scheme = "http" // no plug has TLS from the start
		if at.Port == "" {
			at.Port = d.plug.port
		}
	}
	client, err := bmchttp.New(ctx, p)
	if err != nil {
		return nil, err
	}
	d.service = bmchttp.Service{HTTP: client, Base: at.URL(), Name: d.plug.name, Param: paramAddress}
	if err := d.plug.prepare(d, p); err != nil {
		return nil, err
	}
	return d, nil
}

// number reads the number of the outlet.
func (d *driver) number(p power.Params) error {
	text := p[paramOutlet]
	if text == "" {
		text = "1"
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n == 0 {
		return power.Errorf(power.Settings, "settings", "%s: %q is not the number of an outlet", paramOutlet, text)
	}
	d.outlet = int(n)
	return nil
}

// user returns the user, whom most plugs call admin.
func user(p power.Params) string {
	if p[paramUser] == "" {
		return "admin"
	}
	return p[paramUser]
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) { return d.plug.state(ctx, d) }

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	return d.plug.set(ctx, d, target == power.On)
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error { return outlet.Cycle(ctx, d.delay, d.SetPower) }

// Close implements power.Closer.
func (d *driver) Close(context.Context) error {
	d.service.HTTP.CloseIdleConnections()
	return nil
}

const (
	opState  = "read the state of the plug"
	opSwitch = "switch the plug"
)

// onOff is the state of an outlet.
func onOff(on bool) power.State {
	if on {
		return power.On
	}
	return power.Off
}

// ask sends a GET.
func (d *driver) ask(ctx context.Context, op, path string, out any) error {
	return d.service.Do(ctx, op, http.MethodGet, path, nil, out)
}
