// Package pxedhcp boots machines on the networks of this host, in one call: DHCP for IPv4 and IPv6,
// router advertisements, proxyDHCP, TFTP and HTTP.
//
//	err := pxedhcp.Serve(ctx, pxedhcp.Site{
//		Interfaces: []string{"eth1"},
//		Boot: pxe.Config{
//			Resolver: pxe.Static(pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd.img"}}),
//			Files:    os.DirFS("/srv/images"),
//		},
//	})
//
// This gives the upper half of each network of eth1 out, while no other DHCP server answers there,
// and beside one gives boot data only. Pools, or Hosts in Site.DHCP, say which addresses to give
// out, Proxy leaves them to another server, and Site.Subnets says all of it. Site.DHCP and
// Site.Boot are the whole settings of packages dhcpsrv and pxe: lease store, events, loaders, paths
// of your own.
//
// # The parts
//
// [NewServer] makes the same servers and starts nothing, so that their leases can be read, changed
// and explained. [Listen] opens the ports, [Server.Serve] serves on them, or on sockets of your
// own:
//
//	sockets, err := pxedhcp.Listen(ctx, site) // then drop privileges
//	server, err := pxedhcp.NewServer(site)
//	go server.Serve(ctx, sockets)
//	err = server.DHCP().Reserve(reservation)
//
// With other servers, a [Selector] alone answers the boot question of a DHCP server from the method
// table of package pxe. It is a dhcpsrv.BootSelector, and needs no settings if the boot server runs
// at the DHCP server's address with its usual ports:
//
//	dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{}), ...})
//
// # Rules
//
// Nil fields mean the defaults stated there. What cannot be served is an error that names the field
// and the cure, before anything runs. When one server fails, the others end with it; a supervisor
// restarts the site. Nothing outlives Serve.
//
// A Selector is immutable, answers from memory and may be used from many goroutines. It keeps no
// state and has no errors: a client that matches no method gets no boot data.
//
// The addresses of the interfaces are read at the start: a new one needs another Serve. Package
// cmd/maas/rack follows them.
package pxedhcp
