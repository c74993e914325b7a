// Package discovery finds the devices on a network by listening, over IPv4 and IPv6: their
// addresses, names and switch ports, and when they disappear.
//
// # The one call
//
// [Watch] listens on suitable interfaces, chosen again whenever interfaces change, and reports what
// is new or has changed:
//
//	err := discovery.Watch(ctx, discovery.Config{
//		Sink: func(e discovery.Event) {
//			log.Println(e.Kind, e.Device.Addr, e.Device.MAC, oui.Lookup(e.Device.MAC[:]), e.Device.Hostname())
//		},
//	})
//
// A silent device is gone ([Expired]) after the time of [DefaultTTL]: hours, unless TableConfig.TTL
// says otherwise. [Replay] does the same with a capture of tcpdump or Wireshark.
//
// [Sweep] asks every address of a prefix instead, slowly or fast, and reports its progress:
//
//	conn, err := discovery.OpenPacket("eth0", discovery.Scan)
//	progress, err := discovery.Sweep(ctx, discovery.SweepConfig{Conn: conn, Prefixes: subnets, Rate: discovery.FastRate, Sink: seen})
//
// # The struct
//
// [Config] selects the interfaces and the sources: ARP, IPv6 neighbor and router discovery,
// overheard DHCP, multicast DNS, LLDP, and the beacons of other racks. With [Config.Reverse]
// resolvers are asked for the names of devices.
//
// # The parts
//
// An [Observation] is what one packet shows; a [Device] is what the table keeps.
//
// A [Decoder] reads frames of all protocols, counts, bounds the costly ones, and keeps nothing
// else; [BeaconKey.Decode] reads beacons alone. A [Table] turns observations into events: one
// [Device] for each interface, VLAN, address and MAC, an address that moves to another MAC, a
// conflict of two MACs, and a router that answers for all addresses (proxy ARP). [Filter] is the
// kernel's part, [Choose] selects interfaces, [Reverse] looks names up. Package discoverytest is an
// Ethernet in memory; package oui returns the vendor of a MAC.
//
// # What is seen, and what is not
//
// All sources of an interface share one packet socket. Its filter drops everything else in the
// kernel, which writes the rest into a ring: a frame of a known device costs no system call, no
// copy and no memory. Nothing is sent, except beacons if a key is set.
//
// Probes for duplicate IPv4 addresses (RFC 5227) and senders without an address do not show an
// owner. An IPv6 address that a device asks for (RFC 4862) counts after 1.2 seconds without a
// defense. Multicast DNS has no authority outside of .local. A device that repeats the packets of
// others does not get their addresses. Names are ordered by origin: reverse DNS, multicast DNS,
// DHCP, LLDP.
//
// # Floods
//
// A table keeps at most [TableConfig.Limit] devices. Devices that were seen for a second are
// evicted last, and have reports of their own, so that made-up senders displace only each other.
// Everything lost, dropped or left out is counted: [Counters], [TableStats].
//
// # Concurrency, errors, systems
//
// The methods of Table and Reverse are safe for concurrent use. A Decoder is for one goroutine. The
// sink is called by one goroutine at a time. Errors name the interface and what is missing:
// listening takes Linux and CAP_NET_RAW, the decoders and the table take neither. An interface that
// disappears is watched again when it returns.
//
// # What it does not do
//
// It sends multicast DNS questions only in sweeps that want names. It does not scan ports, does not
// guess systems from fingerprints, and reads no DNS, HTTP or other traffic.
package discovery
