package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var vlans = table[ipam.VLAN]{
	kind: KindVLAN, name: "vlan",
	cols: []string{"fabric_id", "vid", "name", "description", "mtu", "space_id", "dhcp", "primary_rack", "secondary_rack", "relay_vlan_id", "dhcp_mode"},
	id:   func(v *ipam.VLAN) *int64 { return &v.ID }, version: func(v *ipam.VLAN) *int64 { return &v.Version },
	label: func(v *ipam.VLAN) string { return v.String() },
	fields: func(v *ipam.VLAN) []any {
		return []any{&v.FabricID, &v.VID, &v.Name, &v.Description, &v.MTU, asRef{&v.SpaceID}, &v.DHCP, &v.PrimaryRack, &v.SecondaryRack, asRef{&v.RelayVLANID}, (*string)(&v.DHCPMode)}
	},
}

// CreateVLAN adds a VLAN to a fabric (0 = the default one).
func (inv *Inventory) CreateVLAN(ctx context.Context, v ipam.VLAN) (ipam.VLAN, error) {
	v.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if v.FabricID == 0 {
			first, err := firstID(ctx, tx, "fabric")
			if err != nil {
				return err
			}
			v.FabricID = first
		}
		v.MTU = cmp.Or(v.MTU, ipam.DefaultMTU)
		if err := checkVLAN(ctx, tx, v); err != nil {
			return err
		}
		return taken(vlans.insert(ctx, tx, &v), KindVLAN, fmt.Sprintf("VID %d in its fabric", v.VID))
	})
	return v, err
}

// UpdateVLAN changes a VLAN. Turning DHCP on needs a primary rack and a
// dynamic range on one of its subnets, and ends relaying. Giving up the
// primary rack makes the secondary one primary. The error is *StaleError if v
// was changed since it was read.
func (inv *Inventory) UpdateVLAN(ctx context.Context, v ipam.VLAN) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := vlans.current(ctx, tx, &v)
		if err != nil {
			return err
		}
		v.MTU = cmp.Or(v.MTU, ipam.DefaultMTU)
		if v.PrimaryRack == "" && v.SecondaryRack != "" {
			v.PrimaryRack, v.SecondaryRack = v.SecondaryRack, ""
		} else if v.PrimaryRack == old.SecondaryRack && v.SecondaryRack == old.SecondaryRack {
			v.SecondaryRack = ""
		}
		if v.DHCP && !old.DHCP {
			v.RelayVLANID = 0
		}
		def, err := isDefaultVLAN(ctx, tx, old)
		if err != nil {
			return err
		}
		if def {
			if v.FabricID != old.FabricID || v.VID != old.VID {
				return invalid(KindVLAN, old.String(), "fabric", "and vid of a fabric's default VLAN cannot be changed")
			}
			v.Name = ipam.UntaggedName
		}
		if err := checkVLAN(ctx, tx, v); err != nil {
			return err
		}
		return taken(vlans.update(ctx, tx, &v), KindVLAN, fmt.Sprintf("VID %d in its fabric", v.VID))
	})
}

// checkVLAN checks what depends on other objects.
func checkVLAN(ctx context.Context, tx *store.Tx, v ipam.VLAN) error {
	if err := v.Validate(); err != nil {
		return err
	}
	if _, err := fabrics.get(ctx, tx, v.FabricID); err != nil {
		return err
	}
	if v.SpaceID != 0 {
		if _, err := spaces.get(ctx, tx, v.SpaceID); err != nil {
			return err
		}
	}
	for field, rack := range map[string]string{"primary_rack": v.PrimaryRack, "secondary_rack": v.SecondaryRack} {
		if rack == "" {
			continue
		}
		if _, err := racks.one(ctx, tx, rack, "name = ?", rack); err != nil {
			return fmt.Errorf("inventory: vlan %s: %s: %w", v, field, err)
		}
	}
	if v.RelayVLANID != 0 {
		target, err := vlans.get(ctx, tx, v.RelayVLANID)
		if err != nil {
			return err
		}
		if target.RelayVLANID != 0 {
			return invalid(KindVLAN, v.String(), "relay_vlan", "is itself relayed; name the VLAN whose rack answers")
		}
	}
	if !v.DHCP || v.DHCPMode == ipam.DHCPProxy {
		return nil
	}
	var ranges int
	const query = "SELECT COUNT(*) FROM ip_range WHERE type = ? AND subnet_id IN (SELECT id FROM subnet WHERE vlan_id = ?)"
	if err := tx.Get(ctx, query, []any{int64(ipam.RangeDynamic), v.ID}, &ranges); err != nil {
		return err
	}
	if ranges == 0 {
		return invalid(KindVLAN, v.String(), "dhcp_on", "needs a dynamic range on one of the VLAN's subnets; add one first")
	}
	return nil
}

