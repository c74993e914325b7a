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
// at zone cuts, NODATA and NXDOMAIN with the SOA record. ANY gets one made-up record (RFC 8482), and transfers are refused.
// Datagrams are at most 1232 bytes; what does not fit is truncated so that the client comes back over TCP.
//
// # Forwarding
//
// [Server.SetForwarding] lets the clients of some networks ask about everything else. Without it questions outside of the
// zones are refused: a server is never an open resolver by accident.
//
// # Concurrency and errors
//
// All methods may be called concurrently. ServePacket and ServeStream wait for the answers in progress before they return.
// A change that is refused names the record or zone and changes nothing. The wire format and the record types are those of
// github.com/miekg/dns; the serving loops are this package's own, because that library's start a goroutine per datagram
// without any bound.
//
// # What this package does not do
//
// It does not resolve from the root, sign zones, or keep anything on disk.
package dnssrv
