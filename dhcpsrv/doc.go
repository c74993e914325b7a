// Package dhcpsrv is a DHCPv4 and DHCPv6 server to embed: whole semantics, leases that survive a power cut, boot answers by firmware,
// and configuration that changes without a restart.
//
// # The one call
//
// A server for the machines on one interface, with leases in a file:
//
//	journal, err := dhcpsrv.OpenJournal("/var/lib/site/leases")
//	server, err := dhcpsrv.New(dhcpsrv.Config{Store: journal})
//	err = server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
//		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
//		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}},
//	}}})
//	conn, err := dhcpsrv.Listen(dhcpsrv.ListenConfig{Interfaces: []string{"eth1"}})
//	err = server.Serve(ctx, conn)
//
// # The struct
//
// [Config] holds what stays for the life of a server: where leases are kept ([LeaseStore]), who decides what a booting
// machine loads ([BootSelector]), who hears of leases (Events), who checks that an address is free ([Prober]). [Snapshot]
// holds what changes: subnets, pools, reservations, options. [Server.Update] checks a snapshot as a whole, refuses a bad one
// with the object's name, and swaps a good one in between two packets.
//
// # The parts
//
// [Server.Handle] answers a packet without a socket, [Server.Explain] tells why it would be answered so, by the same code.
// [Conn] is the socket: [Listen] opens the real one on Linux, a test or a simulation gives its own. [Journal] is a lease
// store of its own; [FindServers] looks for other DHCP servers on a link.
//
// # IPv6
//
// A [Subnet] whose prefix is of IPv6 is served by DHCPv6: [Listen6] and [Server.Serve6] beside the others, [Server.Handle6]
// and [Server.Explain6] without a socket. Snapshot, leases, store, events and boot selector are the same. A lease is a
// client's DUID with one of its identity associations; a reservation goes by DUID or by link address, so that the firmware
// and the system of a machine, whose DUIDs differ, get the same address. Default routes, prefixes and MTU are no matter of
// DHCPv6: what [Snapshot].Advertisements says of a link, [Server.ServeAdvertise] tells by router advertisements.
//
// # Beside another DHCP server
//
// [Subnet].Mode says who gives the addresses. In [ModeProxy] the server only tells firmware what to load, on port 67 and,
// with [ListenBoot] and [Server.ServeBoot], on 4011. In [ModeAuto] it serves where no other server answers and goes proxy
// where one does; [Server.Serve] says when it changes, [Server.Modes] what is in force and why.
//
// # Which address a client gets
//
// The reserved one; else the one it holds; else the one on offer to it; else its former one; else the one it asks for; else
// the place in the pools that its key hashes to, so that it gets the same address even after the leases are lost; else the
// least recently used one. A client is known by its link address, or with Subnet.ByClientID by option 61; it has one lease
// in each segment. A reservation that is made while its client holds another address wins at the next renewal.
//
// # Durability
//
// An ACK leaves after its lease is in the store, and not at all when the store fails. While the store syncs one batch the
// next one gathers, so that many clients share a sync. A DISCOVER writes nothing.
//
// # Concurrency, errors
//
// All methods of Server are safe for concurrent use, and several Serve may run on one Server. Handlers do not panic; what an
// embedder's code does is caught, counted and logged. Work per packet, memory and goroutines are bounded; what is dropped is
// counted by [Reason]. Errors name the object, and those of [Listen] wrap the cause.
//
// # What it does not do
//
// Prefix delegation, reconfiguration of clients, failover
// between two servers, dynamic DNS updates (subscribe to Events instead), lease queries, authentication (RFC 3118).
package dhcpsrv
