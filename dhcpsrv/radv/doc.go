// Package radv sends the router advertisements of IPv6 links (RFC 4861): whether hosts use DHCPv6,
// which prefixes are on the link, its MTU, and whether this host is a default router.
//
//	server, err := radv.New(radv.Config{})
//	err = server.Update([]radv.Advertisement{{Link: "eth1", Managed: true, Prefixes: prefixes}})
//	conn, err := dhcplink.ListenAdvertise(dhcplink.ListenConfig{Interfaces: []string{"eth1"}})
//	err = server.Serve(ctx, conn)
//
// DHCPv6 itself carries neither default routes nor prefixes nor the MTU, so a DHCPv6 server needs
// this beside it. [Server.Update] replaces the advertisements at run time. An advertisement that is
// removed, and one whose server ends, is withdrawn: hosts drop their default route at once.
//
// # Limits
//
// The autonomous flag of a prefix stays clear: hosts take their addresses from DHCPv6, where they
// can be found again. Solicitations are answered within the rates of RFC 4861 section 6.2.6, a
// flood by one multicast every three seconds.
package radv
