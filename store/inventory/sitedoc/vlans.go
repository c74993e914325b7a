package sitedoc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
)

func (a *applier) fabrics(docs *[]Fabric) step {
	inv := a.inv
	return kind[Fabric, ipam.Fabric]{
		applier: a, name: "fabric", docs: docs, objects: inv.Fabrics, id: func(f ipam.Fabric) int64 { return f.ID },
		doc: func(f ipam.Fabric) (Fabric, error) { return Fabric{f.Name, f.Description, f.ClassType}, nil },
		key: func(d Fabric) string { return d.Name },
		fill: func(d Fabric, f *ipam.Fabric) error {
			f.Name, f.Description, f.ClassType = d.Name, d.Description, d.ClassType
			return named(d.Name)
		},
		stays: func(f ipam.Fabric) bool { return f.ID == 1 }, // the default one, which the inventory makes
	}
}

func (a *applier) fabricByName(name string) (ipam.Fabric, error) {
	all, err := a.inv.Fabrics.List(a.ctx)
	if err != nil {
		return ipam.Fabric{}, err
	}
	return byName("fabric", name, all, func(f ipam.Fabric) string { return f.Name })
}

// vlanOf finds fabric/vid.
func (a *applier) vlanOf(ref string) (ipam.VLAN, error) {
	i := strings.LastIndex(ref, "/") // the name of a fabric may have slashes
	vid, err := strconv.Atoi(ref[i+1:])
	if i < 0 || err != nil {
		return ipam.VLAN{}, fmt.Errorf("vlan %q is not written as fabric/vid, such as fabric-1/0", ref)
	}
	f, err := a.fabricByName(ref[:i])
	if err != nil {
		return ipam.VLAN{}, fmt.Errorf("vlan %q: %w", ref, err)
	}
	return a.inv.VLANByVID(a.ctx, f.ID, vid)
}

// vlanRef returns the text that refers to a VLAN; "" = none.
func (a *applier) vlanRef(id int64) (string, error) {
	if id == 0 {
		return "", nil
	}
	v, err := a.inv.VLANs.Get(a.ctx, id)
	if err != nil {
		return "", err
	}
	f, err := a.inv.Fabrics.Get(a.ctx, v.FabricID)
	return fmt.Sprintf("%s/%d", f.Name, v.VID), err
}

// vlans is applied before the subnets, which need VLANs to be on (first), and again after the
// ranges, which DHCP needs.
func (a *applier) vlans(docs *[]VLAN, first bool) step {
	inv := a.inv
	k := kind[VLAN, ipam.VLAN]{
		applier: a, name: "vlan", docs: docs, objects: inv.VLANs, id: func(v ipam.VLAN) int64 { return v.ID },
		doc: a.vlanDoc, key: func(d VLAN) string { return fmt.Sprintf("%s/%d", d.Fabric, d.VID) },
		fill:   func(d VLAN, v *ipam.VLAN) error { return a.fillVLAN(d, v, first) },
		remove: a.removeVLAN,
		// The inventory makes an untagged VLAN in each fabric, and removes it with the fabric.
		stays: func(v ipam.VLAN) bool { return v.VID == 0 && v.Name == ipam.UntaggedName },
	}
	if !first {
		k.remains = true
	}
	return k
}

func (a *applier) vlanDoc(v ipam.VLAN) (VLAN, error) {
	f, err := a.inv.Fabrics.Get(a.ctx, v.FabricID)
	if err != nil {
		return VLAN{}, err
	}
	out := VLAN{
		Fabric: f.Name, VID: v.VID, Name: v.Name, Description: v.Description, MTU: v.MTU, DHCP: v.DHCP, DHCPMode: string(v.DHCPMode), Primary: v.PrimaryRack, Secondary: v.SecondaryRack,
	}
	if v.SpaceID != 0 {
		s, err := a.inv.Spaces.Get(a.ctx, v.SpaceID)
		if err != nil {
			return out, err
		}
		out.Space = s.Name
	}
	out.Relay, err = a.vlanRef(v.RelayVLANID)
	return out, err
}

