// Package dnssrv is an authoritative DNS server whose data changes while it serves, and a forwarder
// for the clients that may use it.
//
//	s := dnssrv.New(dnssrv.Config{})
//	err := s.Update(dnssrv.Change{
//		Zones: []dnssrv.Zone{{Name: "maas"}},
//		Set:   []dnssrv.RRset{{Name: "web.maas", Type: "A", Data: []string{"192.0.2.7"}}},
//	})
//	conn, err := net.ListenPacket("udp", ":53")
//	err = s.ServePacket(ctx, conn)
//
// A [Server] starts empty. [Server.Update] adds zones and whole record sets. Every change is
// applied at once, in time proportional to its own size, and is in the next answer. [ReverseZones]
// and [PTRName] give the names of reverse records. A set marked Learned, as from a DHCP lease,
// gives way to a configured one of the same name and type. [Server.Handle] answers messages without
// a socket, and [Server.Handler] over HTTPS.
//
// # Answers
//
// The server follows RFC 1034 and 4592: CNAME chains, wildcards, empty non-terminals, referrals
// with glue, NODATA and NXDOMAIN. ANY gets one made-up record (RFC 8482). Datagrams have at most
// 1232 bytes; longer answers are truncated, and the client repeats the question over TCP. Clients
// get DNS cookies (RFC 7873). [Config].ResponseRate limits the answers to forged questions. Names
// of address ranges, of any size, exist without being stored: see [Range]. A function of your own,
// [Zone].Answer, answers names below a zone.
//
// # Signing
//
// A zone with a [SigningKey] is signed for clients that ask for signatures (DNSSEC, ECDSA P-256).
// Signatures are made when they are first needed; denials are made for the name in the question
// (RFC 9824). The parent zone publishes [SigningKey.DS]. Transfers and zone files have no
// signatures: each server with the key makes its own.
//
// # Forwarding
//
// [Server.SetForwarding] lets the clients of some networks ask about other names. Without it those
// questions are refused, so that a server is never an open resolver by accident. For these clients
// an alias that leads out of a zone is followed to its end. Answers and denials are cached (RFC
// 2308). A popular one is fetched again before it expires, and one that expired within a day is
// used while no upstream answers (RFC 8767). The fastest working upstream is asked first; domains
// may have their own. Names that must not leave a site (RFC 6303, 6761, 6762) are answered here.
//
// Upstreams validate answers, this package does not: [Forwarding].Validation selects upstreams that
// do. The AD bit is as trustworthy as the path to the upstream; use one on the same machine or
// [Forwarding].TLSName.
//
// # Other servers
//
// [Server.SetAccess] lets secondaries fetch zones by AXFR and IXFR, and holders of TSIG keys change
// records (RFC 2136). [Server.SendNotifies] notifies secondaries of changes. Dynamic updates are in
// memory only, unless [Config].Updates keeps them. [ParseZone] and [Server.WriteZone] read and
// write zone files. Package dnsupdate keeps names at servers of others.
//
// # Concurrency and errors
//
// All methods may be called concurrently. ServePacket, ServeStream and SendNotifies wait for the
// goroutines that they started. A refused change names the record or zone and changes nothing. At
// most 512 questions per socket wait for upstreams; the cache has 64 MiB; a zone keeps 20,000
// records of changes.
//
// # What this package does not do
//
// It does not resolve from the root or validate. Zones of other primaries it serves only as members
// of catalogs: see package catalog. It keeps no records on disk; [Serials] keeps the serials of its
// zones from going back.
package dnssrv
