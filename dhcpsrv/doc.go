// Package dhcpsrv is a DHCPv4 and DHCPv6 server to embed. Its leases survive a power failure, its
// boot answers depend on the firmware, and its configuration changes without a restart.
//
//	leases, err := journal.Open("/var/lib/site/leases")
//	server, err := dhcpsrv.New(dhcpsrv.Config{Store: leases})
//	err = server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
//		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
//		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}},
//	}}})
//	conn, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth1"}})
//	err = server.Serve(ctx, conn)
//
// # Config and Snapshot
//
// [Config] holds what stays for the life of a server: the [LeaseStore], the [BootSelector], the
// subscriber of lease events, the [Prober]. With nil fields the server keeps leases in memory,
// sends no boot data and probes nothing. [Snapshot] holds what changes: subnets, pools,
// reservations, options, partners. [Server.Update] checks a snapshot as a whole and swaps it in
// between two packets, or refuses it with an error that names the object. [Server.Reserve],
// [Server.Unreserve] and [Server.SetSubnet] change one object, in microseconds whatever the size of
// the site.
//
// # Classes
//
// A [Class] selects clients by what they send: vendor class, user class, architecture, MAC prefix
// or circuit. Its clients get options and, by Pool.Class, pools of their own, or are ignored.
//
// # Your inventory decides
//
// [Config.Hosts] is asked about each client that the snapshot has no reservation for, in a
// goroutine of its own: other clients do not wait while it asks a database. It answers with
// address, options and boot file, or to ignore or refuse the client, and for how long the answer
// holds.
//
// # The parts
//
// [Server.Handle] answers one packet without a socket. [Server.Explain] runs the same code, changes
// nothing, and returns the reason for each step. A [Conn] is the socket, and a [BatchConn] a faster
// one. The packages beside this one are its companions: journal stores leases on disk, dhcplink
// opens sockets, probes addresses and finds other servers, radv sends the router advertisements
// that DHCPv6 needs beside it, and dhcptest tests implementations of LeaseStore.
//
// # IPv6
//
// A [Subnet] with an IPv6 prefix is served by DHCPv6, through [Server.Serve6]. Snapshot, leases,
// store, events and boot selector are the same for both families. A reservation goes by DUID or by
// link address, so that the firmware and the system of a machine, whose DUIDs differ, get the same
// address.
//
// # Routing domains
//
// Subnets of two VRFs may have the same addresses. Relays select the VRF (RFC 6607), and
// [Server.VRF] is the view of the leases of one.
//
// # Other servers
//
// Subnet.Mode says who gives the addresses. In [ModeProxy] the server sends firmware its boot data
// and leaves addresses to another server (proxyDHCP). In [ModeAuto] it serves while no rogue server
// answers, and is a proxy while one does. In [ModeWatch] it answers nothing, learns the leases of
// another server and reports what it would have given: the mode before a change of servers.
//
// Two servers may share subnets as failover partners: see [failover.Partner] and
// [Server.ServePartner].
//
// # Concurrency and errors
//
// All methods of [Server] are safe for concurrent use, and several Serve may run on one Server,
// each with its own Conn. Serve returns nil when its context ends. A panic in an embedder's code is
// caught, counted and logged. Work per packet, memory and goroutines are bounded; [Stats] counts
// what is dropped by [Reason].
//
// # Limits
//
// Reconfiguration of clients, failover among more than two servers, dynamic DNS updates (subscribe
// to Config.Events instead), lease queries and authentication (RFC 3118) are not supported.
//
// DESIGN.md, beside the source, explains which address a client gets, failover, durability, and
// what happens when the clock is set.
package dhcpsrv
