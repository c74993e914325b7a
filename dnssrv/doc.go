// Package dnssrv is an authoritative DNS server whose data changes while it serves, and a forwarder for the clients that
// may use it.
//
// # Serving names
//
// A [Server] starts empty. [Server.Update] adds zones and whole record sets; every change is applied at once, in time
// proportional to its own size, and is answered by the next question:
//
//	s := dnssrv.New(dnssrv.Config{})
//	err := s.Update(dnssrv.Change{
//		Zones: []dnssrv.Zone{{Name: "maas"}},
//		Set:   []dnssrv.RRset{{Name: "web.maas", Type: "A", Data: []string{"192.0.2.7"}}},
//	})
//	conn, err := net.ListenPacket("udp", ":53")
//	err = s.ServePacket(ctx, conn)
//
// [ReverseZones] and [PTRName] name what reverse records need. A set that is marked Learned, as from a DHCP lease, gives
// way to a configured one of the same name and type.
//
// # Answers
//
// The server follows RFC 1034 and 4592: CNAME chains inside its zones, wildcards, empty non-terminals, referrals with glue
// at zone cuts, NODATA and NXDOMAIN with the SOA record. ANY gets one made-up record (RFC 8482). Datagrams are at most 1232
// bytes; what does not fit is truncated so that the client comes back over TCP, where questions are answered side by side.
// Clients get DNS cookies (RFC 7873), and [Config].ResponseRate limits what forged questions can make the server send.
//
// Names of whole address ranges, of any size, exist without being stored: see [Range].
//
// # Signing
//
// A zone with a [SigningKey] is answered with signatures for clients that ask for them (DNSSEC, ECDSA P-256). They are made
// when they are first needed and kept; denials are made for the name that was asked (RFC 9824), so that a change costs no
// more than in an unsigned zone. [SigningKey.DS] is what the parent zone has to publish. Zone transfers and zone files are
// without signatures: each server that has the key makes its own.
//
// # Forwarding
//
// [Server.SetForwarding] lets the clients of some networks ask about everything else. Without it questions outside of the
// zones are refused: a server is never an open resolver by accident. For those clients an alias of a zone that leads out of it
// is followed to its end. Answers are cached, denials included (RFC 2308); one
// that is asked for shortly before it ends is fetched again, and one that ended within a day is used when no upstream
// answers (RFC 8767). Equal questions are asked once. The fastest upstream that works is asked first, and domains may have
// upstreams of their own.
//
// Answers are validated by the upstreams, not here: [Forwarding].Validation uses only those that do, or tells them not to.
// The AD bit is passed on to clients that ask for it; it is worth as much as the way to the upstream, so use one on the same
// machine or [Forwarding].TLSName.
//
// # Other servers
//
// [Server.SetAccess] lets secondaries fetch zones by AXFR
// and IXFR and tells them of changes while [Server.SendNotifies] runs, and lets the holders of TSIG keys change records
// (RFC 2136). Such changes are in memory only, unless [Config].Updates keeps the records. [ParseZone] and
// [Server.WriteZone] read and write zone files.
//
// # How it is fast
//
// Records are encoded when they are set. A plain question (one name, class IN, at most an empty OPT record) is answered by
// copying them, or a denial, or a cached answer, behind the question, without allocating; all other questions take the
// general handler, which the same answers are tested against. On Linux datagrams are read and written many at a time.
//
// # Concurrency and errors
//
// All methods may be called concurrently. ServePacket, ServeStream and SendNotifies wait for what they started before they
// return. A change that is refused names the record or zone and changes nothing. The wire format and the record types are
// those of github.com/miekg/dns; the serving loops are this package's own, because that library's start a goroutine per
// datagram without any bound. Of the questions that wait for upstreams at most 512 per socket are kept, of the cache 64 MiB,
// and of the changes of a zone 20,000 records.
//
// # What this package does not do
//
// It does not resolve from the root, validate, or follow zones of other primaries. It keeps no records on disk; [Serials]
// keeps the serials of its zones from going back.
package dnssrv
