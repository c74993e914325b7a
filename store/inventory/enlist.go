package inventory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Enlistment describes a machine that booted from the network.
type Enlistment struct {
	MAC      net.HardwareAddr // required; identifies the machine
	Arch     string           // "amd64/generic"; "" = not known
	Firmware string           // boot method it used, such as "uefi-amd64-pxe"; "" = not known
	UUID     string           // as firmware reports it; "" = not known
	Hostname string           // "" = a name is made up
	VLANID   int64            // where it booted; 0 = not known
}

// Enlist returns the machine with a link address and reports whether it was created now. Fields
// that an existing machine lacks are filled in. Concurrent calls for one address create one
// machine. Of the machines of a VLAN that no user has touched since, setting.EnlistMax are kept,
// and the oldest makes way for a new one; if it is 0, the error for an unknown address is
// fs.ErrNotExist.
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
	most, err := enlistMax(ctx, inv)
	if err != nil {
		return Machine{}, err
	}
	if most == 0 {
		return Machine{}, &NotFoundError{kinds.Machine, "with " + e.MAC.String()}
	}
	iface := Interface{Interface: ipam.Interface{MAC: e.MAC, Boot: true, Enabled: true}}
	m, err := inv.Machines.Create(ctx, Machine{Hostname: name, Architecture: e.Arch, Firmware: e.Firmware, UUID: e.UUID, Interfaces: []Interface{iface}})
	if err != nil {
		return m, err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO enlisted (node_id, vlan_id, at) VALUES (?, ?, ?)", m.ID, e.VLANID, time.Now().UnixMicro()); err != nil {
		return m, err
	}
	return m, inv.makeWay(ctx, tx, e.VLANID, most)
}

// defaultEnlistMax is the default of setting.EnlistMax: more machines than are unpacked between two
// looks at the inventory, and few enough for plans and racks if a stranger makes them up.
const defaultEnlistMax = 1000

func enlistMax(ctx context.Context, inv *Inventory) (int, error) {
	text, err := inv.Settings.Get(ctx, setting.EnlistMax)
	if err != nil && !notFound(err) {
		return 0, err
	}
	m := Model{Settings: map[string]string{setting.EnlistMax: text}}
	return m.SettingNumber(setting.EnlistMax, defaultEnlistMax), nil
}

// makeWay removes the oldest machines that were enlisted on a VLAN, beyond most.
func (inv *Inventory) makeWay(ctx context.Context, tx *store.Tx, vlan int64, most int) error {
	var old []int64
	const beyond = "SELECT node_id FROM enlisted WHERE vlan_id = ? ORDER BY at DESC, node_id DESC LIMIT 100 OFFSET ?"
	err := tx.Query(ctx, beyond, []any{vlan, most}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		old = append(old, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range old {
		m, err := inv.Machines.Get(ctx, id)
		if err != nil {
			return err
		}
		err = inv.Machines.Delete(ctx, id)
		if inUse := (*InUseError)(nil); errors.As(err, &inUse) {
			// Something is built on it, which strangers cannot do.
			err = confirm(ctx, tx, id)
		} else if err == nil {
			text := fmt.Sprintf("%s removed: it booted and no user took it, and no VLAN keeps more than %d such machines (%s)", m.FQDN, most, setting.EnlistMax)
			err = inv.Events.Add(ctx, Event{Kind: "machine", Level: "warning", Description: text})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// confirm notes that a machine is wanted, so that it makes way for no other.
func confirm(ctx context.Context, tx *store.Tx, machine int64) error {
	_, err := tx.Exec(ctx, "DELETE FROM enlisted WHERE node_id = ?", machine)
	return err
}

// confirmTouched confirms the machines that a user changed.
func confirmTouched(ctx context.Context, tx *store.Tx, changes []store.Change) error {
	for _, c := range changes {
		if c.Kind != kinds.Machine || c.Op == store.Deleted {
			continue
		}
		if err := confirm(ctx, tx, c.ID); err != nil {
			return err
		}
	}
	return nil
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