// defaultVLAN returns a fabric's default VLAN, its oldest.
func defaultVLAN(ctx context.Context, tx *store.Tx, fabric int64) (ipam.VLAN, error) {
	const oldest = "id = (SELECT MIN(id) FROM vlan WHERE fabric_id = ?)"
	return vlans.one(ctx, tx, fmt.Sprintf("in fabric %d", fabric), oldest, fabric)
}

func isDefaultVLAN(ctx context.Context, tx *store.Tx, v ipam.VLAN) (bool, error) {
	def, err := defaultVLAN(ctx, tx, v.FabricID)
	return def.ID == v.ID, err
}

// DefaultVLAN returns the default VLAN of a fabric, 0 being the default fabric.
func (inv *Inventory) DefaultVLAN(ctx context.Context, fabric int64) (v ipam.VLAN, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		if fabric == 0 {
			if fabric, err = firstID(ctx, tx, "fabric"); err != nil {
				return err
			}
		}
		v, err = defaultVLAN(ctx, tx, fabric)
		return err
	})
	return v, err
}

// VLANs lists the VLANs of all fabrics.
func (inv *Inventory) VLANs(ctx context.Context) ([]ipam.VLAN, error) {
	return listIn(ctx, inv, vlans, "")
}

// VLAN returns a VLAN.
func (inv *Inventory) VLAN(ctx context.Context, id int64) (ipam.VLAN, error) {
	return getIn(ctx, inv, vlans, id)
}

// DeleteVLAN deletes a VLAN unless it is its fabric's default one. VLAN
// interfaces on it go with it; its subnets and other interfaces move to the
// fabric's default VLAN.
func (inv *Inventory) DeleteVLAN(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		v, err := vlans.get(ctx, tx, id)
		if err != nil {
			return err
		}
		def, err := defaultVLAN(ctx, tx, v.FabricID)
		if err != nil {
			return err
		}
		if def.ID == id {
			return &InUseError{Kind: KindVLAN, Name: v.String(), Remedy: "it is its fabric's default VLAN"}
		}
		if err := inv.emptyVLAN(ctx, tx, id, def.ID); err != nil {
			return err
		}
		return vlans.delete(ctx, tx, id)
	})
}

// emptyVLAN moves what is on a VLAN to another one, except for VLAN
// interfaces, which mean nothing there.
func (inv *Inventory) emptyVLAN(ctx context.Context, tx *store.Tx, id, to int64) error {
	on, err := interfaces.list(ctx, tx, "vlan_id = ?", id)
	if err != nil {
		return err
	}
	for _, i := range on {
		if i.Kind == ipam.VLANInterface {
			err = inv.DeleteInterface(ctx, i.ID)
		} else {
			i.VLANID = to
			err = errors.Join(interfaces.update(ctx, tx, &i), touchNode(ctx, tx, i.NodeID))
		}
		if err != nil {
			return err
		}
	}
	nets, err := subnets.list(ctx, tx, "vlan_id = ?", id)
	if err != nil {
		return err
	}
	for _, s := range nets {
		s.VLANID = to
		if err := subnets.update(ctx, tx, &s); err != nil {
			return err
		}
	}
	return nil
}

// vlanOf finds a VLAN as a subnet's creation names it: by ID, or by fabric
// and VID, or the default ones of what is left out.
func vlanOf(ctx context.Context, tx *store.Tx, id int64) (ipam.VLAN, error) {
	if id != 0 {
		return vlans.get(ctx, tx, id)
	}
	fabric, err := firstID(ctx, tx, "fabric")
	if err != nil {
		return ipam.VLAN{}, err
	}
	return defaultVLAN(ctx, tx, fabric)
}

// VLANByVID finds a VLAN of a fabric.
func (inv *Inventory) VLANByVID(ctx context.Context, fabric int64, vid int) (v ipam.VLAN, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		v, err = vlans.one(ctx, tx, fmt.Sprintf("with VID %d in fabric %d", vid, fabric), "fabric_id = ? AND vid = ?", fabric, vid)
		return err
	})
	return v, err
}
