package ipam_test

import (
	"net"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
)

func TestInterfaceValidate(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	eth := func(name string) ipam.Interface {
		return ipam.Interface{NodeID: 1, Name: name, Kind: ipam.Physical, MAC: mac}
	}
	of := func(kind ipam.InterfaceKind, name string) ipam.Interface {
		i := eth(name)
		i.Kind = kind
		return i
	}
	stranger := eth("eth0")
	stranger.NodeID = 2
	vlan := ipam.Interface{NodeID: 1, Name: "eth0.5", Kind: ipam.VLANInterface, VLANID: 7}
	untied := vlan
	untied.VLANID = 0
	for _, c := range []struct {
		name    string
		i       ipam.Interface
		parents []ipam.Interface
		want    string // a part of the error, "" = none
	}{
		{"physical", eth("eth0"), nil, ""},
		{"longest name", eth("abcdefghijklmno"), nil, ""},
		{"name too long", eth("abcdefghijklmnop"), nil, "name must be 1 to 15"},
		{"name with a space", eth("eth 0"), nil, "name must be 1 to 15"},
		{"no name", eth(""), nil, "name must be 1 to 15"},
		{"no MAC", ipam.Interface{NodeID: 1, Name: "eth0"}, nil, "mac_address must be six octets"},
		{"MAC of InfiniBand", ipam.Interface{NodeID: 1, Name: "ib0", MAC: make(net.HardwareAddr, 20)}, nil, "mac_address must be six octets"},
		{"physical with a parent", eth("eth0"), []ipam.Interface{eth("eth1")}, "must be empty for a physical interface"},
		{"unknown with a parent", of(ipam.Unknown, "eth0"), []ipam.Interface{eth("eth1")}, "must be empty for a unknown interface"},
		{"bond", of(ipam.Bond, "bond0"), []ipam.Interface{eth("eth0"), eth("eth1")}, ""},
		{"bond of nothing", of(ipam.Bond, "bond0"), nil, "parents is missing"},
		{"bond of a bond", of(ipam.Bond, "bond1"), []ipam.Interface{of(ipam.Bond, "bond0")}, "bond0: only physical interfaces can be bonded"},
		{"bond of two machines", of(ipam.Bond, "bond0"), []ipam.Interface{eth("eth1"), stranger}, "eth0 belongs to another machine"},
		{"bridge without a MAC", ipam.Interface{NodeID: 1, Name: "br0", Kind: ipam.Bridge}, []ipam.Interface{eth("eth0")}, ""},
		{"bridge of a bond", of(ipam.Bridge, "br0"), []ipam.Interface{of(ipam.Bond, "bond0")}, ""},
		{"bridge of a bridge", of(ipam.Bridge, "br1"), []ipam.Interface{of(ipam.Bridge, "br0")}, "br0: a bridge cannot contain bridges"},
		{"VLAN", vlan, []ipam.Interface{eth("eth0")}, ""},
		{"VLAN on a bridge", vlan, []ipam.Interface{of(ipam.Bridge, "br0")}, ""},
		{"VLAN on a VLAN", vlan, []ipam.Interface{vlan}, "must be a physical interface, a bond or a bridge"},
		{"VLAN on two", vlan, []ipam.Interface{eth("eth0"), eth("eth1")}, "must be exactly one"},
		{"VLAN on nothing", vlan, nil, "must be exactly one"},
		{"VLAN of no VLAN", untied, []ipam.Interface{eth("eth0")}, "vlan is missing"},
	} {
		err := c.i.Validate(c.parents)
		if got := ""; err != nil {
			if got = err.Error(); c.want == "" || !strings.Contains(got, c.want) {
				t.Errorf("%s: %s, want %q", c.name, got, c.want)
			}
		} else if c.want != "" {
			t.Errorf("%s: no error, want %q", c.name, c.want)
		}
	}
}

func TestVLANValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		v    ipam.VLAN
		want string
	}{
		{"zero", ipam.VLAN{}, ""},
		{"last VID", ipam.VLAN{VID: ipam.MaxVID}, ""},
		{"reserved VID", ipam.VLAN{VID: ipam.MaxVID + 1}, "vid must be 0 to 4094"},
		{"negative VID", ipam.VLAN{VID: -1}, "vid must be 0 to 4094"},
		{"least MTU", ipam.VLAN{MTU: 552}, ""},
		{"MTU too small", ipam.VLAN{MTU: 551}, "mtu must be 552 to 65535"},
		{"MTU too large", ipam.VLAN{MTU: 65536}, "mtu must be 552 to 65535"},
		{"relayed to itself", ipam.VLAN{ID: 3, RelayVLANID: 3}, "relay_vlan is the VLAN itself"},
		{"relayed", ipam.VLAN{ID: 3, RelayVLANID: 4}, ""},
		{"mode", ipam.VLAN{DHCPMode: "never"}, "dhcp_mode must be serve, proxy, auto or watch"},
		{"proxy", ipam.VLAN{DHCP: true, DHCPMode: ipam.DHCPProxy, PrimaryRack: "a"}, ""},
		{"watch", ipam.VLAN{DHCP: true, DHCPMode: ipam.DHCPWatch, PrimaryRack: "a"}, ""},
		{"two racks", ipam.VLAN{DHCP: true, PrimaryRack: "a", SecondaryRack: "b"}, ""},
		{"secondary alone", ipam.VLAN{SecondaryRack: "b"}, "secondary_rack needs a primary rack"},
	} {
		err := c.v.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if got := (ipam.VLAN{VID: 7}).String() + (ipam.VLAN{VID: 7, Name: "lab"}).String(); got != "7lab" {
		t.Error(got)
	}
}

func TestNamesOfFabricsAndSpaces(t *testing.T) {
	long := strings.Repeat("x", 257)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"fabric without a name":   {ipam.Fabric{ID: 1}.Validate(), ""},
		"fabric of its own ID":    {ipam.Fabric{ID: 1, Name: "fabric-1"}.Validate(), ""},
		"fabric of another ID":    {ipam.Fabric{ID: 1, Name: "fabric-2"}.Validate(), "kept for generated names"},
		"fabric almost generated": {ipam.Fabric{ID: 1, Name: "fabric-2a"}.Validate(), ""},
		"fabric too long":         {ipam.Fabric{Name: long}.Validate(), "longer than 256"},
		"space of its own ID":     {ipam.Space{ID: 1, Name: "space-1"}.Validate(), ""},
		"space of another ID":     {ipam.Space{ID: 1, Name: "space-2"}.Validate(), "kept for generated names"},
		"no space":                {ipam.Space{ID: 1, Name: "undefined"}.Validate(), `kept for "no space"`},
		"space too long":          {ipam.Space{Name: long}.Validate(), "longer than 256"},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, c.err, c.want)
		}
	}
}
