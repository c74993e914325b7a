package redfish

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// driver is a dialog with one system behind a BMC.
type driver struct {
	*client
	system string // its URI
	mode   string // of the boot, as Redfish writes it; "" = the BMC's own
	dpu    bool
}

// modes are the boot modes by name (DSP0268, BootSourceOverrideMode).
var modes = map[string]string{"uefi": "UEFI", "legacy": "Legacy"}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	base, err := endpoint(p[paramAddress])
	if err != nil {
		return nil, err
	}
	hc, err := bmchttp.New(ctx, p)
	if err != nil {
		return nil, err
	}
	d := &driver{client: &client{http: hc, base: base, user: p[paramUser], password: p[paramPass]}, mode: modes[p[paramMode]], dpu: p[paramDPU] == "yes"}
	if err := d.login(ctx); err != nil {
		// The session may be open already when a later part of the log-in fails.
		return nil, errors.Join(err, d.Close(ctx))
	}
	if d.system, err = d.choose(ctx, p[paramNode]); err != nil {
		return nil, errors.Join(err, d.Close(ctx))
	}
	return d, nil
}

// read fetches the system afresh, with the ETag that a change of it has to name.
func (d *driver) read(ctx context.Context, op string) (*answer, error) {
	return d.get(ctx, op, d.system)
}

// etag reads the version of a resource again.
func (d *driver) etag(ctx context.Context, op, uri string) func() (string, error) {
	return func() (string, error) {
		a, err := d.get(ctx, op, uri)
		if err != nil {
			return "", err
		}
		return a.etag, nil
	}
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	system, err := d.read(ctx, "read the power state")
	if err != nil {
		return power.Unknown, err
	}
	switch strings.ToLower(system.object.text("PowerState")) {
	case "on":
		return power.On, nil
	case "off":
		return power.Off, nil
	// Acting on a machine on its way restarts it on some BMCs.
	case "poweringon", "poweringoff":
		return power.Transitioning, nil
	}
	// Null, "Paused" and words of makes' own, seen while a BMC acts.
	return power.Unknown, nil
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	if target == power.On {
		// A system that does not list On may list ForceOn.
		return d.reset(ctx, "power on", "On", "ForceOn")
	}
	if d.dpu {
		return d.refuseOff("power off")
	}
	return d.reset(ctx, "power off", "ForceOff")
}

// OnResets implements power.OnResetter: a DPU has power as long as its host.
func (d *driver) OnResets() bool { return d.dpu }

func (d *driver) refuseOff(op string) error {
	return power.Errorf(power.Unsupported, op, "a DPU (%s=yes) is not switched off, its host loses the network; reset it", paramDPU)
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error {
	if d.dpu {
		return d.Reset(ctx)
	}
	// Several makes do not list PowerCycle, see powersim.Shapes.
	return d.reset(ctx, "power cycle", "PowerCycle", "ForceRestart")
}

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error { return d.reset(ctx, "reset", "ForceRestart") }

// SoftOff implements power.SoftOffer.
func (d *driver) SoftOff(ctx context.Context) error {
	if d.dpu {
		return d.refuseOff("soft shutdown")
	}
	return d.reset(ctx, "soft shutdown", "GracefulShutdown")
}

// reset sends the first of the reset types that the system says it has. One that does not say gets
// the first.
func (d *driver) reset(ctx context.Context, op string, types ...string) error {
	system, err := d.read(ctx, op)
	if err != nil {
		return err
	}
	action := system.object.child("Actions").child("#ComputerSystem.Reset")
	choice := types[0]
	if offered := d.resetTypes(ctx, op, action); len(offered) > 0 {
		i := slices.IndexFunc(types, func(t string) bool { return slices.Contains(offered, t) })
		if i < 0 {
			return power.Errorf(power.Unsupported, op, "the system has none of the reset types %q; it has %q", types, offered)
		}
		choice = types[i]
	}
	target := d.path(action.text("target"))
	if target == "" { // DSP0266 makes the path of every action like this
		target = strings.TrimRight(d.system, "/") + "/Actions/ComputerSystem.Reset"
	}
	return d.change(ctx, op, http.MethodPost, target, system.etag, map[string]string{"ResetType": choice}, d.etag(ctx, op, d.system))
}

// resetTypes returns the reset types that the system lists beside the action or in a resource of
// their own (DSP0266 section 9.6.13); nil = it does not say.
func (d *driver) resetTypes(ctx context.Context, op string, action object) []string {
	if listed := action.texts("ResetType@Redfish.AllowableValues"); len(listed) > 0 {
		return listed
	}
	uri := d.path(link(action.value("@Redfish.ActionInfo")))
	if uri == "" {
		return nil
	}
	info, err := d.get(ctx, op, uri)
	if err != nil { // the list is help, not a condition: the service checks the type itself
		return nil
	}
	for _, p := range info.object.list("Parameters") {
		if parameter := asObject(p); parameter.text("Name") == "ResetType" {
			return parameter.texts("AllowableValues")
		}
	}
	return nil
}

// targets are the boot sources by device (DSP0268, BootSourceOverrideTarget).
var targets = map[power.BootDevice]string{
	power.Default: "None", power.Network: "Pxe", power.NetworkHTTP: "UefiHttp", power.Disk: "Hdd", power.CD: "Cd", power.Setup: "BiosSetup",
}

// SetBootOnce implements power.Booter.
func (d *driver) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	return d.setBoot(ctx, device, "Once")
}

