package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// maxMapVLANs bounds the VLANs of the map; a site with more has the tree.
const maxMapVLANs = 40

// networksView is the data of the page of all networks.
type networksView struct {
	Fabrics []fabricRow
	Map     netMap
	Pages   pager
	Q       string
}

// fabricRow is a fabric with its VLANs.
type fabricRow struct {
	Name  string
	VLANs []vlanRow
}

// vlanRow is a VLAN with its subnets.
type vlanRow struct {
	Name    string
	Serves  string // whether racks give addresses
	On      bool
	Racks   []string
	Subnets []subnetRow
}

// networks shows fabrics, VLANs and subnets as a tree, and how racks are joined to them.
func (c *Console) networks(w http.ResponseWriter, r *http.Request) error {
	peers, err := c.cfg.Peers.Peers(r.Context())
	if err != nil {
		return err
	}
	out := networksView{Q: r.FormValue("q")}
	err = c.site.look(r.Context(), func(v view) error {
		rows := v.treeRows(out.Q)
		out.Pages = pagerOf(r, len(rows))
		out.Fabrics = v.tree(cut(rows, out.Pages))
		if out.Pages.Page == 1 && out.Q == "" {
			out.Map = mapOf(v, peers)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(w, r, "networks", frame{Title: "Networks", Here: "Networks", Command: "maas subnet list", Call: "subnets/", Data: out})
}

// treeRow is a VLAN of the tree with one of its subnets, or with none.
type treeRow struct {
	vlan   *ipam.VLAN
	subnet *ipam.Subnet
}

// treeRows returns the rows of the tree in order of fabric, VLAN and prefix.
func (v view) treeRows(q string) (rows []treeRow) {
	used := map[int64]bool{}
	for i := range v.Subnets {
		s := &v.Subnets[i]
		used[s.VLANID] = true
		if vlan := v.vlans[s.VLANID]; vlan != nil && fits(q, s.Prefix.String(), s.Name, v.vlanName(s.VLANID), vlan.Name) {
			rows = append(rows, treeRow{vlan, s})
		}
	}
	for i := range v.VLANs {
		if vlan := &v.VLANs[i]; !used[vlan.ID] && fits(q, v.vlanName(vlan.ID), vlan.Name) {
			rows = append(rows, treeRow{vlan, nil})
		}
	}
	slices.SortStableFunc(rows, func(a, b treeRow) int {
		order := cmp.Or(cmp.Compare(a.vlan.FabricID, b.vlan.FabricID), cmp.Compare(a.vlan.VID, b.vlan.VID))
		if order == 0 && a.subnet != nil && b.subnet != nil {
			order = a.subnet.Prefix.Addr().Compare(b.subnet.Prefix.Addr())
		}
		return order
	})
	return rows
}

// tree groups rows by fabric and VLAN.
func (v view) tree(rows []treeRow) (out []fabricRow) {
	uses, threshold := v.usage(), v.exhaustion()
	var fabric, vlan int64 = -1, -1
	for _, row := range rows {
		if row.vlan.FabricID != fabric {
			fabric, vlan = row.vlan.FabricID, -1
			name := ""
			if f := v.fabrics[fabric]; f != nil {
				name = f.Name
			}
			out = append(out, fabricRow{Name: name})
		}
		f := &out[len(out)-1]
		if row.vlan.ID != vlan {
			vlan = row.vlan.ID
			f.VLANs = append(f.VLANs, v.vlanRow(row.vlan))
		}
		if row.subnet != nil {
			last := &f.VLANs[len(f.VLANs)-1]
			last.Subnets = append(last.Subnets, subnetRowOf(v, *row.subnet, uses[row.subnet.ID].Stats, threshold))
		}
	}
	return out
}

func (v view) vlanRow(vlan *ipam.VLAN) vlanRow {
	row := vlanRow{Name: v.vlanName(vlan.ID), On: vlan.DHCP, Serves: "no DHCP"}
	if vlan.Name != "" && vlan.Name != ipam.UntaggedName {
		row.Name += " (" + vlan.Name + ")"
	}
	switch {
	case vlan.RelayVLANID != 0:
		row.Serves, row.On = "relayed to "+v.vlanName(vlan.RelayVLANID), true
	case vlan.DHCP && vlan.DHCPMode == ipam.DHCPProxy:
		row.Serves = "another server gives addresses"
	case vlan.DHCP && vlan.DHCPMode == ipam.DHCPAuto:
		row.Serves = "DHCP while no other server answers"
	case vlan.DHCP && vlan.DHCPMode == ipam.DHCPWatch:
		row.Serves = "another server gives addresses, which racks watch"
	case vlan.DHCP:
		row.Serves = "DHCP"
	}
	for _, rack := range []string{vlan.PrimaryRack, vlan.SecondaryRack} {
		if rack != "" {
			row.Racks = append(row.Racks, rack)
		}
	}
	return row
}

// netMap is the drawing of racks, their interfaces, VLANs and the switches between.
type netMap struct {
	Height int
	Boxes  []mapBox
	Lines  []mapLine
	Text   string // the same in words, for readers who do not see the drawing
}

type mapBox struct {
	X, Y, W, H  int
	Class       string
	Name, Small string
	Path        string
}

type mapLine struct{ X1, Y1, X2, Y2 int }

// Measures of the map: three columns of boxes.
const (
	mapBoxW, mapBoxH, mapStep = 200, 38, 50
	mapRackX, mapPortX, mapX  = 0, 290, 580
)

// mapOf draws the map: racks with their interfaces at the left, the switch port that LLDP names in
// the middle, VLANs at the right.
func mapOf(v view, peers []inventory.LinkPeer) (out netMap) {
	if len(v.VLANs) > maxMapVLANs || len(v.Racks) == 0 {
		return out
	}
	place := map[int64]int{}
	y := 0
	for _, vlan := range v.VLANs {
		if !v.hasSubnet(vlan.ID) {
			continue
		}
		place[vlan.ID] = y
		out.Boxes = append(out.Boxes, mapBox{X: mapX, Y: y, W: mapBoxW, H: mapBoxH, Class: "m-vlan", Name: v.vlanName(vlan.ID), Small: v.subnetsOn(vlan.ID), Path: "/networks?q=" + url.QueryEscape(v.vlanName(vlan.ID))})
		y += mapStep
	}
	out.Height, y = y, 0
	for _, k := range v.Racks {
		for _, l := range k.Links {
			out.Boxes = append(out.Boxes, mapBox{X: mapRackX, Y: y, W: mapBoxW, H: mapBoxH, Class: "m-rack", Name: k.Name, Small: l.Name, Path: "/racks/" + url.PathEscape(k.Name)})
			fromX, fromY := mapRackX+mapBoxW, y+mapBoxH/2
			if sw, port := switchOf(peers, k.Name, l.Name); sw != "" {
				out.Boxes = append(out.Boxes, mapBox{X: mapPortX, Y: y, W: mapBoxW, H: mapBoxH, Class: "m-switch", Name: sw, Small: port, Path: "/networks"})
				out.Lines = append(out.Lines, mapLine{fromX, fromY, mapPortX, fromY})
				fromX = mapPortX + mapBoxW
			}
			for _, id := range v.vlansOf(l) {
				if at, drawn := place[id]; drawn {
					out.Lines = append(out.Lines, mapLine{fromX, fromY, mapX, at + mapBoxH/2})
					out.Text += k.Name + " " + l.Name + " is on " + v.vlanName(id) + ". "
				}
			}
			y += mapStep
		}
	}
	out.Height = max(out.Height, y)
	return out
}

// switchOf returns the switch and its port at the far end of a rack's link; "" = not known.
func switchOf(peers []inventory.LinkPeer, rack, link string) (name, port string) {
	for _, p := range peers {
		if p.Rack == rack && p.Link == link && p.Kind == "switch" {
			name, port = p.Peer, p.PeerLink
			if s := p.Switch(); s != nil && s.System != "" {
				name = s.System
			}
			return name, port
		}
	}
	return "", ""
}

// vlansOf returns the VLANs whose subnets a link has addresses in.
func (v view) vlansOf(l inventory.RackLink) (ids []int64) {
	for _, a := range l.Addrs {
		for i := range v.Subnets {
			if s := &v.Subnets[i]; s.Prefix.Contains(a.Addr()) && !slices.Contains(ids, s.VLANID) {
				ids = append(ids, s.VLANID)
			}
		}
	}
	return ids
}

func (v view) hasSubnet(vlan int64) bool {
	return slices.ContainsFunc(v.Subnets, func(s ipam.Subnet) bool { return s.VLANID == vlan })
}

// subnetsOn names the subnets of a VLAN, in the room of a box.
func (v view) subnetsOn(vlan int64) string {
	first, more := "", 0
	for _, s := range v.Subnets {
		if s.VLANID != vlan {
			continue
		}
		if first == "" {
			first = s.Prefix.String()
		} else {
			more++
		}
	}
	if more > 0 {
		first += " and " + itoa(more) + " more"
	}
	return first
}
