package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// driver is a session with one system behind a BMC.
type driver struct {
	http   *http.Client
	client *gofish.APIClient
	system string                         // its URI
	mode   schemas.BootSourceOverrideMode // "" = the BMC's own
}

// modes are the boot modes by name.
var modes = map[string]schemas.BootSourceOverrideMode{
	"uefi": schemas.UEFIBootSourceOverrideMode, "legacy": schemas.LegacyBootSourceOverrideMode,
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	const op = "open a session"
	hc, err := bmchttp.New(ctx, p)
	if err != nil {
		return nil, err
	}
	c, err := gofish.ConnectContext(ctx, gofish.ClientConfig{
		Endpoint: bmchttp.Endpoint(p[paramAddress]), Username: p[paramUser], Password: p[paramPass],
		// Without NoModifyTransport the library changes the transport's TLS settings.
		HTTPClient: hc, NoModifyTransport: true, ReuseConnections: true,
	})
	if err != nil {
		hc.CloseIdleConnections()
		return nil, classify(ctx, op, err)
	}
	d := &driver{http: hc, client: c, mode: modes[p[paramMode]]}
	if err := d.choose(ctx, p[paramNode]); err != nil {
		return nil, errors.Join(err, d.Close(ctx))
	}
	return d, nil
}

// choose finds the system that is meant: the one named, or the only one.
func (d *driver) choose(ctx context.Context, node string) error {
	const op = "choose the system"
	systems, err := d.client.WithContext(ctx).Service.Systems()
	if err != nil {
		return classify(ctx, op, err)
	}
	var ids []string
	for _, s := range systems {
		// Chassis of blades have one BMC for many systems; guessing one could switch off another's
		// machine.
		if s.ID == node || (node == "" && len(systems) == 1) {
			d.system = s.ODataID
			return nil
		}
		ids = append(ids, s.ID)
	}
	if node == "" {
		return power.Errorf(power.Settings, op, "the BMC has %d systems; set %s to one of %q", len(ids), paramNode, ids)
	}
	return power.Errorf(power.Settings, op, "the BMC has no system %q; there are %q", node, ids)
}

// classify sorts the library's errors. The library hides the context's own error, so that is asked
// first.
func classify(ctx context.Context, op string, err error) error {
	var answer *schemas.Error
	if ctx.Err() != nil || !errors.As(err, &answer) {
		return bmchttp.Transport(ctx, op, err)
	}
	// The status decides about the class; codes in the body differ between makes.
	if failed := bmchttp.Status(op, answer.HTTPReturnedStatusCode, answer.Message); failed != nil {
		return failed
	}
	return power.Errorf(power.ActionFailed, op, "%w", err)
}

// read fetches the system afresh, with the ETag that a change of it has to name.
func (d *driver) read(ctx context.Context, op string) (*schemas.ComputerSystem, error) {
	system, err := schemas.GetComputerSystem(d.client.WithContext(ctx), d.system)
	if err != nil {
		return nil, classify(ctx, op, err)
	}
	return system, nil
}

func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	system, err := d.read(ctx, "read the power state")
	if err != nil {
		return power.Unknown, err
	}
	switch system.PowerState {
	case schemas.OnPowerState:
		return power.On, nil
	case schemas.OffPowerState:
		return power.Off, nil
	// Acting on a machine on its way restarts it on some BMCs.
	case schemas.PoweringOnPowerState, schemas.PoweringOffPowerState:
		return power.Transitioning, nil
	}
	return power.Unknown, nil
}

