// Package metadata serves machines the data about themselves once they run: host name, SSH keys,
// network configuration and user data, in the forms that cloud-init, Ignition's and others' clients
// read.
//
//	h, err := metadata.New(metadata.Config{
//		Source: inventory, // two methods: by link address, and by address
//		Vouch: func(client netip.Addr, mac net.HardwareAddr, nonce string) bool {
//			return server.Vouches(client, mac, nonce)
//		},
//		Events: timeline, // "metadata" and "configured" end the timeline of a boot
//	})
//	server, err = pxe.New(pxe.Config{Resolver: profiles, Also: h.Patterns()})
//
// A profile leads cloud-init here by its command line: "ds=nocloud;dsmode=net;s={metadata}", where
// the variable holds the machine's URL with the nonce of its script. Without dsmode, versions
// before 23.2 (Debian 12) read the URL and then drop it, since they take the network for absent.
//
// The paths are NoCloud's below /metadata/MAC/NONCE/ and /metadata/ (meta-data, user-data,
// vendor-data, network-config), those of EC2 below /latest/ and /2009-04-04/ (with the tokens of
// version 2), and those of OpenStack below /openstack/, as far as names, networks, keys and user
// data go. The last two are what clients ask of 169.254.169.254: serve the handler there, on port
// 80.
//
// # Access
//
// User data holds secrets, so a machine reads its own only. A request counts as a machine's when
// its source address is one of the instance's, when Config.Vouch says so (DHCP gave the address to
// the machine, or the path has the nonce of the machine's script), and never by the link address in
// the path alone. All others are answered as if the machine did not exist.
//
// # Phone home
//
// The vendor data has cloud-init report by POST to phone-home below the same URL when its last
// module has run. The report is an event of stage "configured".
package metadata
