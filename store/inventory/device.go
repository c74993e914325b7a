package inventory

import (
	"context"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

func (d Device) node() node {
	return node{kind: kinds.Device, parentID: d.ParentID, Machine: Machine{
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

// DeviceBySystemID returns a device by its system ID.
func (inv *Inventory) DeviceBySystemID(ctx context.Context, id string) (Device, error) {
	var d Device
	err := inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := oneNode(ctx, tx, kinds.Device, id, "n.system_id = ?", id)
		d = n.device()
		return err
	})
	return d, err
}

// Device is something with interfaces and addresses that is not managed: a printer, a switch, a
// container of a machine.
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

// deviceCollection is the collection of the devices, which are created, changed and deleted as
// machines are.
func (inv *Inventory) deviceCollection() *Collection[Device] {
	return nodeCollection(inv, kinds.Device, func(d *Device) *int64 { return &d.ID }, Device.node, node.device)
}