func (d *driver) SetPower(ctx context.Context, target power.State) error {
	if target == power.On {
		// A system that does not list On may list ForceOn.
		return d.reset(ctx, "power on", schemas.OnResetType, schemas.ForceOnResetType)
	}
	return d.reset(ctx, "power off", schemas.ForceOffResetType)
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error {
	// Several makes do not list PowerCycle, see powersim.Shapes.
	return d.reset(ctx, "power cycle", schemas.PowerCycleResetType, schemas.ForceRestartResetType)
}

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error {
	return d.reset(ctx, "reset", schemas.ForceRestartResetType)
}

// SoftOff implements power.SoftOffer.
func (d *driver) SoftOff(ctx context.Context) error {
	return d.reset(ctx, "soft shutdown", schemas.GracefulShutdownResetType)
}

// reset sends the first of the reset types that the system says it has. One that does not say gets
// the first.
func (d *driver) reset(ctx context.Context, op string, types ...schemas.ResetType) error {
	system, err := d.read(ctx, op)
	if err != nil {
		return err
	}
	choice := types[0]
	if offered, err := system.GetSupportedResetTypes(); err == nil && len(offered) > 0 {
		i := slices.IndexFunc(types, func(t schemas.ResetType) bool { return slices.Contains(offered, t) })
		if i < 0 {
			return power.Errorf(power.Unsupported, op, "the system has none of the reset types %q; it has %q", types, offered)
		}
		choice = types[i]
	}
	return d.retryStale(ctx, op, system, func(s *schemas.ComputerSystem) error {
		_, err := s.Reset(choice)
		return err
	})
}

// retryStale does something again, once, on a fresh copy when the BMC says that the first was out
// of date.
func (d *driver) retryStale(ctx context.Context, op string, s *schemas.ComputerSystem, do func(*schemas.ComputerSystem) error) error {
	err := do(s)
	var answer *schemas.Error
	if errors.As(err, &answer) && answer.HTTPReturnedStatusCode == http.StatusPreconditionFailed {
		fresh, rerr := d.read(ctx, op)
		if rerr != nil {
			return rerr
		}
		fresh.DisableEtagMatch(true) // some BMCs change the ETag with every read
		err = do(fresh)
	}
	if err != nil {
		return classify(ctx, op, err)
	}
	return nil
}

// targets are the boot sources by device.
var targets = map[power.BootDevice]schemas.BootSource{
	power.Default:     schemas.NoneBootSource,
	power.Network:     schemas.PxeBootSource,
	power.NetworkHTTP: schemas.UefiHTTPBootSource,
	power.Disk:        schemas.HddBootSource,
	power.Setup:       schemas.BiosSetupBootSource,
}

// SetBootOnce implements power.Booter.
func (d *driver) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	return d.setBoot(ctx, device, schemas.OnceBootSourceOverrideEnabled)
}

// SetBootAlways implements power.AlwaysBooter.
func (d *driver) SetBootAlways(ctx context.Context, device power.BootDevice) error {
	return d.setBoot(ctx, device, schemas.ContinuousBootSourceOverrideEnabled)
}

func (d *driver) setBoot(ctx context.Context, device power.BootDevice, enabled schemas.BootSourceOverrideEnabled) error {
	const op = "set the boot device"
	target, ok := targets[device]
	if !ok {
		return power.Errorf(power.Unsupported, op, "Redfish has no boot device %q", device)
	}
	boot := schemas.Boot{BootSourceOverrideMode: d.mode, BootSourceOverrideTarget: target, BootSourceOverrideEnabled: enabled}
	if device == power.Default {
		// None for the next boot means that no override is left.
		boot.BootSourceOverrideEnabled = schemas.DisabledBootSourceOverrideEnabled
	}
	system, err := d.read(ctx, op)
	if err != nil {
		return err
	}
	return d.retryStale(ctx, op, system, func(s *schemas.ComputerSystem) error { return s.SetBoot(&boot) })
}

// BootOnce implements power.Booter. Where settings wait at a resource of their own until they are
// applied, the override is found there.
func (d *driver) BootOnce(ctx context.Context) (power.BootDevice, error) {
	const op = "read the boot device"
	system, err := d.read(ctx, op)
	if err != nil {
		return "", err
	}
	device := deviceOf(system)
	var links struct {
		Settings struct {
			SettingsObject struct {
				ID string `json:"@odata.id"`
			}
		} `json:"@Redfish.Settings"`
	}
	if device != power.Default || json.Unmarshal(system.RawData, &links) != nil || links.Settings.SettingsObject.ID == "" {
		return device, nil
	}
	pending, err := schemas.GetComputerSystem(d.client.WithContext(ctx), links.Settings.SettingsObject.ID)
	if err != nil {
		return "", classify(ctx, op, err)
	}
	return deviceOf(pending), nil
}

func deviceOf(s *schemas.ComputerSystem) power.BootDevice {
	// The property is optional: a system without it has no override.
	if e := s.Boot.BootSourceOverrideEnabled; e == schemas.DisabledBootSourceOverrideEnabled || e == "" {
		return power.Default
	}
	for device, target := range targets {
		if target == s.Boot.BootSourceOverrideTarget {
			return device
		}
	}
	return power.BootDevice(s.Boot.BootSourceOverrideTarget)
}

// Close implements power.Closer.
func (d *driver) Close(ctx context.Context) error {
	// The library returns no error; a session that stays ends by the BMC's own timeout.
	d.client.WithContext(ctx).Logout()
	d.http.CloseIdleConnections()
	return nil
}
