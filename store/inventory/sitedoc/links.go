package sitedoc

import (
	"slices"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// linkDoc returns a link as the document shows it. The address of an automatic link is left out:
// the site assigns another one at each deployment.
func (a *applier) linkDoc(x ipam.Allocation) (Link, error) {
	l := Link{Mode: ipam.LinkUp.String()}
	switch {
	case x.Type == ipam.AllocAuto:
		l.Mode = ipam.LinkAuto.String()
	case x.Type == ipam.AllocDHCP:
		l.Mode = ipam.LinkDHCP.String()
	case x.Addr.IsValid():
		l.Mode, l.IP = ipam.LinkStatic.String(), x.Addr.String()
	}
	if x.SubnetID == 0 {
		return l, nil
	}
	s, err := a.inv.Subnets.Get(a.ctx, x.SubnetID)
	l.Subnet = s.Prefix.String()
	return l, err
}

// fitLinks takes away what is not wanted and adds what is missing.
func (a *applier) fitLinks(id int64, want []Link) error {
	i, err := a.inv.Interface(a.ctx, id)
	if err != nil {
		return err
	}
	// Links that the document has in this or an equal form stay with their address and ID: default
	// gateways refer to them.
	missing := slices.Clone(want)
	for n := range missing {
		missing[n].Subnet, missing[n].Mode = canonical(missing[n].Subnet), strings.ToLower(missing[n].Mode)
	}
	for _, x := range i.Links {
		if x.Type == ipam.AllocDiscovered {
			continue
		}
		have, err := a.linkDoc(x)
		if err != nil {
			return err
		}
		// A subnet may be left out where the address says it, and the address where one is chosen.
		at := slices.IndexFunc(missing, func(l Link) bool {
			return l.Mode == have.Mode && (l.Subnet == have.Subnet || l.Subnet == "" && l.IP != "") && (l.IP == have.IP || l.IP == "")
		})
		if at >= 0 {
			missing = slices.Delete(missing, at, at+1)
			continue
		}
		if have == (Link{Mode: ipam.LinkUp.String()}) && len(want) == 0 {
			continue // an interface without links has the same
		}
		if err := a.inv.Unlink(a.ctx, x.ID); err != nil {
			return err
		}
	}
	// After the removals, so that an address may move from one link to another.
	for _, l := range missing {
		if err := a.addLink(id, l); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) addLink(id int64, l Link) error {
	mode, err := ipam.ParseLinkMode(l.Mode)
	if err != nil {
		return err
	}
	r := inventory.LinkRequest{Mode: mode}
	if l.Subnet != "" {
		s, err := a.subnetByCIDR(l.Subnet)
		if err != nil {
			return err
		}
		r.SubnetID = s.ID
	}
	if l.IP != "" {
		if r.Addr, err = addrOf("ip_address", l.IP); err != nil {
			return err
		}
	}
	_, err = a.inv.LinkInterface(a.ctx, id, r)
	return err
}
