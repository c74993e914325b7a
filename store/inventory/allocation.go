package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// held is the row behind an ipam.Allocation.
type held struct {
	ipam.Allocation
	hostname string // name a DHCP client gave, or a user for a reserved address
}

var allocations = table[held]{
	kind: kinds.Allocation, name: "allocation",
	cols: []string{"type", "subnet_id", "ip", "interface_id", "owner", "comment", "hostname", "created", "expires"},
	id:   func(a *held) *int64 { return &a.ID },
	fields: func(a *held) []any {
		return []any{asInt[ipam.AllocType]{&a.Type}, asRef{&a.SubnetID}, orNull{&a.Addr}, asRef{&a.InterfaceID}, &a.Owner, &a.Comment, &a.hostname, asTime{&a.Created}, asTime{&a.Expires}}
	},
}

// heldAddresses reads allocations with the names of their holders; in where, a is the allocation.
func heldAddresses(ctx context.Context, tx *store.Tx, where string, args ...any) (all []ipam.Allocation, err error) {
	query := `SELECT a.id, a.type, a.subnet_id, a.ip, a.interface_id, a.owner, a.comment, a.hostname, a.created, a.expires,
		COALESCE(n.hostname, ''), COALESCE(i.name, ''), COALESCE(i.mac, '')
		FROM allocation a LEFT JOIN interface i ON i.id = a.interface_id LEFT JOIN node n ON n.id = i.node_id WHERE ` + where + ` ORDER BY a.id`
	err = tx.Query(ctx, query, args, func(scan func(...any) error) error {
		var a held
		var host, iface, mac string
		if err := scan(append(append([]any{&a.ID}, allocations.fields(&a)...), &host, &iface, &mac)...); err != nil {
			return err
		}
		a.Name = cmp.Or(host, a.hostname)
		// Rows without an interface are those of users and racks; the comment of a rack's says so.
		switch {
		case host != "":
			a.Holder = host + " " + iface
		case mac != "":
			a.Holder = mac
		case a.Comment != "" && a.Owner == "":
			a.Holder = a.Comment
			if rack, ok := strings.CutPrefix(a.Comment, "rack "); ok {
				a.Name = rack
			}
		}
		all = append(all, a.Allocation)
		return nil
	})
	return all, err
}

// Allocations lists the addresses of a subnet that are held or were observed; 0 means all subnets.
func (inv *Inventory) Allocations(ctx context.Context, subnet int64) (all []ipam.Allocation, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if subnet == 0 {
			all, err = heldAddresses(ctx, tx, "a.ip IS NOT NULL")
		} else {
			all, err = heldAddresses(ctx, tx, "a.ip IS NOT NULL AND a.subnet_id = ?", subnet)
		}
		return err
	})
	return all, err
}

// UserAddresses returns the addresses that users reserved, in order of ID.
func (inv *Inventory) UserAddresses(ctx context.Context) (all []Orphan, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = orphansWhere(ctx, tx, " AND type = ?", int64(ipam.AllocUserReserved))
		return err
	})
	return all, err
}

// insertHeld inserts an allocation; an address that has a holder is fs.ErrExist.
func insertHeld(ctx context.Context, tx *store.Tx, a *held) error {
	if a.Created.IsZero() {
		a.Created = time.Now()
	}
	fields := allocations.fields(a)
	// A conflict must not fail the statement: PostgreSQL would refuse the rest of the transaction,
	// in which choose tries the next address.
	const query = `INSERT INTO allocation (type, subnet_id, ip, interface_id, owner, comment, hostname, created, expires)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`
	id, err := tx.Insert(ctx, query, fields...)
	if err != nil {
		return err
	}
	a.ID = id
	allocations.record(ctx, id, nil, a)
	tx.Changed(kinds.Allocation, id, store.Created)
	return nil
}

// LinkRequest joins an interface to a subnet.
type LinkRequest struct {
	Mode     ipam.LinkMode
	SubnetID int64      // 0 = the subnet of Addr; with LinkUp also none
	Addr     netip.Addr // of LinkStatic; zero = one is chosen
}

