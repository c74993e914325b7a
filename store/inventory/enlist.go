package inventory

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Enlistment describes a machine that booted from the network.
type Enlistment struct {
	MAC      net.HardwareAddr // required; identifies the machine
	Arch     string           // "amd64/generic"; "" = not known
	Firmware string           // boot method it used, such as "uefi-amd64-pxe"; "" = not known
	UUID     string           // as firmware reports it; "" = not known
	Hostname string           // "" = a name is made up
}

// Enlist returns the machine with a link address and reports whether it was created now. Fields
// that an existing machine lacks are filled in. Concurrent calls for one address create one
// machine.
func (inv *Inventory) Enlist(ctx context.Context, e Enlistment) (m Machine, created bool, err error) {
	if len(e.MAC) != 6 {
		return m, false, invalid(kinds.Machine, e.Hostname, "mac_addresses", fmt.Sprintf("has %q, which is not six octets", e.MAC))
	}
	if m, err = inv.MachineByMAC(ctx, e.MAC); err == nil && !e.adds(m) {
		return m, false, nil // the usual case costs no write
	}
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Read again: two racks may report the first boot of one machine at once.
		m, err = machineBy(ctx, tx, e.MAC.String(), "n.id IN (SELECT node_id FROM interface WHERE mac = ?)", e.MAC.String())
		created = notFound(err)
		switch {
		case created:
			m, err = inv.createEnlisted(ctx, tx, e)
		case err == nil && e.adds(m):
			m, err = inv.Machines.Update(ctx, e.fill(m))
		}
		return err
	})
	return m, created, err
}

func (inv *Inventory) createEnlisted(ctx context.Context, tx *store.Tx, e Enlistment) (Machine, error) {
	domain, err := firstID(ctx, tx, "domain")
	if err != nil {
		return Machine{}, err
	}
	name, err := HostName(kinds.Machine, e.Hostname)
	if err != nil {
		name = "" // what a client calls itself may be anything
	} else {
		var n int
		if err := tx.Get(ctx, "SELECT COUNT(*) FROM node WHERE hostname = ? AND domain_id = ?", []any{name, domain}, &n); err != nil {
			return Machine{}, err
		}
		if n > 0 { // images that were cloned all send the same name
			name = ""
		}
	}
	iface := Interface{Interface: ipam.Interface{MAC: e.MAC, Boot: true, Enabled: true}}
	return inv.Machines.Create(ctx, Machine{Hostname: name, Architecture: e.Arch, Firmware: e.Firmware, UUID: e.UUID, Interfaces: []Interface{iface}})
}

// adds reports whether e has a value that m lacks.
func (e Enlistment) adds(m Machine) bool {
	f := e.fill(m)
	return f.Architecture != m.Architecture || f.Firmware != m.Firmware || f.UUID != m.UUID
}

// fill completes m. The firmware is always replaced: it changes with the machine's setup.
func (e Enlistment) fill(m Machine) Machine {
	if m.Architecture == "" {
		m.Architecture = e.Arch
	}
	if e.Firmware != "" {
		m.Firmware = e.Firmware
	}
	// Like the architecture, it may have been corrected by an administrator, so it stays.
	if m.UUID == "" {
		m.UUID = strings.ToLower(e.UUID)
	}
	return m
}
