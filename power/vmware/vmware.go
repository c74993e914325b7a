package vmware

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Name is the power type's name.
const Name = "vmware"

// The parameters, by the names that MAAS users know.
const (
	paramAddress = "power_address"
	paramUser    = "power_user"
	paramPass    = "power_pass"
	paramVM      = "power_vm_name"
	paramUUID    = "power_uuid"
)

// Kind declares the power type "vmware".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, BootOrder: true, Title: "VMware vSphere",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "Address or URL of the vCenter or ESXi host", Required: true},
			{Name: paramUser, Label: "User", Required: true},
			{Name: paramPass, Label: "Password", Required: true, Secret: true},
			{Name: paramVM, Label: "Name of the virtual machine, unless its UUID is given", Scope: power.ScopeNode},
			{Name: paramUUID, Label: "UUID of the virtual machine", Scope: power.ScopeNode},
		}, bmchttp.Params()...),
		Open:     open,
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], "443") },
	}
}

// driver is a session about one machine.
type driver struct {
	client *govmomi.Client
	vm     *object.VirtualMachine
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	at, err := address.ParseHTTP(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	if p[paramVM] == "" && p[paramUUID] == "" {
		return nil, power.Errorf(power.Settings, "settings", "power type %s needs %s or %s", Name, paramVM, paramUUID)
	}
	config, err := bmchttp.TLSConfig(p)
	if err != nil {
		return nil, err
	}
	if at.Path == "" {
		at.Path = "/sdk"
	}
	u, err := url.Parse(at.URL())
	if err != nil {
		return nil, power.Errorf(power.Settings, "settings", "%s is not the address of a service", paramAddress)
	}
	sc := soap.NewClient(u, true)
	sc.DefaultTransport().TLSClientConfig = config
	const op = "log in"
	vc, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, classify(ctx, op, err)
	}
	d := &driver{client: &govmomi.Client{Client: vc, SessionManager: session.NewManager(vc)}}
	if err := d.client.Login(ctx, url.UserPassword(p[paramUser], p[paramPass])); err != nil {
		d.client.DefaultTransport().CloseIdleConnections()
		return nil, classify(ctx, op, err)
	}
	if err := d.find(ctx, p); err != nil {
		_ = d.Close(ctx)
		return nil, err
	}
	return d, nil
}

// find looks the machine up, in all datacenters.
func (d *driver) find(ctx context.Context, p power.Params) error {
	if p[paramUUID] != "" {
		op := fmt.Sprintf("find virtual machine %s", p[paramUUID])
		found, err := object.NewSearchIndex(d.client.Client).FindByUuid(ctx, nil, p[paramUUID], true, nil)
		if err != nil {
			return classify(ctx, op, err)
		}
		vm, ok := found.(*object.VirtualMachine)
		if !ok {
			return power.Errorf(power.Settings, op, "there is no such machine that %s may see; see %s", paramUser, paramUUID)
		}
		d.vm = vm
		return nil
	}
	op := fmt.Sprintf("find virtual machine %q", p[paramVM])
	found, err := d.named(ctx, p[paramVM])
	switch {
	case err != nil:
		return classify(ctx, op, err)
	case len(found) == 0:
		return power.Errorf(power.Settings, op, "there is no such machine that %s may see; see %s", paramUser, paramVM)
	case len(found) > 1:
		return power.Errorf(power.Settings, op, "%d machines have that name; write the UUID into %s", len(found), paramUUID)
	}
	d.vm = object.NewVirtualMachine(d.client.Client, found[0])
	return nil
}

// named returns the machines of a name, in all folders.
func (d *driver) named(ctx context.Context, name string) ([]types.ManagedObjectReference, error) {
	kind := []string{"VirtualMachine"}
	v, err := view.NewManager(d.client.Client).CreateContainerView(ctx, d.client.ServiceContent.RootFolder, kind, true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = v.Destroy(context.WithoutCancel(ctx)) }() // the session ends it, too
	return v.Find(ctx, kind, property.Match{"name": name})
}