// LinkInterface joins an interface to a subnet. A static address is given at once, an automatic one
// by ClaimAutoChecked when the machine is deployed. An interface that is on no VLAN comes to be on
// the subnet's, and a link that only brings it up goes when another one is made.
func (inv *Inventory) LinkInterface(ctx context.Context, iface int64, r LinkRequest) (a ipam.Allocation, err error) {
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		i, err := interfaces.get(ctx, tx, iface)
		if err != nil {
			return err
		}
		s, err := linkSubnet(ctx, tx, r)
		if err != nil {
			return err
		}
		row := held{Allocation: ipam.Allocation{Type: r.Mode.AllocType(), SubnetID: s.ID, InterfaceID: iface, Addr: r.Addr}}
		if r.Mode != ipam.LinkStatic {
			if r.Addr.IsValid() {
				return invalid("link", i.Name, "ip_address", "is for static links only")
			}
			err = insertHeld(ctx, tx, &row)
		} else {
			err = inv.giveAddress(ctx, tx, i, &row)
		}
		if err != nil {
			return err
		}
		a = row.Allocation
		return afterLink(ctx, tx, i, s, row.ID)
	})
	return a, err
}

func linkSubnet(ctx context.Context, tx *store.Tx, r LinkRequest) (ipam.Subnet, error) {
	switch {
	case r.SubnetID != 0:
		return subnets.get(ctx, tx, r.SubnetID)
	case r.Addr.IsValid():
		return subnetFor(ctx, tx, r.Addr)
	case r.Mode == ipam.LinkUp:
		return ipam.Subnet{}, nil
	}
	return ipam.Subnet{}, invalid("link", r.Mode.String(), "subnet", "is missing")
}

// afterLink puts the interface on the subnet's VLAN and drops links that brought it up only.
func afterLink(ctx context.Context, tx *store.Tx, i ipam.Interface, s ipam.Subnet, keep int64) error {
	// As in MAAS: an interface without a VLAN is on no network yet, so the first link decides.
	if i.VLANID == 0 && s.VLANID != 0 {
		i.VLANID = s.VLANID
		if err := interfaces.update(ctx, tx, &i); err != nil {
			return err
		}
	}
	err := allocations.deleteWhere(ctx, tx, "interface_id = ? AND type = ? AND ip IS NULL AND id <> ?", i.ID, int64(ipam.AllocSticky), keep)
	return errors.Join(err, touchNode(ctx, tx, i.NodeID))
}

// giveAddress inserts row with its address, or with one that it chooses: the one reserved for the
// interface's MAC, else a free one.
func (inv *Inventory) giveAddress(ctx context.Context, tx *store.Tx, i ipam.Interface, row *held) error {
	u, err := settingsOf(ctx, tx, row.SubnetID)
	if err != nil {
		return err
	}
	// A reserved IP precedes free addresses: with any other the machine's DHCP client would be
	// given the reserved one and the site's records would be wrong.
	if !row.Addr.IsValid() {
		for _, r := range u.Reserved {
			if r.For(i.MAC) {
				row.Addr = r.Addr
			}
		}
	}
	if !row.Addr.IsValid() {
		row.Addr, err = inv.choose(ctx, tx, u, func(ctx context.Context, a netip.Addr) error {
			row.Addr = a
			return insertHeld(ctx, tx, row)
		})
		return err
	}
	// One address is checked, so its own row is enough of the allocations: a subnet may have
	// 65,000.
	if u.Allocations, err = heldAddresses(ctx, tx, "a.ip = ?", row.Addr.String()); err != nil {
		return err
	}
	if err := u.CheckAddress(row.Addr, i.MAC, true); err != nil {
		return err
	}
	return insertHeld(ctx, tx, row)
}

// Unlink removes a link, and with it the address it holds.
func (inv *Inventory) Unlink(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		a, err := allocations.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := inv.releaseWhere(ctx, tx, "id = ?", id); err != nil {
			return err
		}
		if a.InterfaceID == 0 {
			return nil
		}
		i, err := interfaces.get(ctx, tx, a.InterfaceID)
		if err != nil {
			return err
		}
		return touchNode(ctx, tx, i.NodeID)
	})
}

