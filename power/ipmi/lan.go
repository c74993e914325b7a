package ipmi

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	goipmi "github.com/vmware/goipmi"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
)

// maxLAN is the number of octets of a user's name and password.
const maxLAN = 16

// lan is a session over IPMI 1.5. Its library takes no context and waits 5 s for each answer, so a
// call that outlives its context goes on in the background until then; the next call, and Close,
// wait for it.
type lan struct {
	client *goipmi.Client
	busy   chan struct{}
	off    goipmi.ChassisControl
}

func openLAN(ctx context.Context, at address.Address, p power.Params) (power.Driver, error) {
	// The library cuts longer ones, and the BMC refuses what is left.
	if len(p[paramUser]) > maxLAN || len(p[paramPass]) > maxLAN {
		return nil, power.Errorf(power.Settings, "settings", "%s and %s have at most %d octets over IPMI 1.5", paramUser, paramPass, maxLAN)
	}
	if strings.Contains(at.Host, ":") {
		return nil, power.Errorf(power.Settings, "settings", "%s: IPMI 1.5 is spoken over IPv4 only; set %s to %s", paramAddress, paramDriver, driverLANPlus)
	}
	port, err := strconv.Atoi(cmp.Or(at.Port, defaultPort))
	if err != nil {
		return nil, power.Errorf(power.Settings, "settings", "%s: %v", paramAddress, err)
	}
	c, err := goipmi.NewClient(&goipmi.Connection{
		Hostname: at.Host, Port: port, Username: p[paramUser], Password: p[paramPass], Interface: "lan",
	})
	if err != nil {
		return nil, power.Errorf(power.Settings, "open a session", "%v", err)
	}
	// The library is not safe for concurrent use, and a call goes on after its context: one at a
	// time.
	d := &lan{client: c, busy: make(chan struct{}, 1), off: goipmi.ControlPowerDown}
	if p[paramOffMode] == offSoft {
		d.off = goipmi.ControlPowerAcpiSoft
	}
	const op = "open a session"
	err = d.do(ctx, op, c.Open)
	if err != nil {
		go func() { // the exchange in progress may last 5 s longer than ctx
			d.busy <- struct{}{}
			_ = c.Close()
		}()
	}
	if power.ClassOf(err) == power.ActionFailed { // a completion code at this point is a refusal (IPMI 1.5 table 18-15)
		return nil, power.Errorf(power.Auth, op, "%w", errors.Unwrap(err))
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (d *lan) enter(ctx context.Context) error {
	select {
	case d.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// do runs one exchange and stops waiting for it when ctx ends.
func (d *lan) do(ctx context.Context, op string, fn func() error) error {
	if err := d.enter(ctx); err != nil {
		return power.Errorf(power.Connection, op, "%w", err)
	}
	// With room for one, so that the goroutine ends when do has returned before it.
	done := make(chan error, 1)
	go func() {
		err := fn()
		<-d.busy
		done <- err
	}()
	select {
	case err := <-done:
		return classifyLAN(op, err)
	case <-ctx.Done():
		return power.Errorf(power.Connection, op, "%w", ctx.Err())
	}
}

func classifyLAN(op string, err error) error {
	var code goipmi.CompletionCode
	switch {
	case err == nil:
		return nil
	// A completion code is an answer: the BMC understood and refused.
	case errors.As(err, &code):
		return power.Errorf(power.ActionFailed, op, "%w", err)
	}
	return power.Errorf(power.Connection, op, "%w; a wrong user or password looks the same over IPMI 1.5", err)
}

func (d *lan) PowerState(ctx context.Context) (power.State, error) {
	res := &goipmi.ChassisStatusResponse{}
	err := d.do(ctx, "read the chassis status", func() error {
		return d.client.Send(&goipmi.Request{
			NetworkFunction: goipmi.NetworkFunctionChassis,
			Command:         goipmi.CommandChassisStatus,
			Data:            &goipmi.ChassisStatusRequest{},
		}, res)
	})
	switch {
	case err != nil:
		return power.Unknown, err
	case res.IsSystemPowerOn():
		return power.On, nil
	}
	return power.Off, nil
}

func (d *lan) SetPower(ctx context.Context, target power.State) error {
	if target == power.On {
		return d.control(ctx, "power up", goipmi.ControlPowerUp)
	}
	return d.control(ctx, "power down", d.off)
}

// Cycle implements power.Cycler.
func (d *lan) Cycle(ctx context.Context) error {
	return d.control(ctx, "power cycle", goipmi.ControlPowerCycle)
}

// Reset implements power.Resetter.
func (d *lan) Reset(ctx context.Context) error {
	return d.control(ctx, "hard reset", goipmi.ControlPowerHardReset)
}

// SoftOff implements power.SoftOffer.
func (d *lan) SoftOff(ctx context.Context) error {
	return d.control(ctx, "soft shutdown", goipmi.ControlPowerAcpiSoft)
}

func (d *lan) control(ctx context.Context, op string, c goipmi.ChassisControl) error {
	return d.do(ctx, op, func() error { return d.client.Control(c) })
}

// SetBootOnce implements power.Booter.
func (d *lan) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	devices := map[power.BootDevice]goipmi.BootDevice{
		power.Default: goipmi.BootDeviceNone, power.Network: goipmi.BootDevicePxe,
		power.Disk: goipmi.BootDeviceDisk, power.CD: goipmi.BootDeviceCdrom, power.Setup: goipmi.BootDeviceBios,
	}
	dev, ok := devices[device]
	if !ok {
		return power.Errorf(power.Unsupported, op, "IPMI has no boot device %q", device)
	}
	return d.do(ctx, op, func() error { return d.client.SetBootDevice(dev) })
}

// BootOnce implements power.Booter: the library cannot read it back.
func (d *lan) BootOnce(context.Context) (power.BootDevice, error) {
	return "", power.Errorf(power.Unsupported, "read the boot device", "not over IPMI 1.5")
}

// Close implements power.Closer.
func (d *lan) Close(ctx context.Context) error {
	return d.do(ctx, "close the session", d.client.Close)
}
