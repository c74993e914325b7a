package openbmc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Name is the power type's name.
const Name = "openbmc"

const (
	paramAddress = "power_address"
	paramUser    = "power_user"
	paramPass    = "power_pass"
)

// Kind declares the power type "openbmc".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "OpenBMC",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "BMC address or URL", Required: true},
			{Name: paramUser, Label: "User", Required: true},
			{Name: paramPass, Label: "Password", Required: true, Secret: true},
		}, bmchttp.Params()...),
		Open:     open,
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], "443") },
	}
}

// Paths of the objects, and the beginnings of their values.
const (
	root           = "/xyz/openbmc_project"
	hostState      = root + "/state/host0/attr/CurrentHostState"
	hostTransition = root + "/state/host0/attr/RequestedHostTransition"
	chassisState   = root + "/state/chassis0/attr/CurrentPowerState"
	chassisRequest = root + "/state/chassis0/attr/RequestedPowerTransition"
	bootSource     = root + "/control/host0/boot/one_time/attr/BootSource"
	bootMode       = root + "/control/host0/boot/one_time/attr/BootMode"
	bootEnabled    = root + "/control/host0/boot/one_time/attr/Enabled"

	hostPrefix    = "xyz.openbmc_project.State.Host."
	chassisPrefix = "xyz.openbmc_project.State.Chassis."
	sourcePrefix  = "xyz.openbmc_project.Control.Boot.Source.Sources."
	modeRegular   = "xyz.openbmc_project.Control.Boot.Mode.Modes.Regular"
	modeSetup     = "xyz.openbmc_project.Control.Boot.Mode.Modes.Setup"
)

type driver struct {
	http *http.Client
	base string
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	at, err := address.ParseHTTP(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	client, err := bmchttp.New(ctx, p)
	if err != nil {
		return nil, err
	}
	// This API of the BMC (phosphor-rest-server) has its session in a cookie.
	if client.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	d := &driver{client, at.URL()}
	if err := d.do(ctx, "open a session", http.MethodPost, "/login", []string{p[paramUser], p[paramPass]}, nil); err != nil {
		client.CloseIdleConnections()
		return nil, err
	}
	return d, nil
}

// do sends {"data": in} and decodes the answer's data into out; nil leaves either out.
func (d *driver) do(ctx context.Context, op, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(map[string]any{"data": in})
		if err != nil {
			return power.Errorf(power.Settings, op, "%w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, body)
	if err != nil {
		return power.Errorf(power.Settings, op, "%w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	code, text, err := bmchttp.Ask(d.http, op, req)
	if err != nil {
		return err
	}
	var answer struct {
		Data    json.RawMessage `json:"data"`
		Message string          `json:"message"`
	}
	// The status goes first: an error page need not be JSON.
	decoded := json.Unmarshal(text, &answer)
	if err := bmchttp.Status(op, code, answer.Message); err != nil {
		return err
	}
	if decoded == nil && out != nil {
		decoded = json.Unmarshal(answer.Data, out)
	}
	if decoded != nil && ctx.Err() != nil {
		return bmchttp.Transport(ctx, op, decoded) // cut short
	}
	if decoded != nil {
		return power.Errorf(power.ActionFailed, op, "the answer is not what OpenBMC sends: %w", decoded)
	}
	return nil
}

func (d *driver) get(ctx context.Context, op, path string) (value string, err error) {
	err = d.do(ctx, op, http.MethodGet, path, nil, &value)
	return value, err
}

func (d *driver) put(ctx context.Context, op, path string, value any) error {
	return d.do(ctx, op, http.MethodPut, path, value, nil)
}

// PowerState implements power.Driver. The host's state is asked, and where it is neither running
// nor off the chassis', since a host may hang with the power on.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	const op = "read the power state"
	state, err := d.get(ctx, op, hostState)
	if err != nil {
		return power.Unknown, err
	}
	switch strings.TrimPrefix(state, hostPrefix+"HostState.") {
	case "Running", "DiagnosticMode", "Quiesced":
		return power.On, nil
	case "Off":
		return power.Off, nil
	case "TransitioningToRunning", "TransitioningToOff":
		return power.Transitioning, nil
	}
	state, err = d.get(ctx, op, chassisState)
	switch strings.TrimPrefix(state, chassisPrefix+"PowerState.") {
	case "On":
		return power.On, err
	case "Off":
		return power.Off, err
	case "TransitioningToOn", "TransitioningToOff":
		return power.Transitioning, err
	}
	return power.Unknown, err
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	if target == power.On {
		// The host's transition also switches the chassis on; the chassis' own leaves the host off.
		return d.put(ctx, "power on", hostTransition, hostPrefix+"Transition.On")
	}
	// At once: Off of the host asks the operating system first, see SoftOff.
	return d.put(ctx, "power off", chassisRequest, chassisPrefix+"Transition.Off")
}

// SoftOff implements power.SoftOffer.
func (d *driver) SoftOff(ctx context.Context) error {
	return d.put(ctx, "soft shutdown", hostTransition, hostPrefix+"Transition.Off")
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error {
	return d.put(ctx, "power cycle", chassisRequest, chassisPrefix+"Transition.PowerCycle")
}

// sources are the boot sources by device.
var sources = map[power.BootDevice]string{
	power.Default: "Default", power.Network: "Network", power.Disk: "Disk", power.CD: "ExternalMedia", power.Setup: "Default",
}

// SetBootOnce implements power.Booter.
func (d *driver) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	source, ok := sources[device]
	if !ok {
		return power.Errorf(power.Unsupported, op, "OpenBMC has no boot device %q", device)
	}
	mode := modeRegular
	if device == power.Setup {
		mode = modeSetup
	}
	// Enabled is last, so that a boot between two of the requests does not use half of them.
	if err := d.put(ctx, op, bootSource, sourcePrefix+source); err != nil {
		return err
	}
	if err := d.put(ctx, op, bootMode, mode); err != nil {
		return err
	}
	return d.put(ctx, op, bootEnabled, device != power.Default)
}

// BootOnce implements power.Booter.
func (d *driver) BootOnce(ctx context.Context) (power.BootDevice, error) {
	const op = "read the boot device"
	var enabled bool
	if err := d.do(ctx, op, http.MethodGet, bootEnabled, nil, &enabled); err != nil || !enabled {
		return power.Default, err
	}
	mode, err := d.get(ctx, op, bootMode)
	if err != nil {
		return "", err
	}
	// Setup is a mode, not a source, and goes before any source.
	if mode == modeSetup {
		return power.Setup, nil
	}
	source, err := d.get(ctx, op, bootSource)
	source = strings.TrimPrefix(source, sourcePrefix)
	for device, name := range sources {
		if name == source && device != power.Setup {
			return device, err
		}
	}
	return power.BootDevice(source), err
}

// Close implements power.Closer.
func (d *driver) Close(ctx context.Context) error {
	// The service wants data in every body, even an empty list.
	err := d.do(ctx, "close the session", http.MethodPost, "/logout", []string{}, nil)
	d.http.CloseIdleConnections()
	return err
}
