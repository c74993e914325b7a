// Package dhcpsrv is a DHCPv4 and DHCPv6 server to embed: whole semantics, leases that survive a power cut, boot answers by firmware,
// and configuration that changes without a restart.
//
// # The one call
//
// A server for the machines on one interface, with leases in a file:
//
//	journal, err := journal.Open("/var/lib/site/leases")
//	server, err := dhcpsrv.New(dhcpsrv.Config{Store: journal})
//	err = server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
//		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
//		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}},
//	}}})
//	conn, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{"eth1"}})
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
// [Conn] is the socket: dhcplink.Listen opens the real one on Linux, a test or a simulation gives its own. Package journal is a lease
// store of its own; dhcplink.FindServers looks for other DHCP servers on a link.
//
// # IPv6
//
// A [Subnet] whose prefix is of IPv6 is served by DHCPv6: dhcplink.Listen6 and [Server.Serve6] beside the others, [Server.Handle6]
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
// # Two servers
//
// Two servers may share subnets of both families. A [Partner] in the snapshot says with whom, Subnet.Partner where, and
// [Server.ServePartner] exchanges leases over a connection that the caller opens and has made safe. Each address belongs to
// the half of one server, by its lowest bit, whatever the pools are; only that one gives it to a new client. Leases that run
// are renewed, and reservations answered, by either.
//
// [Server.Partners] tells the state. Normal: each answers the clients of its hash buckets (RFC 3074), and those of the
// other's that have asked for three seconds in vain, by their own word or as heard; what names a server is for that one.
// Interrupted, while the other is not heard: everybody is answered. An address whose former lease has ended goes to another
// client only when the other server is known to have it as ended, too, since it may have renewed it. PartnerDown, when that
// has lasted for Partner.TakeoverAfter: once the longest lease time has passed as well, the other's half and whatever it has
// not confirmed are given out, as far as no lease known here runs, after a probe. When the other is back, that ends with its
// first message, and it gives out nothing before it has all leases. Recovering, after a start: silence until the partner's
// leases are here, for ten seconds at the most. A server that was away for as long as a lease lasts gives out no new address
// before it has its partner's leases, or that time has passed again, however often it starts meanwhile; a secondary that never
// met its primary, not before the primary would have been taken over. What a server knows of such times is kept by a
// [PartnerStore].
//
// Changes are sent while the own disk syncs, in batches; an answer waits for the partner to have its lease on disk for at most
// 20 ms and then leaves without, which Stats.PartnerLate counts. After a cut only what has changed is sent again; after a
// restart of either, all. What the partner has confirmed is in memory alone, so after a restart nothing is: an address that
// somebody had, as ended as its lease may be, goes to no other client before the two have told each other everything, or the
// partner's half is taken over. That costs addresses that are out of use while the partner is away, and never gives one to two
// clients. The leases themselves, and when the partner was last heard, are on disk. Of two versions of a lease the one that its
// client, or a probe, changed later counts, on both servers alike; who held the address by the other is refused at the next
// renewal.
//
// What follows: as long as the two do not both live for longer than TakeoverAfter without hearing each other, no address is
// held by two clients, whichever of them crashes, and whatever clients they hear. An acknowledged lease is on the disk of
// the server that gave it, and nearly always on both. One that left late and whose server dies before it could tell is not
// known to the other: its client is refused when it renews there, after three seconds, and gets another address, while its
// former one stays out of use until the server is back or its half is taken over. When both live and do not hear each other
// for longer than TakeoverAfter and a lease time, each takes the other for dead: then the probe is all that keeps one address
// from two clients, and after healing the later lease counts. The same holds for an address whose reservation passes to
// another client while they do not hear each other. Their clocks should agree; when they differ by more than five seconds
// that is logged, shows in [PartnerStatus], and each puts the ends of the other's leases into its own time. Which of two
// versions is the later one is then decided by the clock that is ahead.
//
// # Durability
//
// An ACK leaves after its lease is in the store, and not at all when the store fails. While the store syncs one batch the
// next one gathers, so that many clients share a sync. A DISCOVER writes nothing.
//
// # Clocks
//
// Leases keep the time that they have left when the wall clock is set, forwards or backwards: a running server goes by a
// clock that cannot be set, compares it with the wall clock every second, and when that has moved by a second or more it
// moves all its leases, the stored ones too ([ShiftStore]). [Stats].ClockSet counts that, and it is logged. A store
// that cannot move them, for want of space, is asked again each second, and stores new leases by its former time meanwhile.
// Less than a second stays as it is. With a partner the connection begins anew, for each to know how much the clocks differ; after
// hours that the clock skipped, which the server may have slept through, it gives out no new address until it has heard its
// partner or a lease time has passed.
//
// A server that starts while the wall clock shows less than when it was last there, which it notes every minute
// ([PartnerStore]), takes the difference for a step of the clock, whether that was ahead before or is behind now: leases keep
// what they had left when it made its note. The time that it was away does not count, and leases live too long rather than
// too short. When the clock is then set right they move along.
//
// On Linux a server that starts on a machine that has run all the time since such a note knows how long it was away. Then it
// finds every step of the clock, forwards too, also one that its store could not follow before the end, and leases end when
// they should. A virtual machine that was paused does not count that time: leases keep what they had left before, and live
// too long rather than too short. With a partner, what the clock has gone forward beyond the uptime counts as time that the
// server was away, since it may have been; a pause that the clock does not show either cannot be known.
//
// After a start of the machine, a step forwards looks like time that has passed: leases look ended. With [Config].Prober
// such an address is probed before it is offered to another client; without, that one may get it while it is in use.
//
// # A server whose address changes
//
// The sockets are not bound to addresses, so that an interface may lose and get them. Until a snapshot says what Server is
// now, answers go out from whatever address the interface has. Afterwards clients hear the new one; requests that still name
// the former one are answered for as long as an offer holds.
//
// # Concurrency, errors
//
// All methods of Server are safe for concurrent use, and several Serve may run on one Server. Handlers do not panic; what an
// embedder's code does is caught, counted and logged. Work per packet, memory and goroutines are bounded; what is dropped is
// counted by [Reason]. Errors name the object, and those of dhcplink.Listen wrap the cause.
//
// # What it does not do
//
// Prefix delegation, reconfiguration of clients, failover
// among more than two servers, dynamic DNS updates (subscribe to Events instead), lease queries, authentication (RFC 3118).
package dhcpsrv
