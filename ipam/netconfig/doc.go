// Package netconfig renders the network configuration of a machine for the system that it runs:
//
//	c := netconfig.Config{
//		Interfaces: []netconfig.Interface{{
//			Name: "eth0", MAC: mac, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")},
//			Routes: []netconfig.Route{{To: netconfig.Default4, Via: netip.MustParseAddr("192.0.2.1")}},
//		}},
//		DNS: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
//	}
//	out, err := netconfig.Render(c, netconfig.Netplan)
//	for _, f := range out.Files {
//		fmt.Println(f.Path, f.Text)
//	}
//
// Formats are netplan, cloud-init's network-config in versions 2 and 1, units of systemd-networkd,
// keyfiles of NetworkManager, ifupdown's interfaces, Ignition, arguments of the kernel as dracut
// reads them, and OpenStack's network_data.json. Where a format cannot express something, such as
// routing rules among the kernel's arguments, the output has a warning that names it; nothing is
// left out without one.
//
// Addresses and routes are static unless an interface asks for DHCP. Router advertisements are
// ignored on every interface without AcceptRA, so that IPv6 rests on what the configuration says.
//
// All functions are pure. Values may be used concurrently as long as none is changed.
package netconfig
