// Package storetest checks that a database engine keeps what package store promises.
//
//	func TestPostgres(t *testing.T) {
//		server := pgtest.Start(t)
//		storetest.Run(t, server.NewDatabase)
//	}
package storetest
