package netconfig_test

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netconfig"
)

// A machine with a bond, a tagged VLAN on it, and a static IPv6 default route, for two systems.
func Example() {
	c := netconfig.Config{
		Interfaces: []netconfig.Interface{
			{Name: "eth0", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}},
			{Name: "eth1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}},
			{Name: "bond0", Kind: ipam.Bond, Parents: []string{"eth0", "eth1"}, Bond: netconfig.Bond{Mode: "active-backup"}},
			{
				Name: "bond0.30", Kind: ipam.VLANInterface, Parents: []string{"bond0"}, VID: 30,
				Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8::10/64")},
				Routes:    []netconfig.Route{{To: netconfig.Default6, Via: netip.MustParseAddr("fe80::1")}},
			},
		},
		DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")},
	}
	for _, format := range []netconfig.Format{netconfig.Netplan, netconfig.Kernel} {
		out, err := netconfig.Render(c, format)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, f := range out.Files {
			fmt.Printf("# %s\n%s", f.Path, f.Text)
		}
	}
	// Output:
	// # /etc/netplan/50-maas.yaml
	// network:
	//   version: 2
	//   ethernets:
	//     eth0:
	//       match:
	//         macaddress: "02:00:00:00:00:01"
	//       set-name: "eth0"
	//       dhcp4: false
	//       dhcp6: false
	//       accept-ra: false
	//     eth1:
	//       match:
	//         macaddress: "02:00:00:00:00:02"
	//       set-name: "eth1"
	//       dhcp4: false
	//       dhcp6: false
	//       accept-ra: false
	//   bonds:
	//     bond0:
	//       interfaces: ["eth0", "eth1"]
	//       parameters:
	//         mode: "active-backup"
	//       dhcp4: false
	//       dhcp6: false
	//       accept-ra: false
	//   vlans:
	//     bond0.30:
	//       id: 30
	//       link: "bond0"
	//       dhcp4: false
	//       dhcp6: false
	//       accept-ra: false
	//       addresses: ["2001:db8::10/64"]
	//       routes:
	//         - to: "::/0"
	//           via: "fe80::1"
	//       nameservers:
	//         addresses: ["2001:db8::53"]
	// # cmdline
	// ifname=eth0:02:00:00:00:00:01 ifname=eth1:02:00:00:00:00:02 bond=bond0:eth0,eth1:mode=active-backup vlan=bond0.30:bond0 ip=[2001:db8::10]::[fe80::1]:64::bond0.30:none nameserver=[2001:db8::53]
}