// SetBootAlways implements power.AlwaysBooter.
func (d *driver) SetBootAlways(ctx context.Context, device power.BootDevice) error {
	return d.setBoot(ctx, device, "Continuous")
}

func (d *driver) setBoot(ctx context.Context, device power.BootDevice, enabled string) error {
	const op = "set the boot device"
	target, ok := targets[device]
	if !ok {
		return power.Errorf(power.Unsupported, op, "Redfish has no boot device %q", device)
	}
	if device == power.Default {
		// None for the next boot means that no override is left.
		enabled = "Disabled"
	}
	boot := map[string]string{"BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": enabled}
	if d.mode != "" {
		boot["BootSourceOverrideMode"] = d.mode
	}
	return d.patchBoot(ctx, op, boot)
}

// patchBoot changes the properties of the boot.
func (d *driver) patchBoot(ctx context.Context, op string, boot map[string]string) error {
	body := map[string]any{"Boot": boot}
	system, err := d.read(ctx, op)
	if err != nil {
		return err
	}
	err = d.change(ctx, op, http.MethodPatch, d.system, system.etag, body, d.etag(ctx, op, d.system))
	pending := d.settings(system.object)
	if err == nil || pending == "" || ended(ctx, err) {
		return err
	}
	// Some services take the override only at the resource where settings wait for the next boot
	// (DSP0266 section 9.10). Others have that resource and refuse it there, so it goes second.
	fresh := d.etag(ctx, op, pending)
	etag, rerr := fresh()
	if rerr == nil {
		rerr = d.change(ctx, op, http.MethodPatch, pending, etag, body, fresh)
	}
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	return nil
}

// SetHTTPBootOnce implements power.HTTPBooter. The URL goes along with the target: some services
// check one against the other (DSP0268, HttpBootUri, since ComputerSystem 1.9).
func (d *driver) SetHTTPBootOnce(ctx context.Context, url string) error {
	const op = "set the boot URL"
	system, err := d.read(ctx, op)
	if err != nil {
		return err
	}
	if _, ok := system.object.child("Boot")["HttpBootUri"]; !ok {
		return power.Errorf(power.Unsupported, op, "the BMC has no HttpBootUri; boot from virtual media instead")
	}
	// Mode is always UEFI: no legacy firmware boots by HTTP.
	return d.patchBoot(ctx, op, map[string]string{
		"BootSourceOverrideTarget": targets[power.NetworkHTTP], "BootSourceOverrideEnabled": "Once", "BootSourceOverrideMode": modes["uefi"], "HttpBootUri": url,
	})
}

// HTTPBootURL implements power.HTTPBooter.
func (d *driver) HTTPBootURL(ctx context.Context) (string, error) {
	const op = "read the boot URL"
	system, err := d.read(ctx, op)
	if err != nil {
		return "", err
	}
	url, pending := system.object.child("Boot").text("HttpBootUri"), d.settings(system.object)
	if url != "" || pending == "" {
		return url, nil
	}
	waiting, err := d.get(ctx, op, pending)
	if err != nil {
		return "", err
	}
	return waiting.object.child("Boot").text("HttpBootUri"), nil
}

// settings returns the URI of the resource where changes of the system wait; empty = none.
func (d *driver) settings(system object) string {
	return d.path(link(system.child("@Redfish.Settings").value("SettingsObject")))
}

// BootOnce implements power.Booter. Where settings wait at a resource of their own until they are
// applied, the override is found there.
func (d *driver) BootOnce(ctx context.Context) (power.BootDevice, error) {
	const op = "read the boot device"
	system, err := d.read(ctx, op)
	if err != nil {
		return "", err
	}
	device, pending := deviceOf(system.object), d.settings(system.object)
	if device != power.Default || pending == "" {
		return device, nil
	}
	// A default there, too, means that no override waits.
	waiting, err := d.get(ctx, op, pending)
	if err != nil {
		return "", err
	}
	return deviceOf(waiting.object), nil
}

func deviceOf(system object) power.BootDevice {
	boot := system.child("Boot")
	// The property is optional: a system without it has no override.
	if e := boot.text("BootSourceOverrideEnabled"); e == "Disabled" || e == "" {
		return power.Default
	}
	source := boot.text("BootSourceOverrideTarget")
	for device, target := range targets {
		if target == source {
			return device
		}
	}
	return power.BootDevice(source)
}

// Close implements power.Closer.
func (d *driver) Close(ctx context.Context) error {
	err := d.logout(ctx)
	d.http.CloseIdleConnections()
	return err
}
