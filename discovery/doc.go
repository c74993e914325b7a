// Package discovery notices which devices are on the wire by listening, without sending anything.
//
// [Watch] is the whole story: it listens to ARP on some interfaces and reports what is new or has changed:
//
//	err := discovery.Watch(ctx, discovery.Config{
//		Interfaces: []string{"eth0"},
//		Sink:       func(e discovery.Event) { log.Println(e.Kind, e.Observation.Addr, e.Observation.MAC) },
//	})
//
// The parts are useful by themselves: [DecodeARP] reads a frame, and a [Table] turns sightings into events: it keeps one
// observation per address and interface, reports an address that moves to another MAC, repeats a device that stays no more
// often than it is told to, forgets what has been silent, and is bounded in memory whatever a flood sends.
//
// Probes for duplicate addresses (RFC 5227), senders without an address and addresses outside of unicast are no sightings:
// they say nothing about who owns an address.
//
// Watch needs Linux and the capability CAP_NET_RAW; Table and DecodeARP need neither. A Table is safe for concurrent use.
// This version listens to ARP only: it sees IPv4.
package discovery