// ClaimAuto gives every automatic link of a machine an address, all or none.
func (inv *Inventory) ClaimAuto(ctx context.Context, machine int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, err := allocations.list(ctx, tx, "type = ? AND ip IS NULL AND interface_id IN (SELECT id FROM interface WHERE node_id = ?)", int64(ipam.AllocAuto), machine)
		if err != nil {
			return err
		}
		for _, row := range rows {
			i, err := interfaces.get(ctx, tx, row.InterfaceID)
			if err != nil {
				return err
			}
			// The row is replaced, not changed: giveAddress inserts, and learns from a conflict
			// that another transaction took the address. It is no deletion for readers of the feed.
			if _, err := tx.Exec(ctx, "DELETE FROM allocation WHERE id = ?", row.ID); err != nil {
				return err
			}
			if err := inv.giveAddress(ctx, tx, i, &row); err != nil {
				return err
			}
		}
		return touchNode(ctx, tx, machine)
	})
}

// ReleaseAuto takes back the addresses of a machine's automatic links. The links stay.
func (inv *Inventory) ReleaseAuto(ctx context.Context, machine int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, err := allocations.list(ctx, tx, "type = ? AND ip IS NOT NULL AND interface_id IN (SELECT id FROM interface WHERE node_id = ?)", int64(ipam.AllocAuto), machine)
		if err != nil {
			return err
		}
		for _, row := range rows {
			inv.released(ctx, tx, row) // before the address is removed from the row
			row.Addr = netip.Addr{}
			if err := allocations.update(ctx, tx, &row); err != nil {
				return err
			}
		}
		return touchNode(ctx, tx, machine)
	})
}

// Reservation is a user's wish for an address.
type Reservation struct {
	SubnetID int64      // 0 = the subnet of Addr
	Addr     netip.Addr // zero = one is chosen
	Owner    string     // user
	Hostname string     // name in the default domain; "" = none
	Comment  string
}

// ReserveAddress gives an address to a user.
func (inv *Inventory) ReserveAddress(ctx context.Context, r Reservation) (a ipam.Allocation, err error) {
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if r.Hostname != "" {
			if r.Hostname, err = HostName("reserved address", r.Hostname); err != nil {
				return err
			}
			if err := (wantedName{kind: "reserved address", label: r.Hostname, owner: r.Owner}).free(ctx, tx); err != nil {
				return err
			}
		}
		if r.SubnetID == 0 {
			if !r.Addr.IsValid() {
				return invalid("reserved address", "", "subnet", "or ip is needed")
			}
			s, err := subnetFor(ctx, tx, r.Addr)
			if err != nil {
				return err
			}
			r.SubnetID = s.ID
		}
		row := held{hostname: r.Hostname, Allocation: ipam.Allocation{
			Type: ipam.AllocUserReserved, SubnetID: r.SubnetID, Addr: r.Addr, Owner: r.Owner, Comment: r.Comment,
		}}
		if err := inv.giveAddress(ctx, tx, ipam.Interface{}, &row); err != nil {
			return err
		}
		a = row.Allocation
		a.Name = r.Hostname
		return nil
	})
	return a, err
}

// ReleaseAddress releases an address that a user reserved. The owner must match unless force is
// set.
func (inv *Inventory) ReleaseAddress(ctx context.Context, a netip.Addr, owner string, force bool) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The type is part of the condition: addresses of machines are released with their links.
		row, err := allocations.one(ctx, tx, "reserved address "+a.String(), "ip = ? AND type = ?", a.String(), int64(ipam.AllocUserReserved))
		if err != nil {
			return err
		}
		if row.Owner != owner && !force {
			return invalid("reserved address", a.String(), "owner", "is "+row.Owner+"; only they, or force, can release it")
		}
		return inv.releaseWhere(ctx, tx, "id = ?", row.ID)
	})
}

// releaseWhere deletes allocations and makes their addresses free again.
func (inv *Inventory) releaseWhere(ctx context.Context, tx *store.Tx, where string, args ...any) error {
	rows, err := allocations.list(ctx, tx, where, args...)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := allocations.delete(ctx, tx, row.ID); err != nil {
			return fmt.Errorf("inventory: release %s: %w", row.Addr, err)
		}
		inv.released(ctx, tx, row)
	}
	return nil
}
