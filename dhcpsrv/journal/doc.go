// Package journal keeps the leases of package dhcpsrv in one file, durable before they are
// acknowledged.
//
//	leases, err := journal.Open("/var/lib/site/leases")
//	server, err := dhcpsrv.New(dhcpsrv.Config{Store: leases})
//	if r := leases.Recovered(); r != (journal.Recovery{}) {
//		log.Warn("lease journal repaired", "torn", r.Torn, "skipped", r.Skipped)
//	}
//
// A [Journal] appends the leases of one commit with one write and one sync, which the server shares
// among all clients that wait. It passes the conformance tests of package dhcptest. Its file
// belongs to one process at a time; on Linux a lock keeps a second one out.
//
// # Why not a database, or the log of package rpc
//
// The server holds all leases in memory and reads them once, so that a store needs no index and no
// query: one fdatasync for each batch is the whole cost. The outbox of package rpc is a log as
// well, but of lines that are sent and removed in order; here the latest record of each address
// stays, and the file is rewritten when more than half of it is out of date.
package journal
