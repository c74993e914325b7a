// Package peer connects the racks of a site that are partners, without a region between them: over
// TLS 1.3, with the certificates that the region gave them.
//
//	p, err := peer.New(peer.Config{Identity: identity, Partners: partners, Exchange: server.ServePartner})
//	err = p.Serve(ctx, listener)
//
// # The connection
//
// Of two partners the one whose name sorts first dials, again every second until it gets through;
// the other one listens. Both show their certificate of the site's CA, and each checks that it has
// the name of the expected partner; no message is read before that check. Config.Refuse judges
// certificates further: a refused one, such as one that the region has revoked, opens no
// connection, and ends an open one within a second. A rack's certificate is one for clients, which
// is what both sides check, since a rack is no region.
//
// A message is its length, four bytes, big endian, and at most 1 MiB, followed by its bytes. The
// content is the caller's: a [Conn] carries messages whole and in order.
//
// # Concurrency, errors
//
// [Peer.Serve] waits for all that it started. Connections, handshakes and the size of messages are
// bounded. A refusal is logged with its reason, and never with bytes that the other side sent.
package peer