// fillVLAN sets a VLAN's fields. The first pass turns DHCP and relays off, but not on.
func (a *applier) fillVLAN(d VLAN, v *ipam.VLAN, first bool) error {
	f, err := a.fabricByName(d.Fabric)
	if err != nil {
		return err
	}
	v.FabricID, v.VID, v.Name, v.Description, v.MTU = f.ID, d.VID, d.Name, d.Description, d.MTU
	if v.MTU == 0 {
		v.MTU = ipam.DefaultMTU
	}
	if v.Name == "" && v.VID == 0 {
		v.Name = ipam.UntaggedName
	}
	if v.SpaceID, err = a.spaceID(d.Space); err != nil {
		return err
	}
	// DHCP that stays on would forbid to remove the last range of the VLAN.
	if first {
		v.DHCP = v.DHCP && d.DHCP
		if d.Relay == "" {
			v.RelayVLANID = 0
		}
		return nil
	}
	v.RelayVLANID, v.DHCPMode = 0, ipam.DHCPMode(d.DHCPMode)
	if err := a.fillRacks(d, v); err != nil {
		return err
	}
	if d.Relay != "" {
		target, err := a.vlanOf(d.Relay)
		if err != nil {
			return err
		}
		v.RelayVLANID = target.ID
	}
	return nil
}

// fillRacks sets DHCP and the racks of a VLAN. A rack that did not enrol yet is left out with a
// warning, and with it DHCP if no other rack is given: the document is applied again when the rack
// exists.
func (a *applier) fillRacks(d VLAN, v *ipam.VLAN) error {
	v.DHCP, v.PrimaryRack, v.SecondaryRack = d.DHCP, d.Primary, d.Secondary
	for _, name := range []*string{&v.PrimaryRack, &v.SecondaryRack} {
		_, err := a.inv.Racks.Find(a.ctx, *name)
		if *name == "" || err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		a.warn("vlan %s/%d: rack %s is not enrolled yet and was left out; apply the document again when it is", d.Fabric, d.VID, *name)
		*name = ""
	}
	if v.PrimaryRack == "" && d.Primary != "" {
		v.PrimaryRack, v.SecondaryRack = v.SecondaryRack, ""
	}
	if v.DHCP && v.PrimaryRack == "" && d.Primary != "" {
		v.DHCP = false
		a.warn("vlan %s/%d: DHCP stays off until one of its racks is enrolled", d.Fabric, d.VID)
	}
	return nil
}

// spaceID is the number of a space; 0 = none.
func (a *applier) spaceID(name string) (int64, error) {
	if name == "" {
		return 0, nil
	}
	all, err := a.inv.Spaces.List(a.ctx)
	if err != nil {
		return 0, err
	}
	s, err := byName("space", name, all, func(s ipam.Space) string { return s.Name })
	return s.ID, err
}

// removeVLAN refuses while something is on the VLAN: deleting it would move that elsewhere.
func (a *applier) removeVLAN(ctx context.Context, v ipam.VLAN) error {
	var by []string
	subnets, err := a.inv.Subnets.List(ctx)
	if err != nil {
		return err
	}
	for _, s := range subnets {
		if s.VLANID == v.ID {
			by = append(by, "subnet "+s.Prefix.String())
		}
	}
	machines, err := a.inv.Machines.List(ctx)
	if err != nil {
		return err
	}
	for _, m := range machines {
		for _, i := range m.Interfaces {
			if i.VLANID == v.ID && len(by) < maxInTheWay {
				by = append(by, "interface "+i.Name+" of "+m.FQDN)
			}
		}
	}
	if len(by) > 0 {
		return &inventory.InUseError{Kind: kinds.VLAN, Name: v.String(), By: by, Remedy: "move them to another VLAN first"}
	}
	return a.inv.VLANs.Delete(ctx, v.ID)
}
