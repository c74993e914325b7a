// Package catalog lists zones for secondary servers in a zone of their own (RFC 9432), and follows
// such lists of other servers:
//
//	change, err := catalog.Change("catalog.example", nil, []catalog.Member{{Zone: "corp.example"}})
//	err = server.Update(change) // secondaries of the catalog now fetch corp.example as well
//
//	var f *catalog.Follower
//	server := dnssrv.New(dnssrv.Config{Notified: func(zone string, from netip.Addr) bool { return f.Notified(zone, from) }})
//	f, err := catalog.New(catalog.Config{Server: server, Sources: []catalog.Source{{Name: "catalog.example", Primary: "192.0.2.53:53"}}})
//	err = f.Run(ctx) // serves what the catalog lists
//
// A [Follower] fetches the zones of a catalog from the catalog's primary, adds them to a server,
// and removes those that the catalog does not list any more. It polls as the zones' SOA records
// say, at least every hour and at most every 30 seconds, and at once after a NOTIFY of the primary.
// A catalog that breaks a rule changes nothing: the members stay as they were. A zone moves from
// one followed catalog to another only if the first one says so (coo). Zones that the server has
// already are not replaced, and zones that are signed are refused: the server cannot keep foreign
// signatures. Members are served with SOA records of the server's own.
//
// All methods may be called concurrently; Run once.
package catalog
