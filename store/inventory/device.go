package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/gomaas/maas/store"
)

func (d Device) node() node {
	return node{kind: KindDevice, parentID: d.ParentID, Machine: Machine{
		ID: d.ID, SystemID: d.SystemID, Version: d.Version, Hostname: d.Hostname, DomainID: d.DomainID, Description: d.Description, Owner: d.Owner,
		ZoneID: d.ZoneID, Interfaces: d.Interfaces, Created: d.Created, Updated: d.Updated, FQDN: d.FQDN, Tags: d.Tags,
	}}
}

func (n node) device() Device {
	return Device{
		ID: n.ID, SystemID: n.SystemID, Version: n.Version, Hostname: n.Hostname, DomainID: n.DomainID, Description: n.Description, Owner: n.Owner,
		ZoneID: n.ZoneID, ParentID: n.parentID, Interfaces: n.Interfaces, Created: n.Created, Updated: n.Updated, FQDN: n.FQDN, Tags: n.Tags,
	}
}

// CreateDevice adds a device with its interfaces; see CreateMachine.
func (inv *Inventory) CreateDevice(ctx context.Context, d Device) (Device, error) {
	return inv.changeDevice(ctx, d, inv.insertNode)
}

// UpdateDevice changes a device's own fields; see UpdateMachine.
func (inv *Inventory) UpdateDevice(ctx context.Context, d Device) (Device, error) {
	return inv.changeDevice(ctx, d, inv.updateNode)
}

func (inv *Inventory) changeDevice(ctx context.Context, d Device, change func(context.Context, *store.Tx, *node) error) (Device, error) {
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		n := d.node()
		if err := change(ctx, tx, &n); err != nil {
			return err
		}
		all, err := nodesWhere(ctx, tx, KindDevice, "n.id = ?", n.ID)
		if err == nil && len(all) == 1 {
			d = all[0].device()
		}
		return err
	})
	return d, err
}

// DeleteDevice deletes a device with its interfaces and addresses.
func (inv *Inventory) DeleteDevice(ctx context.Context, id int64) error {
	return inv.deleteNode(ctx, KindDevice, id)
}

// Devices lists the devices in order of creation.
func (inv *Inventory) Devices(ctx context.Context) (all []Device, err error) {
	return inv.devices(ctx, "")
}

// Device returns a device by ID.
func (inv *Inventory) Device(ctx context.Context, id int64) (Device, error) {
	return inv.device(ctx, fmt.Sprint(id), "n.id = ?", id)
}

// DeviceBySystemID returns a device by its system ID.
func (inv *Inventory) DeviceBySystemID(ctx context.Context, id string) (Device, error) {
	return inv.device(ctx, id, "n.system_id = ?", id)
}

func (inv *Inventory) device(ctx context.Context, what, where string, args ...any) (Device, error) {
	all, err := inv.devices(ctx, where, args...)
	if err != nil {
		return Device{}, err
	}
	if len(all) == 0 {
		return Device{}, &NotFoundError{KindDevice, what}
	}
	return all[0], nil
}

func (inv *Inventory) devices(ctx context.Context, where string, args ...any) (all []Device, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, err := nodesWhere(ctx, tx, KindDevice, where, args...)
		for _, n := range rows {
			all = append(all, n.device())
		}
		return err
	})
	return all, err
}

// Device is something with interfaces and addresses that is not managed: a
// printer, a switch, a container of a machine.
type Device struct {
	ID          int64
	SystemID    string
	Version     int64
	Hostname    string
	DomainID    int64
	Description string
	Owner       string
	ZoneID      int64
	ParentID    int64 // machine it is part of and goes with; 0 = none
	Interfaces  []Interface
	Created     time.Time
	Updated     time.Time
	FQDN        string
	Tags        []string // names in order; see Machine.Tags
}
