// Package discovery tells which devices are on the wire, by listening: over IPv4 and IPv6, with their names, where they are
// plugged in, and when they go.
//
// # The one call
//
// [Watch] listens on the interfaces that suit, chosen anew when links change, and reports what is new or has changed:
//
//	err := discovery.Watch(ctx, discovery.Config{
//		Sink: func(e discovery.Event) { log.Println(e.Kind, e.Device.Addr, e.Device.MAC, e.Device.Hostname()) },
//	})
//
// [Sweep] asks every address of a prefix instead, slowly or fast, and says how far it has come:
//
//	conn, err := discovery.OpenPacket("eth0", discovery.Scan)
//	progress, err := discovery.Sweep(ctx, discovery.SweepConfig{Conn: conn, Prefixes: subnets, Rate: discovery.FastRate, Sink: seen})
//
// # The struct
//
// [Config] says on which interfaces to listen and to which sources: ARP, IPv6 neighbour and router discovery, DHCP of clients
// and servers that are overheard, multicast DNS, LLDP, and the beacons of other racks. With [Config.Reverse] the resolvers are
// asked for names of what was seen. [TableConfig] says for how long the word of each source is good, how often what stays is
// reported again, and what is ignored.
//
// # The parts
//
// Every protocol has a function of its own that reads a [Frame] and keeps nothing: [DecodeARP], [DecodeNDP], [DecodeDHCPv4],
// [DecodeDHCPv6], [DecodeMDNS], [DecodeLLDP], [BeaconKey.Decode]. A [Decoder] tells frames apart, counts, and reads no more of
// the costly ones than it can afford. A [Table] turns observations into events: one [Device] for each interface, VLAN, address
// and MAC; an address that moves to another MAC, and one that two of them fight over. [Filter] is the kernel's part, [Choose]
// picks interfaces, [Reverse] looks names up. Package discoverytest is an Ethernet in memory, and package oui knows who made
// a network card.
//
// # What is seen, and what is not
//
// All sources of an interface share one packet socket whose filter drops everything else in the kernel, and whose ring the
// kernel writes into: a frame of a known device costs no system call, no copy and no memory. VLAN tags are read whether the
// interface takes them off or not. Nothing is sent, but for beacons if there is a key for them.
//
// Probes for duplicate IPv4 addresses (RFC 5227) and senders without an address say nothing about who owns one. An IPv6 address
// that a device asks for (RFC 4862) counts after 1.2 seconds without a defence. Multicast DNS has no say in names
// outside of .local, and whoever repeats the packets of others does not get their addresses. Names stand in the order of their
// origin: reverse DNS, multicast DNS, DHCP, LLDP.
//
// # Floods
//
// A table keeps at most [TableConfig.Limit] devices. Devices that have been there for a second give way last, and are
// reported in their turn, so that made-up senders push out, and hold up, each other. What is lost, dropped or left out is counted:
// [Counters], [TableStats].
//
// # Concurrency, errors, systems
//
// The methods of Table and Reverse are safe for concurrent use; a Decoder is for one goroutine; the sink is called by one
// goroutine at a time. Errors name the interface, and what is missing: listening takes Linux and CAP_NET_RAW, the decoders and
// the table take neither. An interface that vanishes is watched again when it is back.
//
// # What it does not do
//
// It asks questions by multicast DNS only in sweeps that want names, does not scan ports, does not guess systems from fingerprints, and reads no DNS, HTTP or
// other traffic. DESIGN.md has the reasons and what was measured.
package discovery
