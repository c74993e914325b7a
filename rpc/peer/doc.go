// Package peer connects the racks of a site that work together with each other: over TLS 1.3 with
// the certificates that the region gave them, so that neither a region nor anything else is needed
// between them.
//
// A rack says who its partners are and what to do with a connection to one:
//
//	p, err := peer.New(peer.Config{Identity: identity, Partners: partners, Exchange: server.ServePartner})
//	err = p.Serve(ctx, listener)
//
// # The connection
//
// Of two partners the one whose name sorts first dials, again every second until it gets through;
// the other one listens. Both show their certificate of the site's CA, and each must name the
// partner that it is taken for: nobody else gets as far as a message. A certificate that
// Config.Refuse says no to, such as one that the region has revoked, gets nobody in, and ends the
// connection that it is used on within a second. A rack's certificate is one for clients, which is
// what both sides check, since a rack is no region.
//
// A message is its length, four bytes, big endian, and at most 1 MiB, and then itself. What is in
// it is not this package's business: a [Conn] carries messages whole and in order.
//
// # Concurrency, errors
//
// [Peer.Serve] waits for all that it started. Connections, handshakes and the size of messages are
// bounded. A refusal is logged with its reason, and never with what the other side sent.
package peer
