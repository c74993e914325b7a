package amt

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gomaas/maas/power"
)

// driver is a dialog with one machine's AMT, which has no sessions.
type driver struct {
	http     *http.Client
	url      string
	messages int // sent so far
}

// Instances that the messages are about.
var (
	associated   = instance{class: "CIM_AssociatedPowerManagementService"}
	powerService = instance{class: "CIM_PowerManagementService", selectors: [][2]string{{"Name", "Intel(r) AMT Power Management Service"}}}
	system       = instance{class: "CIM_ComputerSystem", selectors: [][2]string{{"CreationClassName", "CIM_ComputerSystem"}, {"Name", "ManagedSystem"}}}
	bootConfig   = instance{class: "CIM_BootConfigSetting", selectors: [][2]string{{"InstanceID", "Intel(r) AMT: Boot Configuration 0"}}}
	bootService  = instance{class: "CIM_BootService", selectors: [][2]string{{"Name", "Intel(r) AMT Boot Service"}}}
)

// Power states (CIM_PowerManagementService.RequestPowerStateChange).
const (
	stateOn       = 2
	stateCycle    = 5
	stateOff      = 8
	stateReset    = 10
	stateGraceful = 12
)

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	const op = "read the power state"
	a, err := d.send(ctx, op, actionGet, associated, "")
	if err != nil {
		return power.Unknown, err
	}
	switch a.PowerState {
	case "2", "3", "4": // 3 and 4 are sleep, in which the machine keeps its memory
		return power.On, nil
	case "6", "7", "8", "12", "13": // 7 is hibernation: the memory is on the disk
		return power.Off, nil
	case "5", "9", "10", "14":
		return power.Transitioning, nil
	}
	return power.Unknown, nil
}

// change asks for a power state.
func (d *driver) change(ctx context.Context, op string, state int) error {
	a, err := d.invoke(ctx, op, "RequestPowerStateChange", powerService, fmt.Sprintf("<p:PowerState>%d</p:PowerState>%s", state, system.reference("ManagedElement")))
	if err != nil {
		return err
	}
	if a.PowerReturn != "0" {
		return power.Errorf(power.ActionFailed, op, "AMT returns %s", a.PowerReturn)
	}
	return nil
}

// SetPower implements power.Driver. AMT refuses the state that holds.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	state := stateOff
	if target == power.On {
		state = stateOn
	}
	err := d.change(ctx, "set power "+string(target), state)
	if power.ClassOf(err) == power.ActionFailed {
		if now, serr := d.PowerState(ctx); serr == nil && now == target {
			return nil
		}
	}
	return err
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error { return d.change(ctx, "power cycle", stateCycle) }

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error { return d.change(ctx, "reset", stateReset) }

// SoftOff implements power.SoftOffer. It needs Intel's service in the operating system.
func (d *driver) SoftOff(ctx context.Context) error {
	return d.change(ctx, "soft shutdown", stateGraceful)
}

// sources are the boot sources by device.
var sources = map[power.BootDevice]string{power.Network: "Intel(r) AMT: Force PXE Boot", power.Disk: "Intel(r) AMT: Force Hard-drive Boot"}

// roleNext makes a boot configuration count for the next boot only.
const roleNext = "1"

// SetBootOnce implements power.Booter: the source first, then the role that makes it count, so that
// a boot between the two uses none.
func (d *driver) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	source, ok := sources[device]
	if !ok && device != power.Default {
		return power.Errorf(power.Unsupported, op, "AMT has no boot device %q", device)
	}
	input := "" // no source clears the override
	if ok {
		input = instance{class: "CIM_BootSourceSetting", selectors: [][2]string{{"InstanceID", source}}}.reference("Source")
	}
	a, err := d.invoke(ctx, op, "ChangeBootOrder", bootConfig, input)
	if err == nil && a.OrderReturn != "0" {
		err = power.Errorf(power.ActionFailed, op, "AMT returns %s for the boot order", a.OrderReturn)
	}
	if err != nil || !ok {
		return err
	}
	a, err = d.invoke(ctx, op, "SetBootConfigRole", bootService, bootConfig.reference("BootConfigSetting")+"<p:Role>"+roleNext+"</p:Role>")
	if err == nil && a.RoleReturn != "0" {
		err = power.Errorf(power.ActionFailed, op, "AMT returns %s for the boot role", a.RoleReturn)
	}
	return err
}

// BootOnce implements power.Booter.
func (d *driver) BootOnce(context.Context) (power.BootDevice, error) {
	return "", power.Errorf(power.Unsupported, "read the boot device", "AMT does not report it")
}

// Close implements power.Closer.
func (d *driver) Close(context.Context) error {
	d.http.CloseIdleConnections()
	return nil
}
