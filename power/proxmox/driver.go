package proxmox

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// driver is a dialog about one machine of a cluster.
type driver struct {
	service bmchttp.Service
	path    string // of the machine
	kind    string // qemu or lxc
}

// do asks for the data of an answer.
func (d *driver) do(ctx context.Context, op, method, path string, in, out any) error {
	answer := struct {
		Data any `json:"data"`
	}{out}
	return d.service.Do(ctx, op, method, path, in, &answer)
}

// find looks the machine up in the cluster. A number goes before a name, which may be digits, too.
func (d *driver) find(ctx context.Context, id string) error {
	op := fmt.Sprintf("find virtual machine %q", id)
	var all []struct {
		ID       int    `json:"vmid"`
		Name     string `json:"name"`
		Node     string `json:"node"`
		Kind     string `json:"type"`
		Template int    `json:"template"`
	}
	if err := d.do(ctx, op, http.MethodGet, "/cluster/resources?type=vm", nil, &all); err != nil {
		return err
	}
	found := 0
	for _, vm := range all {
		byID := strconv.Itoa(vm.ID) == id
		if !byID && vm.Name != id || vm.Template == 1 {
			continue
		}
		found++
		d.kind, d.path = vm.Kind, "/nodes/"+vm.Node+"/"+vm.Kind+"/"+strconv.Itoa(vm.ID)
		if byID {
			return nil
		}
	}
	switch found {
	case 0:
		return power.Errorf(power.Settings, op, "the cluster has no such machine that %s may see; see %s", paramUser, paramVM)
	case 1:
		return nil
	}
	return power.Errorf(power.Settings, op, "%d machines have that name; write the number into %s", found, paramVM)
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	var status struct {
		Status string `json:"status"`
	}
	if err := d.do(ctx, "read the power state", http.MethodGet, d.path+"/status/current", nil, &status); err != nil {
		return power.Unknown, err
	}
	switch status.Status {
	case "running": // a paused machine is, too
		return power.On, nil
	case "stopped":
		return power.Off, nil
	}
	return power.Unknown, nil
}

func (d *driver) act(ctx context.Context, op, action string) error {
	// The answer is the name of a task; the state that is read afterwards counts.
	return d.do(ctx, op, http.MethodPost, d.path+"/status/"+action, nil, nil)
}

// SetPower implements power.Driver. A machine that is in the state already has a task that fails,
// which is no error of the request.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	if target == power.On {
		return d.act(ctx, "power on", "start")
	}
	return d.act(ctx, "power off", "stop")
}

// Reset implements power.Resetter. Containers have none.
func (d *driver) Reset(ctx context.Context) error {
	if d.kind != "qemu" {
		return power.Errorf(power.Unsupported, "reset", "a container cannot be reset")
	}
	return d.act(ctx, "reset", "reset")
}

// SoftOff implements power.SoftOffer.
func (d *driver) SoftOff(ctx context.Context) error {
	return d.act(ctx, "soft shutdown", "shutdown")
}

// buses are the beginnings of the names of disks.
var buses = []string{"scsi", "virtio", "sata", "ide"}

// SetBootAlways implements power.AlwaysBooter: the devices of the kind go first, the others keep
// their order behind them.
func (d *driver) SetBootAlways(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	if d.kind != "qemu" {
		return power.Errorf(power.Unsupported, op, "a container does not boot from a device")
	}
	if device == power.Default {
		return d.do(ctx, op, http.MethodPut, d.path+"/config", map[string]string{"delete": "boot"}, nil)
	}
	if device != power.Network && device != power.Disk && device != power.CD {
		return power.Errorf(power.Unsupported, op, "Proxmox VE has no boot device %q", device)
	}
	var config map[string]any
	if err := d.do(ctx, op, http.MethodGet, d.path+"/config", nil, &config); err != nil {
		return err
	}
	nets, disks, cds := devices(config)
	first, rest := nets, disks
	switch device {
	case power.Disk:
		first, rest = disks, nets
	case power.CD:
		first, rest = cds, slices.Concat(disks, nets)
	}
	if len(first) == 0 {
		return power.Errorf(power.ActionFailed, op, "the machine has no %s device", device)
	}
	order := slices.Concat(first, rest)
	return d.do(ctx, op, http.MethodPut, d.path+"/config", map[string]string{"boot": "order=" + strings.Join(order, ";")}, nil)
}

// Close implements power.Closer. A ticket ends by itself.
func (d *driver) Close(context.Context) error {
	d.service.HTTP.CloseIdleConnections()
	return nil
}
