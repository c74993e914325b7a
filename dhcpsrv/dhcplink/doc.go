// Package dhcplink connects package dhcpsrv to the network interfaces of a Linux host: it opens the
// DHCP ports, probes addresses before they are offered, and finds other DHCP servers.
//
//	conn, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth1"}})
//	server, err := dhcpsrv.New(dhcpsrv.Config{Prober: new(dhcplink.Prober), FindServers: dhcplink.FindServers})
//	err = server.Serve(ctx, conn)
//
// [Listen] and [Listen6] open the server ports of DHCPv4 and DHCPv6, [ListenBoot] the port of boot
// servers, and [ListenAdvertise] a socket for router advertisements. The connections move up to 64
// datagrams with one system call ([dhcpsrv.BatchConn]). Replies to clients that have no address yet
// leave as frames through a packet socket for each interface (RFC 2131 section 4.1).
//
// # Privileges
//
// The ports need CAP_NET_BIND_SERVICE; frames, probes and [FindServers] need CAP_NET_RAW. An error
// names the missing capability, or the program that already has the port.
//
// # Limits
//
// Only Linux is supported: elsewhere every function returns [errors.ErrUnsupported]. Other systems
// need a [dhcpsrv.Conn] of their own.
package dhcplink
