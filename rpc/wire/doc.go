// Package wire carries the connections of package rpc between processes: TLS 1.3 with certificates
// on both sides, dialed by the rack.
//
//	server, err := wire.NewServer(wire.ServerConfig{Region: region, TLS: ca.RegionTLS(), Authorize: authorize}) // region
//	err = server.Serve(ctx, listener)
//
//	dialer := &wire.Dialer{Regions: addresses, TLS: keeper.TLS} // rack
//	rack, err := rpc.NewRack(rpc.RackConfig{Dial: dialer.Dial, ...})
//
// A [Dialer] knows several regions and goes to the next one when a connection ends. Package enrol
// makes the certificates; its example has both sides whole.
//
// # The protocol
//
// One connection is HTTP/2 as net/http speaks it, which brings streams, back-pressure for each of
// them, pings and years of hardening. The rack is the client. Its first request, hello, makes the
// session; then each wait for state, each batch of facts and each call is one request. Calls of the
// region are announced on the answer to one request that stays open, and each is answered by a
// request of its own, so a large answer holds nothing else up.
//
// State and announcements are messages made of frames. A frame is a kind (1 byte), flags (1 byte;
// bit 0: the message goes on in the next frame), a length (2 bytes, big endian) and so at most
// 65,535 bytes; no frame is too large to be read. State has no size limit, a message that is not a
// value 1 MiB, a call 16 MiB each way. All else is JSON.
//
// A kind of message or a field of a JSON document that one side does not know is skipped, so either
// side may be newer.
//
// # Why not an RPC library
//
// The content is opaque to rpc: three verbs over JSON documents. Generated messages would describe
// none of it, and their library with its codec costs two modules and about 2 MB of program. So this
// package draws in nothing beyond package rpc.
//
// # Trust
//
// Nothing is read before the handshake is done. A client whose certificate is not signed by the
// site's CA ends there. A rack that Authorize refuses receives the reason and is cut off.
// [Server.Disconnect] ends the sessions of revoked certificates at once. A client that offers only
// the application protocol of enrolment may ask one bounded question, see [Ask], and nothing else.
package wire