// classify sorts the errors of the library.
func classify(ctx context.Context, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return power.Errorf(power.Connection, op, "%w", ctx.Err())
	case soap.IsSoapFault(err):
		switch soap.ToSoapFault(err).VimFault().(type) {
		case types.InvalidLogin, types.NoPermission, types.NotAuthenticated:
			return power.Errorf(power.Auth, op, "%w", err)
		}
		return power.Errorf(power.ActionFailed, op, "%w", err)
	// A page instead of an answer of the service.
	case strings.Contains(err.Error(), "404") || strings.Contains(err.Error(), "XML"), strings.Contains(err.Error(), "EOF") && strings.Contains(err.Error(), "expected"):
		return power.Errorf(power.Settings, op, "no answer of vSphere; see the host and the port of %s", paramAddress)
	}
	return bmchttp.Transport(ctx, op, err)
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	state, err := d.vm.PowerState(ctx)
	if err != nil {
		return power.Unknown, classify(ctx, "read the power state", err)
	}
	switch state {
	case types.VirtualMachinePowerStatePoweredOn, types.VirtualMachinePowerStateSuspended: // suspended holds its memory
		return power.On, nil
	case types.VirtualMachinePowerStatePoweredOff:
		return power.Off, nil
	}
	return power.Unknown, nil
}

// do runs a task and waits for it.
func (d *driver) do(ctx context.Context, op string, task func(context.Context) (*object.Task, error)) error {
	t, err := task(ctx)
	if err == nil {
		err = t.Wait(ctx)
	}
	return classify(ctx, op, err)
}

// SetPower implements power.Driver. vSphere refuses the state that holds.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	task := d.vm.PowerOff
	if target == power.On {
		task = d.vm.PowerOn
	}
	err := d.do(ctx, "set power "+string(target), task)
	if power.ClassOf(err) == power.ActionFailed {
		if state, serr := d.PowerState(ctx); serr == nil && state == target {
			return nil
		}
	}
	return err
}

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error { return d.do(ctx, "reset", d.vm.Reset) }

// SoftOff implements power.SoftOffer. It needs VMware's tools in the system.
func (d *driver) SoftOff(ctx context.Context) error {
	return classify(ctx, "soft shutdown", d.vm.ShutdownGuest(ctx))
}

// SetBootAlways implements power.AlwaysBooter.
func (d *driver) SetBootAlways(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	var vm mo.VirtualMachine
	if err := d.vm.Properties(ctx, d.vm.Reference(), []string{"config.hardware.device"}, &vm); err != nil {
		return classify(ctx, op, err)
	}
	var devices object.VirtualDeviceList
	if vm.Config != nil {
		devices = vm.Config.Hardware.Device
	}
	order := []string{} // empty gives the choice back to the firmware
	switch device {
	case power.Default:
	case power.Network:
		order = []string{object.DeviceTypeEthernet, object.DeviceTypeDisk}
	case power.Disk:
		order = []string{object.DeviceTypeDisk, object.DeviceTypeEthernet}
	default:
		return power.Errorf(power.Unsupported, op, "vSphere has no boot device %q", device)
	}
	boot := &types.VirtualMachineBootOptions{BootOrder: devices.BootOrder(order)}
	if len(order) == 0 {
		boot.BootOrder = []types.BaseVirtualMachineBootOptionsBootableDevice{&types.VirtualMachineBootOptionsBootableDevice{}}
	}
	return d.do(ctx, op, func(ctx context.Context) (*object.Task, error) {
		return d.vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{BootOptions: boot})
	})
}

// Close implements power.Closer.
func (d *driver) Close(ctx context.Context) error {
	err := d.client.Logout(ctx)
	d.client.DefaultTransport().CloseIdleConnections()
	return classify(ctx, "log out", err)
}
