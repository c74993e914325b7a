package inventory

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Promotion makes something that is managed of a device that a rack saw.
type Promotion struct {
	Addr netip.Addr       // where it was seen
	MAC  net.HardwareAddr // its link address
	// Device makes a device; else it is a machine.
	Device bool
	// Hostname is its name; "" = the one it was seen with, or if that is taken or no name, one that
	// is made up.
	Hostname string
	DomainID int64 // 0 = the default domain
	// NoAddress leaves the address to DHCP. Else it is the device's own from then on, and in the
	// DNS.
	NoAddress   bool
	Description string
}

// Promoted is the result of a promotion. One of Machine and Device is set.
type Promoted struct {
	Machine *Machine
	Device  *Device
	// Addr is the address that was kept; zero = none.
	Addr netip.Addr
}

// Promote makes a machine or device of a discovery, with its MAC, name and address, in one
// transaction: all of it or, with an error, nothing. The error is fs.ErrNotExist if no rack saw it,
// fs.ErrExist if its MAC or the name has an owner, and an ipam.RefusedError if the address cannot
// be given away.
func (ds *Discoveries) Promote(ctx context.Context, p Promotion) (out Promoted, err error) {
	err = ds.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := discoveryOf(ctx, tx, p.Addr.Unmap(), p.MAC)
		if err != nil {
			return err
		}
		// Creation would refuse it too, but by then a name was made up and the error is about the
		// name.
		if err := macFree(ctx, tx, ipam.Interface{Kind: ipam.Physical, MAC: d.MAC}); err != nil {
			return err
		}
		if p.Hostname == "" {
			if p.Hostname, err = freeOrNone(ctx, tx, d.Hostname, p.DomainID); err != nil {
				return err
			}
		}
		node, iface, err := ds.inv.promoteNode(ctx, p, d, &out)
		if err != nil {
			return err
		}
		if !p.NoAddress {
			if err := ds.inv.keepAddress(ctx, iface, d, &out); err != nil {
				return err
			}
		}
		return ds.inv.reread(ctx, d, node, &out)
	})
	if err != nil {
		return Promoted{}, err
	}
	return out, nil
}

// promoteNode makes the machine or device and returns its ID and its interface's.
func (inv *Inventory) promoteNode(ctx context.Context, p Promotion, d Discovery, out *Promoted) (node, iface int64, err error) {
	seen := Interface{Interface: ipam.Interface{MAC: d.MAC, Kind: ipam.Physical, VLANID: d.VLAN.ID, Enabled: true, Boot: true}}
	if p.Device {
		made, err := inv.Devices.Create(ctx, Device{Hostname: p.Hostname, DomainID: p.DomainID, Description: p.Description, Interfaces: []Interface{seen}})
		if err != nil {
			return 0, 0, err
		}
		out.Device = &made
		return made.ID, made.Interfaces[0].ID, nil
	}
	made, err := inv.Machines.Create(ctx, Machine{Hostname: p.Hostname, DomainID: p.DomainID, Description: p.Description, Interfaces: []Interface{seen}})
	if err != nil {
		return 0, 0, err
	}
	out.Machine = &made
	return made.ID, made.Interfaces[0].ID, nil
}

// keepAddress makes the address the interface's own.
func (inv *Inventory) keepAddress(ctx context.Context, iface int64, d Discovery, out *Promoted) error {
	if d.Subnet.ID == 0 {
		return invalid(eventDiscovery, d.Addr.String(), "ip", "is in no subnet; add its subnet first, or leave the address to DHCP")
	}
	if _, err := inv.LinkInterface(ctx, iface, LinkRequest{Mode: ipam.LinkStatic, SubnetID: d.Subnet.ID, Addr: d.Addr}); err != nil {
		return fmt.Errorf("inventory: keep %s: %w; leave the address to DHCP, or choose another later", d.Addr, err)
	}
	out.Addr = d.Addr
	return nil
}

// reread returns what was made with its address, and writes the event.
func (inv *Inventory) reread(ctx context.Context, d Discovery, node int64, out *Promoted) (err error) {
	name := ""
	if out.Device != nil {
		*out.Device, err = inv.Devices.Get(ctx, node)
		name = "device " + out.Device.FQDN
	} else {
		*out.Machine, err = inv.Machines.Get(ctx, node)
		name = "machine " + out.Machine.FQDN
	}
	if err != nil {
		return err
	}
	return inv.Events.Add(ctx, Event{
		NodeID: node, Kind: eventDiscovery,
		Description: fmt.Sprintf("%s was made of what rack %s saw on %s: %s at %s", name, d.Rack, d.Link, d.MAC, d.Addr),
	})
}

// freeOrNone returns a name that was seen if it is one and is free, else "".
func freeOrNone(ctx context.Context, tx *store.Tx, seen string, domain int64) (string, error) {
	name, err := HostName(kinds.Machine, seen)
	if err != nil || name == "" {
		return "", nil
	}
	if domain == 0 {
		if domain, err = firstID(ctx, tx, "domain"); err != nil {
			return "", err
		}
	}
	var n int
	if err := tx.Get(ctx, "SELECT COUNT(*) FROM node WHERE hostname = ? AND domain_id = ?", []any{name, domain}, &n); err != nil || n > 0 {
		return "", err
	}
	return name, nil
}
