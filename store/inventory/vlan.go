package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var vlans = table[ipam.VLAN]{
	kind: kinds.VLAN, name: "vlan",
	cols: []string{"fabric_id", "vid", "name", "description", "mtu", "space_id", "dhcp", "primary_rack", "secondary_rack", "relay_vlan_id", "dhcp_mode"},
	id:   func(v *ipam.VLAN) *int64 { return &v.ID }, version: func(v *ipam.VLAN) *int64 { return &v.Version },
	label: func(v *ipam.VLAN) string { return v.String() },
	fields: func(v *ipam.VLAN) []any {
		return []any{&v.FabricID, &v.VID, &v.Name, &v.Description, &v.MTU, asRef{&v.SpaceID}, &v.DHCP, &v.PrimaryRack, &v.SecondaryRack, asRef{&v.RelayVLANID}, (*string)(&v.DHCPMode)}
	},
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
			return invalid(kinds.VLAN, v.String(), "relay_vlan", "is itself relayed; name the VLAN whose rack answers")
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
		return invalid(kinds.VLAN, v.String(), "dhcp_on", "needs a dynamic range on one of the VLAN's subnets; add one first")
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

// emptyVLAN moves what is on a VLAN to another one, except for VLAN interfaces, which mean nothing
// there.
func (inv *Inventory) emptyVLAN(ctx context.Context, tx *store.Tx, id, to int64) error {
	on, err := interfaces.list(ctx, tx, "vlan_id = ?", id)
	if err != nil {
		return err
	}
	for _, i := range on {
		if i.Kind == ipam.VLANInterface {
			err = inv.Interfaces.Delete(ctx, i.ID)
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

// vlanOf finds a VLAN as a subnet's creation names it: by ID, or by fabric and VID, or the default
// ones of what is left out.
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

// vlanRules: a VLAN without a fabric is in the default one. Turning DHCP on needs a primary rack
// and a dynamic range on one of the VLAN's subnets, and ends relaying.
func (inv *Inventory) vlanRules() rules[ipam.VLAN] {
	return rules[ipam.VLAN]{
		check: func(ctx context.Context, tx *store.Tx, v, old *ipam.VLAN) error {
			v.MTU = cmp.Or(v.MTU, ipam.DefaultMTU)
			var err error
			if old != nil {
				err = changeVLAN(ctx, tx, v, old)
			} else if v.FabricID == 0 {
				v.FabricID, err = firstID(ctx, tx, "fabric")
			}
			if err != nil {
				return err
			}
			return checkVLAN(ctx, tx, *v)
		},
		unique: func(v *ipam.VLAN) string { return fmt.Sprintf("VID %d in its fabric", v.VID) },
		after: func(ctx context.Context, tx *store.Tx, v, old *ipam.VLAN) error {
			// The racks of a VLAN serve its networks.
			if v != nil && old != nil && v.PrimaryRack == old.PrimaryRack && v.SecondaryRack == old.SecondaryRack && v.RelayVLANID == old.RelayVLANID {
				return nil
			}
			return inv.settleRacks(ctx, tx)
		},
		keep: inv.keepVLAN,
		find: inv.findVLAN,
	}
}

// changeVLAN fills in what follows from a change.
func changeVLAN(ctx context.Context, tx *store.Tx, v, old *ipam.VLAN) error {
	if v.PrimaryRack == "" && v.SecondaryRack != "" { // the primary one was given up
		v.PrimaryRack, v.SecondaryRack = v.SecondaryRack, ""
	} else if v.PrimaryRack == old.SecondaryRack && v.SecondaryRack == old.SecondaryRack {
		v.SecondaryRack = ""
	}
	if v.DHCP && !old.DHCP {
		v.RelayVLANID = 0
	}
	def, err := isDefaultVLAN(ctx, tx, *old)
	if err != nil || !def {
		return err
	}
	if v.FabricID != old.FabricID || v.VID != old.VID {
		return invalid(kinds.VLAN, old.String(), "fabric", "and vid of a fabric's default VLAN cannot be changed")
	}
	v.Name = ipam.UntaggedName
	return nil
}

// keepVLAN keeps the default VLAN of a fabric. VLAN interfaces on another one are deleted with it;
// its subnets and other interfaces move to the fabric's default VLAN.
func (inv *Inventory) keepVLAN(ctx context.Context, tx *store.Tx, v *ipam.VLAN) error {
	def, err := defaultVLAN(ctx, tx, v.FabricID)
	if err != nil {
		return err
	}
	if def.ID == v.ID {
		return &InUseError{Kind: kinds.VLAN, Name: v.String(), Remedy: "it is its fabric's default VLAN"}
	}
	return inv.emptyVLAN(ctx, tx, v.ID, def.ID)
}
