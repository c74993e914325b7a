package ipam

import "strconv"

// Limits of a VLAN. VID 0 is the untagged network of a fabric.
const (
	MaxVID     = 4094
	minMTU     = 552
	maxMTU     = 65535
	DefaultMTU = 1500
)

// UntaggedName is the name of every fabric's default VLAN.
const UntaggedName = "untagged"

// VLAN is one layer 2 network of a fabric.
type VLAN struct {
	ID          int64
	Version     int64 // counts changes; an update must carry the one that was read
	FabricID    int64
	VID         int    // 0 to MaxVID, unique in the fabric; 0 = untagged
	Name        string // "" = none; the default VLAN is UntaggedName
	Description string
	MTU         int   // 552 to 65535; 0 = DefaultMTU
	SpaceID     int64 // 0 = no space

	// DHCP says that racks serve DHCP here. It needs a primary rack and, but with DHCPProxy, a
	// dynamic range, and excludes RelayVLANID.
	DHCP bool
	// DHCPMode says who gives addresses where DHCP is on.
	DHCPMode      DHCPMode
	PrimaryRack   string // system id of the rack that serves; "" = none
	SecondaryRack string // system id of the rack that shares its work; "" = none
	// RelayVLANID is the VLAN whose racks answer for this one through a relay agent in the network;
	// 0 = not relayed.
	RelayVLANID int64
}

// DHCPMode says who gives the machines of a VLAN their addresses. IPv6 addresses are always given
// by racks.
type DHCPMode string

// The modes.
const (
	DHCPServe DHCPMode = ""      // racks do
	DHCPProxy DHCPMode = "proxy" // another server does; racks add what to boot
	DHCPAuto  DHCPMode = "auto"  // racks do while no other server answers
	DHCPWatch DHCPMode = "watch" // another server does; racks answer nothing and learn its leases
)

// Validate checks the VLAN by itself. What depends on other objects (a unique VID, the dynamic
// range DHCP needs) is checked where those are known.
func (v VLAN) Validate() error {
	name := v.String()
	switch {
	case v.VID < 0 || v.VID > MaxVID:
		return invalid("vlan", name, "vid", "must be 0 to 4094")
	// 552 is the least that MAAS takes.
	case v.MTU != 0 && (v.MTU < minMTU || v.MTU > maxMTU):
		return invalid("vlan", name, "mtu", "must be 552 to 65535")
	case v.RelayVLANID != 0 && v.RelayVLANID == v.ID:
		return invalid("vlan", name, "relay_vlan", "is the VLAN itself; choose the VLAN whose rack answers")
	// Two servers would answer each client.
	case v.RelayVLANID != 0 && v.DHCP:
		return invalid("vlan", name, "relay_vlan", "excludes DHCP on the VLAN; turn one of them off")
	case v.DHCPMode != DHCPServe && v.DHCPMode != DHCPProxy && v.DHCPMode != DHCPAuto && v.DHCPMode != DHCPWatch:
		return invalid("vlan", name, "dhcp_mode", "must be serve, proxy, auto or watch")
	case v.DHCP && v.PrimaryRack == "":
		return invalid("vlan", name, "dhcp_on", "needs a primary rack")
	case v.SecondaryRack != "" && v.PrimaryRack == "":
		return invalid("vlan", name, "secondary_rack", "needs a primary rack")
	case v.SecondaryRack != "" && v.SecondaryRack == v.PrimaryRack:
		return invalid("vlan", name, "secondary_rack", "is the primary rack too; choose another")
	}
	return nil
}

// String names the VLAN as operators do: its name, else its VID.
func (v VLAN) String() string {
	if v.Name != "" {
		return v.Name
	}
	return strconv.Itoa(v.VID)
}
