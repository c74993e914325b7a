// Package storetest checks that a database engine keeps what package store
// promises, and starts real PostgreSQL servers for tests.
//
//	func TestPostgres(t *testing.T) {
//		server := storetest.StartPostgres(t)
//		storetest.Run(t, server.NewDatabase)
//	}
package storetest
